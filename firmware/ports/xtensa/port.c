/* Xtensa: the machine `kc705-nommu` of QEMU with its DE212 core, a 16550 UART, CCOUNT and CCOMPARE.
 * Registers: NS16550A data sheet; Xtensa ISA Summary, §4.4 (exceptions, interrupts, timers).
 *
 * The emulator runs one instruction in 1,024 ns of the board's time, CCOUNT counts 25 ns: 40.96
 * for each, so whole instructions are recovered exactly. */
#include <stdint.h>

#include "grsn_port.h"
#include "memory_slots.h"

#define UART(index) (*(volatile uint32_t *)(0x9D050020U + 4U * (index)))
#define UART_DATA UART(0U)
#define UART_INTERRUPTS UART(1U)
#define UART_STATUS UART(5U)
#define UART_RECEIVED 0x01U
#define UART_EMPTY 0x20U
#define TICKS_PER_MILLISECOND 40000U
#define UART_AND_TIMER (1U << 0 | 1U << 6) /* interrupts, both of level 1 */

#define READ(name, value) __asm volatile("rsr %0, " name : "=r"(value))
#define WRITE(name, value) __asm volatile("wsr %0, " name "\n\trsync" ::"r"(value))

const grsn_board_t grsn_board = {
    "xtensa", 0, GRSN_COUNTS_INSTRUCTIONS, 2, MEMORY_SLOT_SIZE, MEMORY_ERASE_SIZE,
    MEMORY_WRITE_SIZE,
};

static uint64_t ticks, counted; /* since the start; of them, counted as milliseconds */
static uint64_t origin; /* of the ticks at the end of the last sleep */
static uint32_t last, milliseconds, count_then;

/* An interrupt has ended a sleep, which is all that it is for: off with it, and back. */
extern const uint8_t vectors[];
__asm(".section .vectors, \"ax\"\n"
      ".balign 1024\n"
      "vectors:\n"
      ".org vectors + 0x300\n"
      "wsr a0, excsave1\n"
      "movi a0, 0\n"
      "wsr a0, intenable\n"
      "rsr a0, excsave1\n"
      "rfe\n"
      ".org vectors + 0x3C0\n"
      "j .\n"
      ".text\n");

static uint64_t now(void) {
    uint32_t count;
    READ("ccount", count);
    ticks += count - last;
    last = count;
    return ticks;
}

void grsn_port_init(void) {
    WRITE("vecbase", (uint32_t)(uintptr_t)vectors);
    WRITE("intenable", 0U);
    UART_INTERRUPTS = 1U;
}

int32_t grsn_port_receive(void) {
    return UART_STATUS & UART_RECEIVED ? (int32_t)(UART_DATA & 0xFFU) : -1;
}

void grsn_port_send(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        while (!(UART_STATUS & UART_EMPTY)) {
        }
        UART_DATA = bytes[i];
    }
}

uint32_t grsn_port_cycles(void) {
    return count_then + (uint32_t)(((now() - origin) * 25U + 512U) >> 10); /* / 40.96 */
}

uint32_t grsn_port_milliseconds(void) {
    uint64_t at = now();
    while (at - counted >= TICKS_PER_MILLISECOND) {
        counted += TICKS_PER_MILLISECOND;
        milliseconds++;
    }
    return milliseconds;
}

void grsn_port_watchdog(void) {}

void grsn_port_idle(void) {
    WRITE("ccompare0", (uint32_t)now() + 10U * TICKS_PER_MILLISECOND);
    if (UART_STATUS & UART_RECEIVED) return;
    WRITE("intenable", UART_AND_TIMER);
    __asm volatile("waiti 0\n\trsil a8, 15" ::: "a8", "memory");
    count_then = grsn_port_cycles(); /* a sleep takes no whole number of instructions: start anew */
    origin = ticks;
}

void grsn_port_mark(int32_t high) { (void)high; }

uint32_t grsn_port_boot_id(void) { return memory_slots_boot_id((uint32_t)now()); }
