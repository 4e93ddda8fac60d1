/* Cortex-M3 and later: the cycle counter of the Data Watchpoint and Trace unit (Armv7-M manual,
 * C1.8), and milliseconds made of it; read it at least once in 2^32 cycles. */
#ifndef GRSN_DWT_H
#define GRSN_DWT_H

#include <stdint.h>

#include "cortex_m.h"

#define DWT_CONTROL REGISTER(0xE0001000U)
#define DWT_CYCLES REGISTER(0xE0001004U)
#define DEBUG_CONTROL REGISTER(0xE000EDFCU)

static uint32_t dwt_counted, dwt_count_of_milliseconds;

static inline void dwt_start(void) {
    DEBUG_CONTROL |= 1U << 24;
    DWT_CYCLES = 0;
    DWT_CONTROL |= 1U;
}

static inline uint32_t dwt_milliseconds(uint32_t cycles_per_millisecond) {
    while (DWT_CYCLES - dwt_counted >= cycles_per_millisecond) {
        dwt_counted += cycles_per_millisecond;
        dwt_count_of_milliseconds++;
    }
    return dwt_count_of_milliseconds;
}

#endif
