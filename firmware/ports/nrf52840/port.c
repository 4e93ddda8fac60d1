/* nRF52840 at 64 MHz: UART on P0.06 (to the host) and P0.08, as on the development kit.
 * Registers: Nordic nRF52840 Product Specification v1.8, §6.33 (UART), §5.4 (CLOCK), §6.20 (RNG),
 * §4.3 (NVMC), §6.9 (GPIO).  P0.13, the kit's LED 1 (lit when low), is high while a step runs. */
#include <stdint.h>

#include "cortex_m.h"
#include "dwt.h"
#include "grsn_port.h"

#define UART(offset) REGISTER(0x40002000U + (offset))
#define UART_RX_READY UART(0x108U)
#define UART_TX_READY UART(0x11CU)
#define UART_IRQ 2U
#define CLOCK(offset) REGISTER(0x40000000U + (offset))
#define RNG(offset) REGISTER(0x4000D000U + (offset))
#define NVMC(offset) REGISTER(0x4001E000U + (offset))
#define GPIO(offset) REGISTER(0x50000000U + (offset))
#define PIN_MARK 13U

#define CLOCK_HZ 64000000U
#define SLOT_SIZE 0x10000U
#define PAGE_SIZE 0x1000U

extern uint8_t __slots[];

const grsn_board_t grsn_board = {
    "nrf52840", CLOCK_HZ, GRSN_COUNTS_CYCLES, 2, SLOT_SIZE, PAGE_SIZE, 4U,
};

void grsn_port_init(void) {
    CLOCK(0x100U) = 0U;
    CLOCK(0x000U) = 1U; /* the crystal: a baud rate that can be trusted */
    while (!CLOCK(0x100U)) {
    }
    GPIO(0x508U) = 1U << 6; /* idle level of the sending pin, then direction */
    GPIO(0x518U) = 1U << 6 | 1U << PIN_MARK;
    UART(0x50CU) = 6U;
    UART(0x514U) = 8U;
    UART(0x524U) = 0x01D7E000U; /* 115,200 */
    UART(0x304U) = 1U << 2;     /* interrupt: a byte has come */
    UART(0x500U) = 4U;
    UART(0x000U) = 1U;
    UART(0x008U) = 1U;
    cortex_m_wake_on(UART_IRQ);
    cortex_m_tick_every(CLOCK_HZ / 100U);
    dwt_start();
}

int32_t grsn_port_receive(void) {
    if (!UART_RX_READY) return -1;
    UART_RX_READY = 0U; /* before the byte is read: the next sets it again */
    return (int32_t)(UART(0x518U) & 0xFFU);
}

void grsn_port_send(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        UART_TX_READY = 0U;
        UART(0x51CU) = bytes[i];
        while (!UART_TX_READY) {
        }
    }
}

uint32_t grsn_port_cycles(void) { return DWT_CYCLES; }

uint32_t grsn_port_milliseconds(void) { return dwt_milliseconds(CLOCK_HZ / 1000U); }

void grsn_port_watchdog(void) {}

/* WFI would stop the cycle counter on this chip, and with it the milliseconds: do not sleep. */
void grsn_port_idle(void) {}

void grsn_port_mark(int32_t high) { GPIO(high ? 0x508U : 0x50CU) = 1U << PIN_MARK; }

uint32_t grsn_port_boot_id(void) {
    uint32_t id = 0;
    RNG(0x000U) = 1U;
    for (int32_t i = 0; i < 4; i++) {
        RNG(0x100U) = 0U;
        while (!RNG(0x100U)) {
        }
        id = id << 8 | (RNG(0x508U) & 0xFFU);
    }
    return id;
}

const uint8_t *grsn_port_slot(uint32_t slot) { return __slots + slot * SLOT_SIZE; }

static void flash_mode(uint32_t mode) {
    while (!(NVMC(0x400U) & 1U)) {
    }
    NVMC(0x504U) = mode;
}

int32_t grsn_port_slot_erase(uint32_t slot, uint32_t offset) {
    flash_mode(2U);
    NVMC(0x508U) = (uint32_t)(uintptr_t)__slots + slot * SLOT_SIZE + offset;
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
