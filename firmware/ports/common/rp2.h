/* Raspberry Pi's RP2 chips: clocks made of a crystal of 12 MHz, UART, timer of microseconds.
 * Registers: the chip's Datasheet, chapters resets, clocks, crystal, PLL, UART, timer.
 *
 * A port defines RESETS, CLOCKS, XOSC, PLL, UART, TIMER (addresses), UART_IRQ, NEEDED (what leaves
 * reset), PLL_DIVIDERS, UART_DIVIDER and UART_FRACTION, then includes this file; its grsn_port_init
 * calls rp2_clocks and rp2_uart, and it has the functions that are not here itself. */
#ifndef GRSN_RP2_H
#define GRSN_RP2_H

#include <stdint.h>

#include "cortex_m.h"
#include "grsn_port.h"

#define CLEAR(base, offset) REGISTER((base) + 0x3000U + (offset)) /* alias: clears what is set */
#define TIMER_MICROSECONDS REGISTER(TIMER + 0x28U)
#define UART_DATA REGISTER(UART)
#define UART_FLAGS REGISTER(UART + 0x18U)
#define UART_NOTHING_CAME (1U << 4)
#define UART_FULL (1U << 5)

static uint32_t milliseconds, counted;

/* Crystal 12 MHz * 125, and what PLL_DIVIDERS says. */
static void rp2_clocks(void) {
    REGISTER(XOSC + 0x0CU) = 47U;
    REGISTER(XOSC) = 0xFABU << 12 | 0xAA0U;
    while (!(REGISTER(XOSC + 0x04U) & 1U << 31)) {
    }
    REGISTER(CLOCKS + 0x30U) = 2U; /* reference: the crystal */
    while (!(REGISTER(CLOCKS + 0x38U) & 1U << 2)) {
    }
    REGISTER(CLOCKS + 0x3CU) = 0U; /* system: the reference, while the PLL starts */
    while (!(REGISTER(CLOCKS + 0x44U) & 1U)) {
    }
    CLEAR(RESETS, 0U) = NEEDED;
    while ((REGISTER(RESETS + 8U) & NEEDED) != NEEDED) {
    }
    REGISTER(PLL) = 1U;
    REGISTER(PLL + 8U) = 125U;
    CLEAR(PLL, 4U) = 1U | 1U << 5;
    while (!(REGISTER(PLL) & 1U << 31)) {
    }
    REGISTER(PLL + 12U) = PLL_DIVIDERS;
    CLEAR(PLL, 4U) = 1U << 3;
    REGISTER(CLOCKS + 0x3CU) = 1U; /* system: the PLL */
    while (!(REGISTER(CLOCKS + 0x44U) & 2U)) {
    }
    REGISTER(CLOCKS + 0x48U) = 1U << 11; /* peripherals: as the system */
}

/* Eight bits, queues; an interrupt when bytes came, or came and no more follow. */
static void rp2_uart(void) {
    REGISTER(UART + 0x24U) = UART_DIVIDER;
    REGISTER(UART + 0x28U) = UART_FRACTION;
    REGISTER(UART + 0x2CU) = 3U << 5 | 1U << 4;
    REGISTER(UART + 0x30U) = 1U | 3U << 8;
    REGISTER(UART + 0x38U) = 1U << 4 | 1U << 6;
    cortex_m_wake_on(UART_IRQ);
}

int32_t grsn_port_receive(void) {
    return UART_FLAGS & UART_NOTHING_CAME ? -1 : (int32_t)(UART_DATA & 0xFFU);
}

void grsn_port_send(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        while (UART_FLAGS & UART_FULL) {
        }
        UART_DATA = bytes[i];
    }
}

uint32_t grsn_port_milliseconds(void) {
    while (TIMER_MICROSECONDS - counted >= 1000U) {
        counted += 1000U;
        milliseconds++;
    }
    return milliseconds;
}

void grsn_port_watchdog(void) {}

void grsn_port_idle(void) {
    REGISTER(UART + 0x44U) = 1U << 4 | 1U << 6;
    cortex_m_unpend(UART_IRQ);
    SCB_CONTROL = SCB_UNPEND_SYSTICK;
    if (UART_FLAGS & UART_NOTHING_CAME) cortex_m_sleep();
}

#endif
