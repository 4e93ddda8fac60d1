/* RP2350 (Raspberry Pi Pico 2), Arm core, at 150 MHz; UART0 on GPIO0 (to the host) and GPIO1.
 * Registers: RP2350 Datasheet, build 2024-08: §5.4 (boot ROM's functions), §5.9 (image definition),
 * §7.5 (resets), §8.1 (clocks), §8.2 (crystal), §8.5 (ticks), §8.6 (PLL), §9 (GPIO), §12.1 (UART),
 * §12.8 (timer).  GPIO25, the Pico's LED, is high while a step runs.
 *
 * All code runs from RAM (board.ld); model slots are flash, behind the first MiB. */
#define RESETS 0x40020000U
#define CLOCKS 0x40010000U
#define XOSC 0x40048000U
#define PLL 0x40050000U
#define PLL_DIVIDERS (5U << 16 | 2U << 12)
#define UART 0x40070000U
#define UART_IRQ 33U
#define UART_DIVIDER 81U /* 150 MHz / (16 * 115,200) = 81 + 24 / 64 */
#define UART_FRACTION 24U
#define TIMER 0x400B0000U
#define NEEDED (1U << 6 | 1U << 9 | 1U << 14 | 1U << 23 | 1U << 26) /* IO, pads, PLL, timer, UART */

#include "dwt.h"
#include "rp2.h"
#include "rp2350_flash.h"

#define IO_BANK(gpio) REGISTER(0x40028004U + 8U * (gpio))
#define PADS 0x40038004U
#define TICK_OF_TIMER(offset) REGISTER(0x40108018U + (offset))
#define ROSC_RANDOM REGISTER(0x400E8020U)
#define SIO(offset) REGISTER(0xD0000000U + (offset))
#define VECTOR_TABLE REGISTER(0xE000ED08U)
#define PIN_MARK 25U
#define CLOCK_HZ 150000000U

const grsn_board_t grsn_board = {
    "rp2350", CLOCK_HZ, GRSN_COUNTS_CYCLES, 2, FLASH_SLOT_SIZE, FLASH_SECTOR, FLASH_WRITE_SIZE,
};

extern uint32_t __stack_top[], __image_load[], __image_start[], __image_end[];
void grsn_start(void);

/* From flash to RAM, and there.  The boot ROM may have set a limit of the stack. */
__attribute__((naked, section(".boot"), used)) void enter(void);
void enter(void) {
    __asm volatile(
        "cpsid i\n"
        "movs r0, #0\n"
        "msr msplim, r0\n"
        "ldr r0, =__image_load\n"
        "ldr r1, =__image_start\n"
        "ldr r2, =__image_end\n"
        "1: cmp r1, r2\n"
        "bhs 2f\n"
        "ldr r3, [r0], #4\n"
        "str r3, [r1], #4\n"
        "b 1b\n"
        "2: ldr r0, =__stack_top\n"
        "mov sp, r0\n"
        "dsb\n"
        "isb\n"
        "ldr r0, =grsn_start\n"
        "bx r0\n");
}

/* What the boot ROM reads: stack, entry, and an image definition (§5.9.5.1): executable, secure,
 * Arm, RP2350; no other block. */
typedef struct boot {
    const void *stack;
    void (*entry)(void);
    uint32_t definition[5];
} boot_t;
__attribute__((section(".boot.vectors"), used)) static const boot_t boot = {
    __stack_top, enter, {0xFFFFDED3U, 0x10210142U, 0x000001FFU, 0U, 0xAB123579U},
};

/* Input on, slow edges, 4 mA, no pull; the pad is let go last. */
static void pin(uint32_t gpio, uint32_t function) {
    REGISTER(PADS + 4U * gpio) = 1U << 8 | 1U << 6 | 1U << 4 | 1U << 1;
    IO_BANK(gpio) = function;
    CLEAR(PADS, 4U * gpio) = 1U << 8;
}

void grsn_port_init(void) {
    VECTOR_TABLE = (uint32_t)(uintptr_t)__image_start;
    rp2_clocks();
    TICK_OF_TIMER(4U) = 12U; /* microseconds */
    TICK_OF_TIMER(0U) = 1U;
    pin(0U, 2U);
    pin(1U, 2U);
    pin(PIN_MARK, 5U);
    SIO(0x38U) = 1U << PIN_MARK;
    rp2_uart();
    cortex_m_tick_every(CLOCK_HZ / 100U);
    dwt_start();
}

uint32_t grsn_port_cycles(void) { return DWT_CYCLES; }

void grsn_port_mark(int32_t high) { SIO(high ? 0x18U : 0x20U) = 1U << PIN_MARK; }

uint32_t grsn_port_boot_id(void) {
    uint32_t id = TIMER_MICROSECONDS;
    for (int32_t i = 0; i < 32; i++) id = (id << 1 | id >> 31) ^ (ROSC_RANDOM & 1U);
    return id;
}
