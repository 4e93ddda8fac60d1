/* grsn_link: frames over a byte stream that drops, duplicates, splits, joins and flips.  SPEC §10.
 *
 * A frame is COBS-encoded between two 0x00 bytes, and ends with a CRC-32C over all of it.  The
 * receiver takes one byte at a time, keeps one frame, never waits and never fails: whatever comes,
 * it is in step again after the next 0x00, and the next good frame is accepted.
 *
 *     static grsn_link_t link;
 *     grsn_link_init(&link);
 *     while ((byte = grsn_port_receive()) >= 0) {
 *         if (grsn_link_receive(&link, (uint8_t)byte) == GRSN_LINK_GOOD) {
 *             use(link.frame);  (as laid out below; valid until the next byte)
 *         }
 *     }
 */
#ifndef GRSN_LINK_H
#define GRSN_LINK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Largest payload, in bytes: 64 to 512.  Up to 512 the CRC finds any 5 flipped bits. */
#ifndef GRSN_LINK_PAYLOAD
#define GRSN_LINK_PAYLOAD 512
#endif

/* A frame before it is encoded; numbers are little-endian.
 *   0  version in bits 0...3, GRSN_LINK_FLAG_... in the others
 *   1  type
 *   2  sequence, 2 bytes
 *   4  session, 4 bytes
 *   8  length of the payload, 2 bytes
 *  10  payload
 *   …  CRC-32C of all before, 4 bytes */
enum {
    GRSN_LINK_VERSION = 1,
    GRSN_LINK_VERSION_MASK = 0x0f,
    GRSN_LINK_FLAG_MODEL = 0x10, /* the contract stands before the frame when its CRC is made */
    GRSN_LINK_FLAG_REPLY = 0x20, /* from the device */
    GRSN_LINK_HEADER = 10,
    GRSN_LINK_CRC = 4,
    GRSN_LINK_CONTRACT = 4, /* the first bytes of the model hash; 0 where there is no model */
    GRSN_LINK_FRAME = GRSN_LINK_HEADER + GRSN_LINK_PAYLOAD + GRSN_LINK_CRC
};

/* What grsn_link_receive has to say of a byte. */
typedef enum grsn_link_event {
    GRSN_LINK_NOTHING = 0, /* more bytes are needed */
    GRSN_LINK_GOOD = 1,    /* `frame` holds a frame */
    GRSN_LINK_DAMAGED = 2  /* a frame ended that cannot be used; its counter was raised */
} grsn_link_event_t;

/* Frames since the start, modulo 2^32, by what was wrong with them; the first that applies. */
typedef struct grsn_link_counters {
    uint32_t good;
    uint32_t cut;       /* ended inside a COBS block, or shorter than a frame can be */
    uint32_t too_long;  /* longer than GRSN_LINK_FRAME */
    uint32_t checksum;  /* damaged, or of another model */
    uint32_t malformed; /* the length field is not the frame's, or a reserved flag is set */
    uint32_t version;   /* a version that this build does not speak */
} grsn_link_counters_t;

/* A receiver.  `frame` and `counters` are read, `contract` is written, by the caller. */
typedef struct grsn_link {
    uint8_t frame[GRSN_LINK_FRAME];
    uint8_t contract[GRSN_LINK_CONTRACT];
    uint16_t count;   /* decoded bytes in `frame` */
    uint8_t left;     /* bytes until the current COBS block ends */
    uint8_t zero_due; /* the block that ended stands for a zero, if another follows */
    uint8_t inside;   /* something came since the last delimiter */
    uint8_t dropping; /* the frame is too long: wait for the delimiter */
    grsn_link_counters_t counters;
} grsn_link_t;

/* Before the first byte. */
void grsn_link_init(grsn_link_t *link);

/* Take one byte. */
grsn_link_event_t grsn_link_receive(grsn_link_t *link, uint8_t byte);

/* Complete a frame of GRSN_LINK_HEADER + count bytes + room for the CRC, whose first 8 bytes and
 * payload are written: sets the length and the CRC.  contract: as in grsn_link_t. */
void grsn_link_seal(uint8_t *frame, uint32_t count, const uint8_t *contract);

/* Encode a sealed frame and hand it to grsn_port_send. */
void grsn_link_send(const uint8_t *frame);

/* Little-endian numbers at any address. */
uint16_t grsn_link_u16(const uint8_t *bytes);
uint32_t grsn_link_u32(const uint8_t *bytes);
void grsn_link_put_u16(uint8_t *bytes, uint32_t value);
void grsn_link_put_u32(uint8_t *bytes, uint32_t value);

#ifdef __cplusplus
}
#endif

#endif
