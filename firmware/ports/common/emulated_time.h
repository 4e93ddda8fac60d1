/* Time of an emulated board.  The emulators run one instruction in 1,024 ns of the board's time, so
 * a timer holds a fixed number of ticks for each: whole instructions are recovered exactly.  While
 * the processor sleeps, the board's time is real time.
 *
 * A port defines TIMER_NOW (a timer of 32 bits) and TICKS_PER_MILLISECOND, then includes this file.
 * Its grsn_port_cycles is count_then and the instructions of now() - origin; its grsn_port_idle
 * calls count_anew behind each sleep. */
#ifndef GRSN_EMULATED_TIME_H
#define GRSN_EMULATED_TIME_H

#include <stdint.h>

#include "grsn_port.h"

static uint64_t ticks, counted; /* since the start; of them, counted as milliseconds */
static uint64_t origin; /* of the ticks at the end of the last sleep */
static uint32_t last, milliseconds, count_then;

static uint64_t now(void) {
    uint32_t timer = TIMER_NOW;
    ticks += timer - last;
    last = timer;
    return ticks;
}

uint32_t grsn_port_milliseconds(void) {
    uint64_t at = now();
    while (at - counted >= TICKS_PER_MILLISECOND) {
        counted += TICKS_PER_MILLISECOND;
        milliseconds++;
    }
    return milliseconds;
}

/* A sleep takes no whole number of instructions: start anew. */
static inline void count_anew(void) {
    count_then = grsn_port_cycles();
    origin = ticks;
}

#endif
