/* Cortex-M: the few core registers that ports use (Armv6-M, Armv7-M and Armv8-M reference manuals:
 * System Control Space), and sleeping without interrupt handlers.
 *
 * Ports take no interrupts: PRIMASK stays set from the first instruction on.  A pending interrupt
 * that is enabled in the NVIC still ends WFI, which is all that a main loop needs to sleep. */
#ifndef GRSN_CORTEX_M_H
#define GRSN_CORTEX_M_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define SYSTICK_CONTROL REGISTER(0xE000E010U)
#define SYSTICK_RELOAD REGISTER(0xE000E014U)
#define SYSTICK_VALUE REGISTER(0xE000E018U)
#define NVIC_ENABLE(irq) REGISTER(0xE000E100U + 4U * ((irq) / 32U))
#define NVIC_UNPEND(irq) REGISTER(0xE000E280U + 4U * ((irq) / 32U))
#define SCB_CONTROL REGISTER(0xE000ED04U)
#define SCB_UNPEND_SYSTICK (1U << 25)

static inline void cortex_m_wake_on(uint32_t irq) { NVIC_ENABLE(irq) = 1U << (irq % 32U); }

static inline void cortex_m_unpend(uint32_t irq) { NVIC_UNPEND(irq) = 1U << (irq % 32U); }

/* A SysTick of `clocks` (at most 2^24) clocks of the processor that ends WFI. */
static inline void cortex_m_tick_every(uint32_t clocks) {
    SYSTICK_RELOAD = clocks - 1U;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 7U; /* enabled, interrupt, processor clock */
}

static inline void cortex_m_sleep(void) { __asm volatile("dsb\n\twfi" ::: "memory"); }

#endif
