/* RISC-V 32: the machine `virt` of QEMU, a 16550 UART, CLINT and PLIC.
 * Registers: NS16550A data sheet; RISC-V privileged manual; QEMU's docs/system/riscv/virt.rst.
 *
 * The emulators run one instruction in 1,024 ns of the board's time, mtime counts 100 ns: 10.24
 * ticks for each, so whole instructions are recovered exactly. */
#include <stdint.h>

#include "grsn_port.h"
#include "memory_slots.h"

#define UART(offset) (*(volatile uint8_t *)(0x10000000U + (offset)))
#define UART_DATA UART(0U)
#define UART_INTERRUPTS UART(1U)
#define UART_STATUS UART(5U)
#define UART_RECEIVED 0x01U
#define UART_EMPTY 0x20U
#define UART_IRQ 10U

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define MTIMECMP_LOW REGISTER(0x02004000U)
#define MTIMECMP_HIGH REGISTER(0x02004004U)
#define MTIME_LOW REGISTER(0x0200BFF8U)
#define MTIME_HZ 10000000U
#define TICKS_PER_MILLISECOND (MTIME_HZ / 1000U)
#define PLIC_PRIORITY REGISTER(0x0C000000U + 4U * UART_IRQ)
#define PLIC_ENABLE REGISTER(0x0C002000U)
#define PLIC_THRESHOLD REGISTER(0x0C200000U)
#define PLIC_CLAIM REGISTER(0x0C200004U)
#define MIE_TIMER_AND_EXTERNAL 0x880U

const grsn_board_t grsn_board = {
    "rv32", 0, GRSN_COUNTS_INSTRUCTIONS, 2, MEMORY_SLOT_SIZE, MEMORY_ERASE_SIZE, MEMORY_WRITE_SIZE,
};

static uint64_t ticks, counted; /* since the start; of them, counted as milliseconds */
static uint64_t origin; /* of the ticks at the end of the last sleep */
static uint32_t last, milliseconds, count_then;

static uint64_t now(void) {
    uint32_t low = MTIME_LOW;
    ticks += low - last;
    last = low;
    return ticks;
}

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

int32_t grsn_port_receive(void) {
    return UART_STATUS & UART_RECEIVED ? (int32_t)UART_DATA : -1;
}

void grsn_port_send(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        while (!(UART_STATUS & UART_EMPTY)) {
        }
        UART_DATA = bytes[i];
    }
}

uint32_t grsn_port_cycles(void) {
    return count_then + (uint32_t)(((now() - origin) * 25U + 128U) >> 8); /* / 10.24 */
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
    uint32_t claimed = PLIC_CLAIM;
    PLIC_CLAIM = claimed;
    wake_at(now() + 10U * TICKS_PER_MILLISECOND);
    if (UART_STATUS & UART_RECEIVED) return;
    __asm volatile("wfi" ::: "memory");
    count_then = grsn_port_cycles(); /* a sleep takes no whole number of instructions: start anew */
    origin = ticks;
}

void grsn_port_mark(int32_t high) { (void)high; }

uint32_t grsn_port_boot_id(void) { return memory_slots_boot_id(MTIME_LOW); }
