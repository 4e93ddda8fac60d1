/* grsn_port: what a board gives to the application; a port is one folder that defines all of it.
 *
 * Copy firmware/ports/template/.  Everything here is called from the main loop, never from an
 * interrupt, and from one thread.
 */
#ifndef GRSN_PORT_H
#define GRSN_PORT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What grsn_port_cycles counts. */
enum {
    GRSN_COUNTS_NOTHING = 0,      /* the board has no counter: always 0 */
    GRSN_COUNTS_CYCLES = 1,       /* clock cycles of the processor */
    GRSN_COUNTS_INSTRUCTIONS = 2, /* instructions, exact, on an emulated board */
    GRSN_COUNTS_NANOSECONDS = 3   /* a clock: a process on a host */
};

/* What the board is; constant. */
typedef struct grsn_board {
    const char *name;        /* as in `grsn-edge device`, at most 16 characters */
    uint32_t counter_hz;     /* of grsn_port_cycles; 0 where that has no fixed rate */
    uint8_t counter_kind;    /* GRSN_COUNTS_... */
    uint8_t slots;           /* model slots in non-volatile memory: 2, or 0 for none */
    uint32_t slot_size;      /* bytes of each, a multiple of erase_size */
    uint32_t erase_size;     /* bytes that grsn_port_slot_erase clears at once */
    uint32_t write_size;     /* bytes that grsn_port_slot_write writes at least, a power of two */
} grsn_board_t;
extern const grsn_board_t grsn_board;

/* Clocks, UART, counter, watchdog.  Called once, first. */
void grsn_port_init(void);

/* The next received byte, 0...255, or -1 where none has come.  Never waits. */
int32_t grsn_port_receive(void);

/* Send bytes; returns when all are handed to the line, or dropped because nobody listens. */
void grsn_port_send(const uint8_t *bytes, uint32_t count);

/* Free-running counter, modulo 2^32; see counter_kind. */
uint32_t grsn_port_cycles(void);

/* Milliseconds since some start, modulo 2^32.  0 always on a board without a clock, which then has
 * no time-outs. */
uint32_t grsn_port_milliseconds(void);

/* Feed the hardware watchdog; called only after a completed step or command whose status is good. */
void grsn_port_watchdog(void);

/* Nothing to do: sleep until a byte or a tick comes, or return at once. */
void grsn_port_idle(void);

/* A pin that is high exactly while a step runs, for a meter's digital input; may do nothing. */
void grsn_port_mark(int32_t high);

/* Random-looking number at boot (a counter of noise, a serial number mixed with a boot count): the
 * link's session id.  Two boots in a row should differ. */
uint32_t grsn_port_boot_id(void);

/* The policy image that is linked into the firmware, GRSN_ALIGNMENT-aligned, and its size; NULL and 0
 * where there is none.  Not the port's: defined by the source that the build adds
 * (firmware/src/grsn_no_image.c, a file with the image's bytes, or policy_engine.c). */
const uint8_t *grsn_builtin_image(uint32_t *size);

/* Model slots 0 and 1: readable memory of slot_size bytes; see docs/SPEC.md §12.  Not defined by
 * ports whose `slots` is 0.  Erase and write return 0, or -1 where the hardware refused; after a
 * cut in the middle the touched erase unit holds anything. */
const uint8_t *grsn_port_slot(uint32_t slot);
int32_t grsn_port_slot_erase(uint32_t slot, uint32_t offset);
int32_t grsn_port_slot_write(uint32_t slot, uint32_t offset, const uint8_t *bytes, uint32_t count);

#ifdef __cplusplus
}
#endif

#endif
