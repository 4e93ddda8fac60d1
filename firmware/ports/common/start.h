/* Before main: copy .data, clear .bss, paint the stack so that its deepest use can be read back. */
#ifndef GRSN_START_H
#define GRSN_START_H

#include <stdint.h>

#define GRSN_STACK_PAINT 0xA5A5A5A5U

extern uint32_t __stack_low[], __stack_top[];
extern uint32_t __data_load[], __data_start[], __data_end[];
extern uint32_t __bss_start[], __bss_end[];

int main(void);

/* `limit`: the stack pointer now, or below it; words above are in use and stay. */
static inline void start_memory(const volatile uint32_t *limit) {
    for (volatile uint32_t *word = __stack_low; word < limit; word++) *word = GRSN_STACK_PAINT;
    const uint32_t *from = __data_load;
    for (volatile uint32_t *word = __data_start; word < __data_end; word++) *word = *from++;
    for (volatile uint32_t *word = __bss_start; word < __bss_end; word++) *word = 0;
}

#endif
