/* Espressif chips: the USB serial port of the chip itself, no driver, no bridge; SYSTIMER, random
 * numbers, a pin, model slots in static memory.  Registers: the chip's Technical Reference Manual,
 * chapters USB Serial/JTAG, SYSTIMER, watchdogs, random numbers, GPIO.
 *
 * A port defines USB, RANDOM, RTC_WATCHDOG, SUPER_WATCHDOG and their keys (addresses), PIN_MARK,
 * PIN_FUNCTION (what is out of GPIO_OUT) and START_COUNTING (a statement), then includes this file; it
 * has grsn_board and grsn_port_cycles itself. */
#ifndef GRSN_ESPRESSIF_H
#define GRSN_ESPRESSIF_H

#include <stdint.h>

#include "grsn_port.h"
#include "memory_slots.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define USB_DATA REGISTER(USB)
#define USB_STATE REGISTER(USB + 4U) /* 0: all written; 1: room to send; 2: bytes came */
#define SYSTIMER_UPDATE REGISTER(0x60023004U)
#define SYSTIMER_LOW REGISTER(0x60023044U)
#define GPIO(offset) REGISTER(0x60004000U + (offset))

#define TICKS_PER_MILLISECOND 16000U /* SYSTIMER: 16 MHz */
#define PATIENCE 200000U             /* looks at an end that nobody reads from */

static uint32_t milliseconds, counted;

static uint32_t ticks(void) {
    SYSTIMER_UPDATE = 1U << 30;
    while (!(SYSTIMER_UPDATE & 1U << 29)) {
    }
    return SYSTIMER_LOW;
}

/* The ROM starts three watchdogs before it jumps. */
static void stop_watchdogs(void) {
    REGISTER(RTC_WATCHDOG_KEY) = 0x50D83AA1U; /* RTC: unlock, off */
    REGISTER(RTC_WATCHDOG) = 0U;
    REGISTER(SUPER_WATCHDOG_KEY) = 0x8F1D312AU; /* super watchdog: unlock, feeds itself */
    REGISTER(SUPER_WATCHDOG) |= 1U << 31;
    REGISTER(0x6001F064U) = 0x50D83AA1U; /* timer group 0: unlock, off */
    REGISTER(0x6001F048U) = 0U;
}

void grsn_port_init(void) {
    stop_watchdogs();
    START_COUNTING;
    GPIO(0x554U + 4U * PIN_MARK) = PIN_FUNCTION;
    GPIO(0x24U) = 1U << PIN_MARK;
    *__seed = REGISTER(RANDOM);
    counted = ticks();
}

int32_t grsn_port_receive(void) {
    return USB_STATE & 4U ? (int32_t)(USB_DATA & 0xFFU) : -1;
}

/* Packets of 64 bytes at most; what nobody fetches is dropped. */
void grsn_port_send(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t looks = 0;
        while (!(USB_STATE & 2U)) {
            if (++looks == PATIENCE) return;
        }
        USB_DATA = bytes[i];
        if (i % 64U == 63U) USB_STATE = 1U;
    }
    USB_STATE = 1U;
}

uint32_t grsn_port_milliseconds(void) {
    uint32_t now = ticks();
    while (now - counted >= TICKS_PER_MILLISECOND) {
        counted += TICKS_PER_MILLISECOND;
        milliseconds++;
    }
    return milliseconds;
}

void grsn_port_watchdog(void) {}

void grsn_port_idle(void) {}

void grsn_port_mark(int32_t high) { GPIO(high ? 0x08U : 0x0CU) = 1U << PIN_MARK; }

uint32_t grsn_port_boot_id(void) { return memory_slots_boot_id(REGISTER(RANDOM)); }

#endif
