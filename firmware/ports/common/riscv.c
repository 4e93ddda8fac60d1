/* Start-up of a RISC-V core in machine mode.  Interrupts stay off (mstatus.MIE is 0 after a reset):
 * one that is enabled in mie still ends WFI.  A trap stops the board where a debugger sees it. */
#include <stdint.h>

#include "start.h"

void grsn_start(void);
void grsn_enter(const volatile uint32_t *stack);

__attribute__((naked, noreturn, section(".boot"), used)) void grsn_start(void) {
    __asm volatile(
        "la sp, __stack_top\n"
        "la t0, grsn_trap\n"
        "csrw mtvec, t0\n"
        "mv a0, sp\n"
        "j grsn_enter\n"
        ".balign 4\n"
        "grsn_trap: j grsn_trap\n");
}

void grsn_enter(const volatile uint32_t *stack) {
    start_memory(stack - 32);
    main();
    for (;;) {
    }
}
