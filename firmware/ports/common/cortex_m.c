/* Start-up of every Cortex-M: two vectors and a reset handler.  Interrupts stay masked for good, so
 * that the only other vectors ever taken are faults, which stop the board where a debugger sees
 * it (and where a hardware watchdog, if the port started one, ends it). */
#include <stdint.h>

#include "cortex_m.h"
#include "start.h"

void grsn_start(void);
static void fault(void) {
    for (;;) {
    }
}

typedef struct vectors {
    const void *stack;
    void (*handlers[15])(void);
} vectors_t;

__attribute__((section(".vectors"), used)) static const vectors_t vectors = {
    __stack_top,
    {grsn_start, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault,
     fault, fault},
};

__attribute__((noreturn)) void grsn_start(void) {
    __asm volatile("cpsid i" ::: "memory");
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    REGISTER(0xE000ED88U) |= 0xFU << 20; /* CPACR: let vectors and floats through */
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
    start_memory((const volatile uint32_t *)__builtin_frame_address(0) - 16);
    main();
    fault();
    for (;;) {
    }
}
