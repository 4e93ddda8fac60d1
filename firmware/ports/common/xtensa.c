/* Start-up of an Xtensa core for code of the call0 ABI (Xtensa ISA Summary, §4.4 and §10.1): register
 * windows off, interrupts masked, whatever ran before. */
#include <stdint.h>

#include "start.h"

void grsn_enter(const volatile uint32_t *stack);

__asm(".section .boot, \"ax\"\n"
      ".literal_position\n"
      ".align 4\n"
      ".global grsn_start\n"
      "grsn_start:\n"
      "movi a0, 0x0F\n" /* PS: level 15; neither windows, nor user, nor exception mode */
      "wsr a0, ps\n"
      "rsync\n"
      "movi a1, __stack_top\n"
      "mov a2, a1\n"
      "call0 grsn_enter\n"
      ".text\n");

void grsn_enter(const volatile uint32_t *stack) {
    start_memory(stack - 32);
    main();
    for (;;) {
    }
}
