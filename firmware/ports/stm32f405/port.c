/* STM32F405 at 168 MHz from its internal oscillator; USART1 on PA9 (to the host) and PA10.
 * Registers: ST RM0090 rev 19, §6 (clocks), §8 (GPIO), §30 (USART), §24 (RNG), §3 (flash).
 * Model slots are flash sectors 10 and 11, 128 KiB each.  PA5 is high while a step runs. */
#include <stdint.h>

#include "cortex_m.h"
#include "dwt.h"
#include "grsn_port.h"

#define RCC(offset) REGISTER(0x40023800U + (offset))
#define RCC_CONTROL RCC(0x00U)
#define RCC_PLL RCC(0x04U)
#define RCC_CONFIGURATION RCC(0x08U)
#define RCC_AHB1 RCC(0x30U)
#define RCC_AHB2 RCC(0x34U)
#define RCC_APB2 RCC(0x44U)
#define GPIOA(offset) REGISTER(0x40020000U + (offset))
#define USART_STATUS REGISTER(0x40011000U)
#define USART_DATA REGISTER(0x40011004U)
#define USART_DIVIDER REGISTER(0x40011008U)
#define USART_CONTROL REGISTER(0x4001100CU)
#define USART_IRQ 37U
#define RNG(offset) REGISTER(0x50060800U + (offset))
#define FLASH(offset) REGISTER(0x40023C00U + (offset))
#define FLASH_ACCESS FLASH(0x00U)
#define FLASH_KEY FLASH(0x04U)
#define FLASH_STATUS FLASH(0x0CU)
#define FLASH_CONTROL FLASH(0x10U)

#define CLOCK_HZ 168000000U
#define SLOT_SIZE 0x20000U
#define FIRST_SECTOR 10U
#define PATIENCE 100000U /* looks at a flag that a broken chip, or an emulator, never sets */

extern uint8_t __slots[];

const grsn_board_t grsn_board = {
    "stm32f405", CLOCK_HZ, GRSN_COUNTS_CYCLES, 2, SLOT_SIZE, SLOT_SIZE, 4U,
};

static int32_t wait_for(volatile uint32_t *flags, uint32_t mask, uint32_t value) {
    for (uint32_t i = 0; i < PATIENCE; i++) {
        if ((*flags & mask) == value) return 0;
    }
    return -1;
}

/* 16 MHz / 16 * 336 / 2; APB1 a quarter of it, APB2 half. */
static void clocks(void) {
    RCC_PLL = 16U | 336U << 6 | 7U << 24;
    RCC_CONTROL |= 1U << 24;
    if (wait_for(&RCC_CONTROL, 1U << 25, 1U << 25)) return;
    FLASH_ACCESS = 5U | 7U << 8; /* five wait states; prefetch and caches */
    RCC_CONFIGURATION = 5U << 10 | 4U << 13 | 2U;
    (void)wait_for(&RCC_CONFIGURATION, 3U << 2, 2U << 2);
}

void grsn_port_init(void) {
    clocks();
    RCC_AHB1 |= 1U;
    RCC_AHB2 |= 1U << 6;
    RCC_APB2 |= 1U << 4;
    GPIOA(0x24U) = (GPIOA(0x24U) & ~0xFF0U) | 0x770U;                          /* function 7 */
    GPIOA(0x00U) = (GPIOA(0x00U) & ~(0xFU << 18 | 3U << 10)) | 0xAU << 18 | 1U << 10;
    USART_DIVIDER = CLOCK_HZ / 2U / 115200U;
    USART_CONTROL = 1U << 13 | 1U << 5 | 1U << 3 | 1U << 2;
    cortex_m_wake_on(USART_IRQ);
    cortex_m_tick_every(CLOCK_HZ / 100U);
    dwt_start();
}

int32_t grsn_port_receive(void) {
    return USART_STATUS & 1U << 5 ? (int32_t)(USART_DATA & 0xFFU) : -1;
}

void grsn_port_send(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        while (!(USART_STATUS & 1U << 7)) {
        }
        USART_DATA = bytes[i];
    }
}

uint32_t grsn_port_cycles(void) { return DWT_CYCLES; }

uint32_t grsn_port_milliseconds(void) { return dwt_milliseconds(CLOCK_HZ / 1000U); }

void grsn_port_watchdog(void) {}

void grsn_port_idle(void) {
    cortex_m_unpend(USART_IRQ);
    SCB_CONTROL = SCB_UNPEND_SYSTICK;
    if (!(USART_STATUS & 1U << 5)) cortex_m_sleep();
}

void grsn_port_mark(int32_t high) { GPIOA(0x18U) = high ? 1U << 5 : 1U << 21; }

uint32_t grsn_port_boot_id(void) {
    RNG(0x00U) = 1U << 2;
    (void)wait_for(&RNG(0x04U), 1U, 1U);
    return RNG(0x08U) ^ DWT_CYCLES;
}

const uint8_t *grsn_port_slot(uint32_t slot) { return __slots + slot * SLOT_SIZE; }

static void unlock(void) {
    if (FLASH_CONTROL & 1U << 31) {
        FLASH_KEY = 0x45670123U;
        FLASH_KEY = 0xCDEF89ABU;
    }
    FLASH_STATUS = 0xF2U; /* clear errors */
}

/* Wait for the flash, lock it, forget what the data cache holds. */
static int32_t finish(void) {
    while (FLASH_STATUS & 1U << 16) {
    }
    FLASH_CONTROL = 1U << 31;
    FLASH_ACCESS &= ~(1U << 10);
    FLASH_ACCESS |= 1U << 12;
    FLASH_ACCESS &= ~(1U << 12);
    FLASH_ACCESS |= 1U << 10;
    return FLASH_STATUS & 0xF2U ? -1 : 0;
}

int32_t grsn_port_slot_erase(uint32_t slot, uint32_t offset) {
    (void)offset; /* a slot is one sector */
    unlock();
    FLASH_CONTROL = 2U << 8 | (FIRST_SECTOR + slot) << 3 | 2U;
    FLASH_CONTROL |= 1U << 16;
    return finish();
}

int32_t grsn_port_slot_write(uint32_t slot, uint32_t offset, const uint8_t *bytes, uint32_t count) {
    volatile uint32_t *target = (volatile uint32_t *)(__slots + slot * SLOT_SIZE + offset);
    unlock();
    FLASH_CONTROL = 2U << 8 | 1U;
    for (uint32_t i = 0; i + 4U <= count; i += 4U) {
        *target++ = (uint32_t)bytes[i] | (uint32_t)bytes[i + 1U] << 8 |
                    (uint32_t)bytes[i + 2U] << 16 | (uint32_t)bytes[i + 3U] << 24;
        while (FLASH_STATUS & 1U << 16) {
        }
    }
    return finish();
}
