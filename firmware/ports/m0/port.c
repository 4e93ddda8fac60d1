/* Cortex-M0: the BBC micro:bit (nRF51822), emulated.  Registers: nRF51 Series Reference Manual v3.0
 * (UART §29, TIMER §18, RNG §21, NVMC §6).  TIMER0 runs at 16 MHz, the processor's clock.
 * An emulated instruction takes 16.384 ticks; on silicon the same would count 1,024 ns. */
#include <stdint.h>

#include "cortex_m.h"

#define UART(offset) REGISTER(0x40002000U + (offset))
#define UART_START_RX UART(0x000U)
#define UART_START_TX UART(0x008U)
#define UART_RX_READY UART(0x108U)
#define UART_TX_READY UART(0x11CU)
#define UART_INTERRUPT_SET UART(0x304U)
#define UART_ENABLE UART(0x500U)
#define UART_PIN_TX UART(0x50CU)
#define UART_PIN_RX UART(0x514U)
#define UART_RX UART(0x518U)
#define UART_TX UART(0x51CU)
#define UART_BAUD UART(0x524U)
#define UART_IRQ 2U

#define TIMER0(offset) REGISTER(0x40008000U + (offset))
#define TIMER1(offset) REGISTER(0x40009000U + (offset))
#define TIMER_START 0x000U
#define TIMER_CAPTURE 0x040U
#define TIMER_COMPARED 0x140U
#define TIMER_SHORTS 0x200U
#define TIMER_INTERRUPT_SET 0x304U
#define TIMER_BITS 0x508U
#define TIMER_PRESCALER 0x510U
#define TIMER_VALUE 0x540U
#define TIMER1_IRQ 9U

#define RNG(offset) REGISTER(0x4000D000U + (offset))
#define NVMC(offset) REGISTER(0x4001E000U + (offset))
#define NVMC_READY NVMC(0x400U)
#define NVMC_MODE NVMC(0x504U)
#define NVMC_ERASE_PAGE NVMC(0x508U)

#define SLOT_SIZE 0xC000U
#define PAGE_SIZE 0x400U

static uint32_t timer0(void) {
    TIMER0(TIMER_CAPTURE) = 1U;
    return TIMER0(TIMER_VALUE);
}

#define TIMER_NOW timer0()
#define TICKS_PER_MILLISECOND 16000U

#include "emulated_time.h"

extern uint8_t __slots[];

const grsn_board_t grsn_board = {
    "m0", 0, GRSN_COUNTS_INSTRUCTIONS, 2, SLOT_SIZE, PAGE_SIZE, 4U,
};

void grsn_port_init(void) {
    TIMER0(TIMER_BITS) = 3U; /* 32 bits */
    TIMER0(TIMER_PRESCALER) = 0U;
    TIMER0(TIMER_START) = 1U;
    TIMER1(TIMER_PRESCALER) = 4U; /* 1 MHz, 16 bits */
    TIMER1(TIMER_VALUE) = 10000U;
    TIMER1(TIMER_SHORTS) = 1U; /* clear on compare: every 10 ms */
    TIMER1(TIMER_INTERRUPT_SET) = 1U << 16;
    TIMER1(TIMER_START) = 1U;
    UART_PIN_TX = 24U; /* micro:bit v1: P0.24 to the interface chip, P0.25 from it */
    UART_PIN_RX = 25U;
    UART_BAUD = 0x01D7E000U; /* 115,200 */
    UART_ENABLE = 4U;
    UART_INTERRUPT_SET = 1U << 2;
    UART_START_RX = 1U;
    UART_START_TX = 1U;
    cortex_m_wake_on(UART_IRQ);
    cortex_m_wake_on(TIMER1_IRQ);
}

int32_t grsn_port_receive(void) {
    if (!UART_RX_READY) return -1;
    UART_RX_READY = 0U;
    return (int32_t)(UART_RX & 0xFFU);
}

void grsn_port_send(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        UART_TX_READY = 0U;
        UART_TX = bytes[i];
        while (!UART_TX_READY) {
        }
    }
}

/* 16.384 = 2048 / 125, and 125 = 128 - 4 + 1: no 64-bit multiplication, which would be a call. */
uint32_t grsn_port_cycles(void) {
    uint64_t passed = now() - origin;
    return count_then + (uint32_t)(((passed << 7) - (passed << 2) + passed + 1024U) >> 11);
}

void grsn_port_watchdog(void) {}

void grsn_port_idle(void) {
    TIMER1(TIMER_COMPARED) = 0U;
    cortex_m_unpend(TIMER1_IRQ);
    if (UART_RX_READY) return;
    cortex_m_unpend(UART_IRQ);
    if (!UART_RX_READY) cortex_m_sleep();
    count_anew();
}

void grsn_port_mark(int32_t high) { (void)high; }

/* Four bytes of the random number generator. */
uint32_t grsn_port_boot_id(void) {
    uint32_t id = 0;
    RNG(0x000U) = 1U; /* start */
    for (int32_t i = 0; i < 4; i++) {
        RNG(0x100U) = 0U; /* value ready */
        while (!RNG(0x100U)) {
        }
        id = (id << 8) | (RNG(0x508U) & 0xFFU);
    }
    return id;
}

const uint8_t *grsn_port_slot(uint32_t slot) { return __slots + slot * SLOT_SIZE; }

static void flash_mode(uint32_t mode) {
    NVMC_MODE = mode;
    while (!NVMC_READY) {
    }
}

int32_t grsn_port_slot_erase(uint32_t slot, uint32_t offset) {
    flash_mode(2U);
    NVMC_ERASE_PAGE = (uint32_t)(uintptr_t)__slots + slot * SLOT_SIZE + offset;
    flash_mode(0U);
    return 0;
}

int32_t grsn_port_slot_write(uint32_t slot, uint32_t offset, const uint8_t *bytes, uint32_t count) {
    volatile uint32_t *target = (volatile uint32_t *)(__slots + slot * SLOT_SIZE + offset);
    for (uint32_t i = 0; i + 4U <= count; i += 4U) {
        flash_mode(1U);
        *target++ = (uint32_t)bytes[i] | (uint32_t)bytes[i + 1U] << 8 |
                    (uint32_t)bytes[i + 2U] << 16 | (uint32_t)bytes[i + 3U] << 24;
    }
    flash_mode(0U);
    return 0;
}
