/* RISC-V 32: the machine `virt` of QEMU, a 16550 UART, CLINT and PLIC.
 * Registers: NS16550A data sheet; RISC-V privileged manual; QEMU's docs/system/riscv/virt.rst.
 * mtime counts 100 ns, 10.24 for an instruction. */
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define MTIMECMP_LOW REGISTER(0x02004000U)
#define MTIMECMP_HIGH REGISTER(0x02004004U)
#define MTIME_LOW REGISTER(0x0200BFF8U)
#define MTIME_HZ 10000000U
#define PLIC_PRIORITY REGISTER(0x0C000000U + 4U * UART_IRQ)
#define PLIC_ENABLE REGISTER(0x0C002000U)
#define PLIC_THRESHOLD REGISTER(0x0C200000U)
#define PLIC_CLAIM REGISTER(0x0C200004U)
#define MIE_TIMER_AND_EXTERNAL 0x880U

#define UART(index) (*(volatile uint8_t *)(0x10000000U + (index)))
#define UART_IRQ 10U
#define TIMER_NOW MTIME_LOW
#define TICKS_PER_MILLISECOND (MTIME_HZ / 1000U)

#include "emulated_time.h"
#include "memory_slots.h"
#include "ns16550.h"

const grsn_board_t grsn_board = {
    "rv32", 0, GRSN_COUNTS_INSTRUCTIONS, 2, MEMORY_SLOT_SIZE, MEMORY_ERASE_SIZE, MEMORY_WRITE_SIZE,
};

/* Timer interrupt at `at` of mtime: high half out of reach while the low half is written. */
static void wake_at(uint64_t at) {
    MTIMECMP_HIGH = 0xFFFFFFFFU;
    MTIMECMP_LOW = (uint32_t)at;
    MTIMECMP_HIGH = (uint32_t)(at >> 32);
}

void grsn_port_init(void) {
    UART_INTERRUPTS = 1U;
    PLIC_PRIORITY = 1U;
    PLIC_ENABLE = 1U << UART_IRQ;
    PLIC_THRESHOLD = 0U;
    __asm volatile("csrw mie, %0" ::"r"(MIE_TIMER_AND_EXTERNAL));
}

uint32_t grsn_port_cycles(void) {
    return count_then + (uint32_t)(((now() - origin) * 25U + 128U) >> 8); /* / 10.24 */
}

void grsn_port_watchdog(void) {}

void grsn_port_idle(void) {
    uint32_t claimed = PLIC_CLAIM;
    PLIC_CLAIM = claimed;
    wake_at(now() + 10U * TICKS_PER_MILLISECOND);
    if (UART_STATUS & UART_RECEIVED) return;
    __asm volatile("wfi" ::: "memory");
    count_anew();
}

void grsn_port_mark(int32_t high) { (void)high; }

uint32_t grsn_port_boot_id(void) { return memory_slots_boot_id(MTIME_LOW); }
