/* A new board: copy this folder, name it, and fill in seven things.  docs/porting.md walks through it.
 *
 * Say here: the chip, its clock, the pins of the serial line, and the documents whose registers are
 * used below, with their versions. */
#include <stdint.h>

#include "cortex_m.h" /* Cortex-M only: sleeping, SysTick, the NVIC */
#include "grsn_port.h"

#define CLOCK_HZ 16000000U

/* 1. What the board is.  The name is the folder's.  Without model slots the last four are 0; then the
 * policy is compiled into the firmware. */
const grsn_board_t grsn_board = {
    "template",
    CLOCK_HZ,           /* of grsn_port_cycles; 0 where that has no fixed rate */
    GRSN_COUNTS_CYCLES, /* or GRSN_COUNTS_NOTHING, and grsn_port_cycles returns 0 */
    0,                  /* model slots: 2 or 0 */
    0,                  /* bytes of a slot: a multiple of the next */
    0,                  /* bytes that are erased at once */
    0,                  /* bytes that are written at once: a power of two, at most 32 */
};

/* 2. Clocks, pins, UART (8 bits, no parity, 115,200 baud), counter.  Interrupts stay masked: enable
 * the UART's receive interrupt only in the UART and in the NVIC, so that it ends grsn_port_idle. */
void grsn_port_init(void) { cortex_m_tick_every(CLOCK_HZ / 100U); }

/* 3. The serial line.  Receiving never waits.  A UART that holds fewer bytes than come while a step
 * runs needs "GRSN_LINK_WINDOW": "1" among the defines in board.json: one request at a time. */
int32_t grsn_port_receive(void) { return -1; }

void grsn_port_send(const uint8_t *bytes, uint32_t count) {
    (void)bytes;
    (void)count;
}

/* 4. Counters, both modulo 2^32.  dwt.h has them for Cortex-M3 and later. */
uint32_t grsn_port_cycles(void) { return 0; }

uint32_t grsn_port_milliseconds(void) { return 0; }

/* 5. Nothing to do.  Clear what is pending, look once more whether a byte has come, then sleep: a
 * byte that comes in between is pending, and WFI returns at once. */
void grsn_port_idle(void) {
    SCB_CONTROL = SCB_UNPEND_SYSTICK;
    cortex_m_sleep();
}

/* 6. A pin for a meter, and a watchdog, if you want them.  The watchdog is fed after every good
 * command: start it only where a host that falls silent shall mean a reset. */
void grsn_port_mark(int32_t high) { (void)high; }

void grsn_port_watchdog(void) {}

/* 7. A number that differs from boot to boot: a hardware random number, or noise and a counter. */
uint32_t grsn_port_boot_id(void) { return grsn_port_cycles(); }

/* With model slots, also grsn_port_slot, grsn_port_slot_erase and grsn_port_slot_write:
 * ../common/nrf5.h has them for an nRF, ../stm32f405/port.c for an STM32, ../common/rp2350_flash.h
 * for an RP2350, ../common/memory_slots.h in RAM. */
