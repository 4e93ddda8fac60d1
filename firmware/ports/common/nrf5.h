/* Nordic nRF51 and nRF52: UART at 115,200 baud, random numbers, model slots in flash.
 * Registers: the chip's Product Specification or Reference Manual, chapters UART, RNG, NVMC.
 *
 * A port defines PIN_TX (to the host), PIN_RX, SLOT_SIZE and PAGE_SIZE (of flash), then includes
 * this file; its grsn_port_init calls nrf5_uart. */
#ifndef GRSN_NRF5_H
#define GRSN_NRF5_H

#include <stdint.h>

#include "cortex_m.h"
#include "grsn_port.h"

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

#define RNG(offset) REGISTER(0x4000D000U + (offset))
#define RNG_START RNG(0x000U)
#define RNG_READY RNG(0x100U)
#define RNG_VALUE RNG(0x508U)

#define NVMC(offset) REGISTER(0x4001E000U + (offset))
#define NVMC_READY NVMC(0x400U)
#define NVMC_MODE NVMC(0x504U)
#define NVMC_ERASE_PAGE NVMC(0x508U)

#define FLASH_WRITE_SIZE 4U

extern uint8_t __slots[];

static void nrf5_uart(void) {
    UART_PIN_TX = PIN_TX;
    UART_PIN_RX = PIN_RX;
    UART_BAUD = 0x01D7E000U;      /* 115,200 */
    UART_INTERRUPT_SET = 1U << 2; /* a byte has come */
    UART_ENABLE = 4U;
    UART_START_RX = 1U;
    UART_START_TX = 1U;
    cortex_m_wake_on(UART_IRQ);
}

int32_t grsn_port_receive(void) {
    if (!UART_RX_READY) return -1;
    UART_RX_READY = 0U; /* before the byte is read: the next sets it again */
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

void grsn_port_watchdog(void) {}

/* Four bytes of the random number generator. */
uint32_t grsn_port_boot_id(void) {
    uint32_t id = 0;
    RNG_START = 1U;
    for (int32_t i = 0; i < 4; i++) {
        RNG_READY = 0U;
        while (!RNG_READY) {
        }
        id = id << 8 | (RNG_VALUE & 0xFFU);
    }
    return id;
}

const uint8_t *grsn_port_slot(uint32_t slot) { return __slots + slot * SLOT_SIZE; }

static void flash_mode(uint32_t mode) {
    while (!(NVMC_READY & 1U)) {
    }
    NVMC_MODE = mode;
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

#endif
