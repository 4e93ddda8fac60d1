#include "grsn_link.h"

#include "grsn_crc.h"
#include "grsn_port.h"

/* A payload that the CRC's distance covers, and room for the shortest replies. */
typedef char grsn_link_payload_is_64_to_512[GRSN_LINK_PAYLOAD >= 64 && GRSN_LINK_PAYLOAD <= 512
                                                ? 1
                                                : -1];

enum {
    LENGTH_AT = 8,
    LONGEST_BLOCK = 254,
    RESERVED = (uint8_t)~(GRSN_LINK_VERSION_MASK | GRSN_LINK_FLAG_MODEL | GRSN_LINK_FLAG_REPLY)
};

uint16_t grsn_link_u16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | (uint16_t)(bytes[1] << 8));
}

uint32_t grsn_link_u32(const uint8_t *bytes)
{
    return (uint32_t)grsn_link_u16(bytes) | (uint32_t)grsn_link_u16(bytes + 2) << 16;
}

void grsn_link_put_u16(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value & 0xffu);
    bytes[1] = (uint8_t)(value >> 8 & 0xffu);
}

void grsn_link_put_u32(uint8_t *bytes, uint32_t value)
{
    grsn_link_put_u16(bytes, value & 0xffffu);
    grsn_link_put_u16(bytes + 2, value >> 16);
}

/* The CRC of a frame's first `count` bytes, behind the contract where the frame asks for it. */
static uint32_t frame_crc(const uint8_t *frame, uint32_t count, const uint8_t *contract)
{
    const size_t seen = (frame[0] & GRSN_LINK_FLAG_MODEL) != 0 ? GRSN_LINK_CONTRACT : 0;
    return grsn_crc32c(grsn_crc32c(0, contract, seen), frame, (size_t)count);
}

/* ---- receiving ---- */

static void begin(grsn_link_t *link)
{
    link->count = 0;
    link->left = 0;
    link->zero_due = 0;
    link->inside = 0;
    link->dropping = 0;
}

void grsn_link_init(grsn_link_t *link)
{
    static const grsn_link_counters_t none = {0, 0, 0, 0, 0, 0};
    begin(link);
    link->counters = none;
    for (uint32_t i = 0; i < GRSN_LINK_CONTRACT; i++) {
        link->contract[i] = 0;
    }
}

/* The counter that a complete frame belongs to. */
static uint32_t *verdict(grsn_link_t *link)
{
    const uint8_t *frame = link->frame;
    if (link->dropping) {
        return &link->counters.too_long;
    }
    if (link->left != 0 || link->count < GRSN_LINK_HEADER + GRSN_LINK_CRC) {
        return &link->counters.cut;
    }
    const uint32_t body = (uint32_t)link->count - GRSN_LINK_CRC;
    if (frame_crc(frame, body, link->contract) != grsn_link_u32(frame + body)) {
        return &link->counters.checksum;
    }
    if ((frame[0] & GRSN_LINK_VERSION_MASK) != GRSN_LINK_VERSION) {
        return &link->counters.version;
    }
    if (GRSN_LINK_HEADER + (uint32_t)grsn_link_u16(frame + LENGTH_AT) != body ||
        (frame[0] & RESERVED) != 0) {
        return &link->counters.malformed;
    }
    return &link->counters.good;
}

static grsn_link_event_t end(grsn_link_t *link)
{
    if (!link->inside) {
        return GRSN_LINK_NOTHING; /* between two delimiters there is nothing to judge */
    }
    uint32_t *counter = verdict(link);
    (*counter)++;
    begin(link);
    return counter == &link->counters.good ? GRSN_LINK_GOOD : GRSN_LINK_DAMAGED;
}

static void append(grsn_link_t *link, uint8_t byte)
{
    if (link->count == GRSN_LINK_FRAME) {
        link->dropping = 1;
        return;
    }
    link->frame[link->count] = byte;
    link->count++;
}

grsn_link_event_t grsn_link_receive(grsn_link_t *link, uint8_t byte)
{
    if (byte == 0) {
        return end(link);
    }
    link->inside = 1;
    if (link->dropping) {
        return GRSN_LINK_NOTHING;
    }
    if (link->left != 0) {
        link->left--;
        append(link, byte);
        return GRSN_LINK_NOTHING;
    }
    if (link->zero_due) {
        append(link, 0);
    }
    link->left = (uint8_t)(byte - 1u);
    link->zero_due = link->left != LONGEST_BLOCK;
    return GRSN_LINK_NOTHING;
}

/* ---- sending ---- */

void grsn_link_seal(uint8_t *frame, uint32_t count, const uint8_t *contract)
{
    const uint32_t body = GRSN_LINK_HEADER + count;
    grsn_link_put_u16(frame + LENGTH_AT, count);
    grsn_link_put_u32(frame + body, frame_crc(frame, body, contract));
}

void grsn_link_send(const uint8_t *frame)
{
    const uint8_t delimiter = 0;
    const uint32_t count =
        GRSN_LINK_HEADER + (uint32_t)grsn_link_u16(frame + LENGTH_AT) + GRSN_LINK_CRC;
    uint32_t at = 0;
    uint32_t more = 1;
    grsn_port_send(&delimiter, 1);
    while (more) {
        uint32_t run = 0;
        while (run < LONGEST_BLOCK && at + run < count && frame[at + run] != 0) {
            run++;
        }
        const uint8_t code = (uint8_t)(run + 1u);
        grsn_port_send(&code, 1);
        grsn_port_send(frame + at, run);
        more = at + run < count;
        at += run + (run < LONGEST_BLOCK ? 1u : 0u); /* a shorter block stands for its zero, too */
    }
    grsn_port_send(&delimiter, 1);
}
