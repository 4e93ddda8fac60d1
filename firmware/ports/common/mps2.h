/* Arm MPS2 and MPS3 boards: CMSDK UART, FPGAIO counter, SysTick, model slots in static memory.
 * Registers: Arm DDI 0479 (CMSDK, APB UART) and DAI 0385/0386/0400/0505/0547 (maps, FPGAIO).
 *
 * A port defines UART, FPGAIO (addresses), UART_IRQ, CLOCK_HZ and COUNT_FROM_TICKS(ticks), then
 * includes this file.  The FPGAIO counter holds CLOCK_HZ * 1.024e-6 ticks for an instruction. */
#ifndef GRSN_MPS2_H
#define GRSN_MPS2_H

#include <stdint.h>

#include "cortex_m.h"

#define UART_DATA REGISTER(UART + 0x00U)
#define UART_STATE REGISTER(UART + 0x04U)
#define UART_CONTROL REGISTER(UART + 0x08U)
#define UART_INTERRUPT REGISTER(UART + 0x0CU)
#define UART_DIVIDER REGISTER(UART + 0x10U)
#define FPGAIO_LED REGISTER(FPGAIO + 0x00U)
#define FPGAIO_COUNTER REGISTER(FPGAIO + 0x18U)
#define FPGAIO_PRESCALE REGISTER(FPGAIO + 0x1CU)

#define TIMER_NOW FPGAIO_COUNTER
#define TICKS_PER_MILLISECOND (CLOCK_HZ / 1000U)

#include "emulated_time.h"
#include "memory_slots.h"

void grsn_port_init(void) {
    FPGAIO_PRESCALE = 0;
    UART_DIVIDER = CLOCK_HZ / 921600U;
    UART_CONTROL = 1U | 2U | 8U; /* send, receive, interrupt when a byte has come */
    cortex_m_wake_on(UART_IRQ);
    cortex_m_tick_every(CLOCK_HZ / 100U);
    last = FPGAIO_COUNTER;
}

int32_t grsn_port_receive(void) { return UART_STATE & 2U ? (int32_t)(UART_DATA & 0xFFU) : -1; }

void grsn_port_send(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        while (UART_STATE & 1U) {
        }
        UART_DATA = bytes[i];
    }
}

uint32_t grsn_port_cycles(void) { return count_then + COUNT_FROM_TICKS(now() - origin); }

void grsn_port_watchdog(void) {}

void grsn_port_idle(void) {
    UART_INTERRUPT = 2U;
    cortex_m_unpend(UART_IRQ);
    SCB_CONTROL = SCB_UNPEND_SYSTICK;
    if (UART_STATE & 2U) return;
    cortex_m_sleep();
    count_anew();
}

void grsn_port_mark(int32_t high) { FPGAIO_LED = high ? 1U : 0U; }

uint32_t grsn_port_boot_id(void) { return memory_slots_boot_id(FPGAIO_COUNTER); }

#endif
