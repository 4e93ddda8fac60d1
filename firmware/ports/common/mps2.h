/* Arm MPS2 and MPS3 boards: CMSDK UART, FPGAIO counter, SysTick, model slots in static memory.
 * Registers: Arm DDI 0479 (CMSDK, APB UART) and DAI 0385/0386/0400/0505/0547 (maps, FPGAIO).
 *
 * A port defines UART, FPGAIO (addresses), UART_IRQ and CLOCK_HZ, then includes this file.
 *
 * The emulators run one instruction in 1,024 ns of the board's time, so the FPGAIO counter at
 * CLOCK_HZ holds CLOCK_HZ * 1.024e-6 ticks for each: whole instructions are recovered exactly
 * (COUNT_FROM_TICKS).  While the processor sleeps, the board's time is real time. */
#ifndef GRSN_MPS2_H
#define GRSN_MPS2_H

#include <stdint.h>

#include "cortex_m.h"
#include "grsn_port.h"
#include "memory_slots.h"

#define UART_DATA REGISTER(UART + 0x00U)
#define UART_STATE REGISTER(UART + 0x04U)
#define UART_CONTROL REGISTER(UART + 0x08U)
#define UART_INTERRUPT REGISTER(UART + 0x0CU)
#define UART_DIVIDER REGISTER(UART + 0x10U)
#define FPGAIO_LED REGISTER(FPGAIO + 0x00U)
#define FPGAIO_COUNTER REGISTER(FPGAIO + 0x18U)
#define FPGAIO_PRESCALE REGISTER(FPGAIO + 0x1CU)

#define TICKS_PER_MILLISECOND (CLOCK_HZ / 1000U)

static uint64_t mps2_ticks, mps2_counted; /* since the start; of them, counted as milliseconds */
static uint64_t mps2_origin; /* of the ticks at the end of the last sleep */
static uint32_t mps2_last, mps2_milliseconds, mps2_count;

static uint64_t mps2_now(void) {
    uint32_t now = FPGAIO_COUNTER;
    mps2_ticks += now - mps2_last;
    mps2_last = now;
    return mps2_ticks;
}

void grsn_port_init(void) {
    FPGAIO_PRESCALE = 0;
    UART_DIVIDER = CLOCK_HZ / 921600U;
    UART_CONTROL = 1U | 2U | 8U; /* send, receive, interrupt when a byte has come */
    cortex_m_wake_on(UART_IRQ);
    cortex_m_tick_every(CLOCK_HZ / 100U);
    mps2_last = FPGAIO_COUNTER;
}

int32_t grsn_port_receive(void) { return UART_STATE & 2U ? (int32_t)(UART_DATA & 0xFFU) : -1; }

void grsn_port_send(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        while (UART_STATE & 1U) {
        }
        UART_DATA = bytes[i];
    }
}

uint32_t grsn_port_cycles(void) { return mps2_count + COUNT_FROM_TICKS(mps2_now() - mps2_origin); }

uint32_t grsn_port_milliseconds(void) {
    uint64_t now = mps2_now();
    while (now - mps2_counted >= TICKS_PER_MILLISECOND) {
        mps2_counted += TICKS_PER_MILLISECOND;
        mps2_milliseconds++;
    }
    return mps2_milliseconds;
}

void grsn_port_watchdog(void) {}

void grsn_port_idle(void) {
    UART_INTERRUPT = 2U;
    cortex_m_unpend(UART_IRQ);
    SCB_CONTROL = SCB_UNPEND_SYSTICK;
    if (UART_STATE & 2U) return;
    cortex_m_sleep();
    mps2_count = grsn_port_cycles(); /* a sleep takes no whole number of instructions: start anew */
    mps2_origin = mps2_ticks;
}

void grsn_port_mark(int32_t high) { FPGAIO_LED = high ? 1U : 0U; }

uint32_t grsn_port_boot_id(void) { return memory_slots_boot_id(FPGAIO_COUNTER); }

#endif
