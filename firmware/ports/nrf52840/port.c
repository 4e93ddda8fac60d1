/* nRF52840 at 64 MHz: UART on P0.06 (to the host) and P0.08, as on the development kit.
 * Registers: Nordic nRF52840 Product Specification v1.8, §6.33 (UART), §5.4 (CLOCK), §6.20 (RNG),
 * §4.3 (NVMC), §6.9 (GPIO).  P0.13, the kit's LED 1 (lit when low), is high while a step runs. */
#define PIN_TX 6U
#define PIN_RX 8U
#define SLOT_SIZE 0x10000U
#define PAGE_SIZE 0x1000U

#include "dwt.h"
#include "nrf5.h"

#define CLOCK(offset) REGISTER(0x40000000U + (offset))
#define GPIO(offset) REGISTER(0x50000000U + (offset))
#define PIN_MARK 13U
#define CLOCK_HZ 64000000U

const grsn_board_t grsn_board = {
    "nrf52840", CLOCK_HZ, GRSN_COUNTS_CYCLES, 2, SLOT_SIZE, PAGE_SIZE, FLASH_WRITE_SIZE,
};

void grsn_port_init(void) {
    CLOCK(0x100U) = 0U;
    CLOCK(0x000U) = 1U; /* the crystal: a baud rate that can be trusted */
    while (!CLOCK(0x100U)) {
    }
    GPIO(0x508U) = 1U << PIN_TX; /* idle level of the sending pin, then direction */
    GPIO(0x518U) = 1U << PIN_TX | 1U << PIN_MARK;
    nrf5_uart();
    cortex_m_tick_every(CLOCK_HZ / 100U);
    dwt_start();
}

uint32_t grsn_port_cycles(void) { return DWT_CYCLES; }

uint32_t grsn_port_milliseconds(void) { return dwt_milliseconds(CLOCK_HZ / 1000U); }

/* WFI would stop the cycle counter on this chip, and with it the milliseconds: do not sleep. */
void grsn_port_idle(void) {}

void grsn_port_mark(int32_t high) { GPIO(high ? 0x508U : 0x50CU) = 1U << PIN_MARK; }
