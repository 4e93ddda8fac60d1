/* Cortex-M0: the BBC micro:bit (nRF51822), emulated.  Registers: nRF51 Series Reference Manual v3.0
 * (UART §29, TIMER §18, RNG §21, NVMC §6).  TIMER0 runs at 16 MHz, the processor's clock.
 * An emulated instruction takes 16.384 ticks; on silicon the same would count 1,024 ns. */
#define PIN_TX 24U /* micro:bit v1: P0.24 to the interface chip, P0.25 from it */
#define PIN_RX 25U
#define SLOT_SIZE 0xC000U
#define PAGE_SIZE 0x400U

#include "nrf5.h"

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

static uint32_t timer0(void) {
    TIMER0(TIMER_CAPTURE) = 1U;
    return TIMER0(TIMER_VALUE);
}

#define TIMER_NOW timer0()
#define TICKS_PER_MILLISECOND 16000U

#include "emulated_time.h"

const grsn_board_t grsn_board = {
    "m0", 0, GRSN_COUNTS_INSTRUCTIONS, 2, SLOT_SIZE, PAGE_SIZE, FLASH_WRITE_SIZE,
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
    nrf5_uart();
    cortex_m_wake_on(TIMER1_IRQ);
}

/* 16.384 = 2048 / 125, and 125 = 128 - 4 + 1: no 64-bit multiplication, which would be a call. */
uint32_t grsn_port_cycles(void) {
    uint64_t passed = now() - origin;
    return count_then + (uint32_t)(((passed << 7) - (passed << 2) + passed + 1024U) >> 11);
}

void grsn_port_idle(void) {
    TIMER1(TIMER_COMPARED) = 0U;
    cortex_m_unpend(TIMER1_IRQ);
    if (UART_RX_READY) return;
    cortex_m_unpend(UART_IRQ);
    if (!UART_RX_READY) cortex_m_sleep();
    count_anew();
}

void grsn_port_mark(int32_t high) { (void)high; }
