/* RP2040 (Raspberry Pi Pico) at 125 MHz; UART0 on GPIO0 (to the host) and GPIO1.
 * Registers: RP2040 Datasheet, build 2024-02: §2.14 (resets), §2.15 to §2.18 (clocks, crystal, PLL),
 * §2.19 (GPIO), §4.2 (UART), §4.6 (timer).  GPIO25, the Pico's LED, is high while a step runs.
 *
 * The whole firmware lies in RAM, where picotool puts it: no second-stage boot loader, and nothing
 * in flash is touched.  Model slots are RAM, too: what was loaded lasts until power goes. */
#include <stdint.h>

#include "cortex_m.h"
#include "grsn_port.h"
#include "memory_slots.h"

#define CLEAR(base, offset) REGISTER((base) + 0x3000U + (offset)) /* alias: clears what is set */
#define RESETS 0x4000C000U
#define CLOCKS(offset) REGISTER(0x40008000U + (offset))
#define IO_BANK(gpio) REGISTER(0x40014004U + 8U * (gpio))
#define XOSC(offset) REGISTER(0x40024000U + (offset))
#define PLL 0x40028000U
#define UART(offset) REGISTER(0x40034000U + (offset))
#define UART_FLAGS UART(0x18U)
#define UART_IRQ 20U
#define TIMER_MICROSECONDS REGISTER(0x40054028U)
#define WATCHDOG_TICK REGISTER(0x4005802CU)
#define ROSC_RANDOM REGISTER(0x4006001CU)
#define SIO(offset) REGISTER(0xD0000000U + (offset))
#define VECTOR_TABLE REGISTER(0xE000ED08U)
#define PIN_MARK 25U

#define CLOCK_HZ 125000000U
#define NEEDED (1U << 5 | 1U << 8 | 1U << 12 | 1U << 21 | 1U << 22) /* IO, pads, PLL, timer, UART */

const grsn_board_t grsn_board = {
    "rp2040", CLOCK_HZ, GRSN_COUNTS_CYCLES, 2, MEMORY_SLOT_SIZE, MEMORY_ERASE_SIZE,
    MEMORY_WRITE_SIZE,
};

static uint32_t cycles, last_tick, milliseconds, counted;

/* Where the boot ROM jumps to: the first bytes of a program in RAM. */
__attribute__((naked, section(".boot"), used)) void enter(void);
void enter(void) {
    __asm volatile(
        "ldr r0, =__stack_top\n"
        "mov sp, r0\n"
        "ldr r0, =grsn_start\n"
        "bx r0\n");
}

/* Crystal 12 MHz * 125 / 6 / 2. */
static void clocks(void) {
    XOSC(0x0CU) = 47U;
    XOSC(0x00U) = 0xFABU << 12 | 0xAA0U;
    while (!(XOSC(0x04U) & 1U << 31)) {
    }
    CLOCKS(0x30U) = 2U; /* reference: the crystal */
    while (!(CLOCKS(0x38U) & 1U << 2)) {
    }
    CLOCKS(0x3CU) = 0U; /* system: the reference, while the PLL starts */
    while (!(CLOCKS(0x44U) & 1U)) {
    }
    CLEAR(RESETS, 0U) = NEEDED;
    while ((REGISTER(RESETS + 8U) & NEEDED) != NEEDED) {
    }
    REGISTER(PLL) = 1U;
    REGISTER(PLL + 8U) = 125U;
    CLEAR(PLL, 4U) = 1U | 1U << 5;
    while (!(REGISTER(PLL) & 1U << 31)) {
    }
    REGISTER(PLL + 12U) = 6U << 16 | 2U << 12;
    CLEAR(PLL, 4U) = 1U << 3;
    CLOCKS(0x3CU) = 1U; /* system: the PLL */
    while (!(CLOCKS(0x44U) & 2U)) {
    }
    CLOCKS(0x48U) = 1U << 11;      /* peripherals: as the system */
    WATCHDOG_TICK = 12U | 1U << 9; /* the timer: microseconds */
}

void grsn_port_init(void) {
    VECTOR_TABLE = 0x20000100U;
    clocks();
    IO_BANK(0U) = 2U;
    IO_BANK(1U) = 2U;
    IO_BANK(PIN_MARK) = 5U;
    SIO(0x24U) = 1U << PIN_MARK;
    UART(0x24U) = 67U; /* 125 MHz / (16 * 115,200) = 67 + 52 / 64 */
    UART(0x28U) = 52U;
    UART(0x2CU) = 3U << 5 | 1U << 4;
    UART(0x30U) = 1U | 3U << 8;
    UART(0x38U) = 1U << 4 | 1U << 6;
    cortex_m_wake_on(UART_IRQ);
    cortex_m_tick_every(1U << 24);
    last_tick = SYSTICK_VALUE;
    *__seed = 0;
    for (int32_t i = 0; i < 32; i++) *__seed = *__seed << 1 | (ROSC_RANDOM & 1U);
}

int32_t grsn_port_receive(void) {
    return UART_FLAGS & 1U << 4 ? -1 : (int32_t)(UART(0x00U) & 0xFFU);
}

void grsn_port_send(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        while (UART_FLAGS & 1U << 5) {
        }
        UART(0x00U) = bytes[i];
    }
}

/* SysTick counts down through 24 bits, 134 ms: right while a step takes less. */
uint32_t grsn_port_cycles(void) {
    uint32_t tick = SYSTICK_VALUE;
    cycles += (last_tick - tick) & 0xFFFFFFU;
    last_tick = tick;
    return cycles;
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
    UART(0x44U) = 1U << 4 | 1U << 6;
    cortex_m_unpend(UART_IRQ);
    SCB_CONTROL = SCB_UNPEND_SYSTICK;
    if (UART_FLAGS & 1U << 4) cortex_m_sleep();
}

void grsn_port_mark(int32_t high) { SIO(high ? 0x14U : 0x18U) = 1U << PIN_MARK; }

uint32_t grsn_port_boot_id(void) { return memory_slots_boot_id(TIMER_MICROSECONDS); }
