/* RP2040 (Raspberry Pi Pico) at 125 MHz; UART0 on GPIO0 (to the host) and GPIO1.
 * Registers: RP2040 Datasheet, build 2024-02: §2.14 (resets), §2.15 to §2.18 (clocks, crystal, PLL),
 * §2.19 (GPIO), §4.2 (UART), §4.6 (timer).  GPIO25, the Pico's LED, is high while a step runs.
 *
 * The whole firmware lies in RAM, where picotool puts it: no second-stage boot loader, and nothing
 * in flash is touched.  Model slots are RAM, too: what was loaded lasts until power goes. */
#define RESETS 0x4000C000U
#define CLOCKS 0x40008000U
#define XOSC 0x40024000U
#define PLL 0x40028000U
#define PLL_DIVIDERS (6U << 16 | 2U << 12)
#define UART 0x40034000U
#define UART_IRQ 20U
#define UART_DIVIDER 67U /* 125 MHz / (16 * 115,200) = 67 + 52 / 64 */
#define UART_FRACTION 52U
#define TIMER 0x40054000U
#define NEEDED (1U << 5 | 1U << 8 | 1U << 12 | 1U << 21 | 1U << 22) /* IO, pads, PLL, timer, UART */

#include "memory_slots.h"
#include "rp2.h"

#define IO_BANK(gpio) REGISTER(0x40014004U + 8U * (gpio))
#define WATCHDOG_TICK REGISTER(0x4005802CU)
#define ROSC_RANDOM REGISTER(0x4006001CU)
#define SIO(offset) REGISTER(0xD0000000U + (offset))
#define VECTOR_TABLE REGISTER(0xE000ED08U)
#define PIN_MARK 25U

const grsn_board_t grsn_board = {
    "rp2040", 125000000U, GRSN_COUNTS_CYCLES, 2, MEMORY_SLOT_SIZE, MEMORY_ERASE_SIZE,
    MEMORY_WRITE_SIZE,
};

static uint32_t cycles, last_tick;

/* Where the boot ROM jumps to: the first bytes of a program in RAM. */
__attribute__((naked, section(".boot"), used)) void enter(void);
void enter(void) {
    __asm volatile(
        "ldr r0, =__stack_top\n"
        "mov sp, r0\n"
        "ldr r0, =grsn_start\n"
        "bx r0\n");
}

void grsn_port_init(void) {
    VECTOR_TABLE = 0x20000100U;
    rp2_clocks();
    WATCHDOG_TICK = 12U | 1U << 9; /* the timer: microseconds */
    IO_BANK(0U) = 2U;
    IO_BANK(1U) = 2U;
    IO_BANK(PIN_MARK) = 5U;
    SIO(0x24U) = 1U << PIN_MARK;
    rp2_uart();
    cortex_m_tick_every(1U << 24);
    last_tick = SYSTICK_VALUE;
    *__seed = 0;
    for (int32_t i = 0; i < 32; i++) *__seed = *__seed << 1 | (ROSC_RANDOM & 1U);
}

/* SysTick counts down through 24 bits, 134 ms: right while a step takes less. */
uint32_t grsn_port_cycles(void) {
    uint32_t tick = SYSTICK_VALUE;
    cycles += (last_tick - tick) & 0xFFFFFFU;
    last_tick = tick;
    return cycles;
}

void grsn_port_mark(int32_t high) { SIO(high ? 0x14U : 0x18U) = 1U << PIN_MARK; }

uint32_t grsn_port_boot_id(void) { return memory_slots_boot_id(TIMER_MICROSECONDS); }
