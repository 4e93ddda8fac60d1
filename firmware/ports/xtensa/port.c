/* Xtensa: the machine `kc705-nommu` of QEMU with its DE212 core, a 16550 UART, CCOUNT and CCOMPARE.
 * Registers: NS16550A data sheet; Xtensa ISA Summary, §4.4 (exceptions, interrupts, timers).
 * CCOUNT counts 25 ns, 40.96 for an instruction. */
#include <stdint.h>

#define READ(name, value) __asm volatile("rsr %0, " name : "=r"(value))
#define WRITE(name, value) __asm volatile("wsr %0, " name "\n\trsync" ::"r"(value))
#define UART_AND_TIMER (1U << 0 | 1U << 6) /* interrupts, both of level 1 */

static uint32_t clock_count(void) {
    uint32_t count;
    READ("ccount", count);
    return count;
}

#define UART(index) (*(volatile uint32_t *)(0x9D050020U + 4U * (index)))
#define TIMER_NOW clock_count()
#define TICKS_PER_MILLISECOND 40000U

#include "emulated_time.h"
#include "memory_slots.h"
#include "ns16550.h"

const grsn_board_t grsn_board = {
    "xtensa", 0, GRSN_COUNTS_INSTRUCTIONS, 2, MEMORY_SLOT_SIZE, MEMORY_ERASE_SIZE,
    MEMORY_WRITE_SIZE,
};

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

void grsn_port_init(void) {
    WRITE("vecbase", (uint32_t)(uintptr_t)vectors);
    WRITE("intenable", 0U);
    UART_INTERRUPTS = 1U;
}

uint32_t grsn_port_cycles(void) {
    return count_then + (uint32_t)(((now() - origin) * 25U + 512U) >> 10); /* / 40.96 */
}

void grsn_port_watchdog(void) {}

void grsn_port_idle(void) {
    WRITE("ccompare0", (uint32_t)now() + 10U * TICKS_PER_MILLISECOND);
    if (UART_STATUS & UART_RECEIVED) return;
    WRITE("intenable", UART_AND_TIMER);
    __asm volatile("waiti 0\n\trsil a8, 15" ::: "a8", "memory");
    count_anew();
}

void grsn_port_mark(int32_t high) { (void)high; }

uint32_t grsn_port_boot_id(void) { return memory_slots_boot_id((uint32_t)now()); }
