/* ESP32-S3: the USB serial port of the chip itself (GPIO19 and 20), no driver, no bridge.
 * Registers: Espressif ESP32-S3 Technical Reference Manual v1.4, chapters USB Serial/JTAG, SYSTIMER,
 * watchdogs, random numbers, GPIO; CCOUNT: Xtensa ISA Summary, §4.4.
 *
 * The ROM loads the image into RAM (board.ld) in the place of the vendor's second-stage boot loader, and
 * leaves its clock as it is: cycles have no fixed rate here.  The second core stays off.  Model slots
 * are RAM: what was loaded lasts until power goes.  GPIO2 is high while a step runs. */
#include <stdint.h>

#include "grsn_port.h"
#include "memory_slots.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define USB_DATA REGISTER(0x60038000U)
#define USB_STATE REGISTER(0x60038004U) /* 0: all written; 1: room to send; 2: bytes came */
#define SYSTIMER_UPDATE REGISTER(0x60023004U)
#define SYSTIMER_LOW REGISTER(0x60023044U)
#define RANDOM REGISTER(0x6003507CU)
#define GPIO(offset) REGISTER(0x60004000U + (offset))
#define PIN_MARK 2U

#define TICKS_PER_MILLISECOND 16000U /* SYSTIMER: 16 MHz */
#define PATIENCE 200000U             /* looks at an end that nobody reads from */

const grsn_board_t grsn_board = {
    "esp32s3", 0, GRSN_COUNTS_CYCLES, 2, MEMORY_SLOT_SIZE, MEMORY_ERASE_SIZE, MEMORY_WRITE_SIZE,
};

static uint32_t milliseconds, counted;

static uint32_t ticks(void) {
    SYSTIMER_UPDATE = 1U << 30;
    while (!(SYSTIMER_UPDATE & 1U << 29)) {
    }
    return SYSTIMER_LOW;
}

/* The ROM starts three watchdogs before it jumps. */
static void stop_watchdogs(void) {
    REGISTER(0x600080B0U) = 0x50D83AA1U; /* RTC: unlock, off */
    REGISTER(0x60008098U) = 0U;
    REGISTER(0x600080B8U) = 0x8F1D312AU; /* super watchdog: unlock, feeds itself */
    REGISTER(0x600080B4U) |= 1U << 31;
    REGISTER(0x6001F064U) = 0x50D83AA1U; /* timer group 0: unlock, off */
    REGISTER(0x6001F048U) = 0U;
}

void grsn_port_init(void) {
    stop_watchdogs();
    GPIO(0x554U + 4U * PIN_MARK) = 256U; /* out of GPIO_OUT */
    GPIO(0x24U) = 1U << PIN_MARK;
    *__seed = RANDOM;
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

uint32_t grsn_port_cycles(void) {
    uint32_t count;
    __asm volatile("rsr %0, ccount" : "=r"(count));
    return count;
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

uint32_t grsn_port_boot_id(void) { return memory_slots_boot_id(RANDOM); }
