/* Runs a policy on a bare machine under an emulator and prints what it did.
 *
 * Resets, takes N_STEPS steps on the given codes, and prints every action and the final state as
 * numbers, one a line after "begin", then the stack that was used, then "end".  run.h says how to
 * reset and step (generated C, or a policy image in the virtual machine).  Everything of the
 * harness lies in .text.harness, so that the counter can leave it out.
 */
#include <stdint.h>

#include "run.h"

#define HARNESS __attribute__((section(".text.harness"), noinline, used))

enum { PAINT = 0xA5, MARGIN = 96 /* bytes of the harness's own frames */ };

#if defined(__AVR__)

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

extern uint8_t __heap_start;

static void put(char c)
{
    while ((UCSR0A & (1 << UDRE0)) == 0) {
    }
    UDR0 = (uint8_t)c;
}

static void finish(void)
{
    cli();
    sleep_mode();
}

#define STACK_BOTTOM (&__heap_start)
static uint32_t ticks;

#define CLOCKED(call)                                                                              \
    do {                                                                                           \
        TCCR1B = 0;                                                                                \
        TCNT1 = 0;                                                                                 \
        TIFR1 = 1 << TOV1;                                                                         \
        TCCR1B = CLOCK_SELECT;                                                                     \
        call;                                                                                      \
        const uint16_t now = TCNT1; /* running: some simulators forget a stopped timer's count */  \
        const uint8_t overflow = TIFR1 & (1 << TOV1);                                              \
        ticks = now; /* and it may overflow between the two */                                     \
        ticks += overflow != 0 && TCNT1 >= now ? 65536ul : 0ul;                                    \
    } while (0)
#define TICKS ticks

#elif defined(__riscv)

extern uint8_t stack_bottom;

HARNESS static void put(char c)
{
    *(volatile uint8_t *)0x10000000u = (uint8_t)c;
}

HARNESS static void finish(void)
{
    *(volatile uint32_t *)0x100000u = 0x5555u;
}

#define STACK_BOTTOM (&stack_bottom)
#define CLOCKED(call) call

#else

extern uint8_t stack_bottom;

HARNESS static uint32_t semihosting(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

HARNESS static void put(char c)
{
    semihosting(0x03, &c);
}

HARNESS static void finish(void)
{
    semihosting(0x18, (const void *)0x20026);
}

#define STACK_BOTTOM (&stack_bottom)
#define CLOCKED(call) call

#endif

HARNESS static void put_number(int32_t value)
{
    const uint32_t bits = (uint32_t)value;
    for (int32_t shift = 28; shift >= 0; shift -= 4) {
        put("0123456789abcdef"[(bits >> shift) & 15u]);
    }
    put('\n');
}

HARNESS static void put_line(const char *text)
{
    for (; *text != 0; text++) {
        put(*text);
    }
    put('\n');
}

static RUN_STATE;

HARNESS void run(uint8_t *top);
HARNESS void run(uint8_t *top) /* the stack pointer of the caller, or a few bytes below */
{
    for (volatile uint8_t *p = STACK_BOTTOM; p < top - MARGIN; p++) {
        *p = PAINT;
    }
    put_line("begin");
    RUN_RESET;
    for (int32_t step = 0; step < N_STEPS; step++) {
        RUN_CODE code[N_INPUTS];
        RUN_ACTION action[N_ACTIONS];
        for (int32_t i = 0; i < N_INPUTS; i++) {
            code[i] = codes[step * N_INPUTS + i];
        }
        CLOCKED(RUN_STEP(code, action));
        for (int32_t i = 0; i < N_ACTIONS; i++) {
            put_number((int32_t)action[i]);
        }
#ifdef TICKS
        put_number((int32_t)TICKS);
#endif
    }
    RUN_PUT_STATE;
    const volatile uint8_t *untouched = STACK_BOTTOM;
    while (untouched < top && *untouched == PAINT) {
        untouched++;
    }
    put_number((int32_t)(top - untouched));
    put_line("end");
    finish();
}

#if defined(__AVR__)

int main(void)
{
    UBRR0 = 0;
    UCSR0B = 1 << TXEN0;
    run((uint8_t *)SP);
    return 0;
}

#else

extern uint8_t stack_top;
extern uint32_t data_load, data_begin, data_end, bss_begin, bss_end;

HARNESS void start(void);
HARNESS void start(void)
{
    const uint32_t *from = &data_load;
    for (volatile uint32_t *to = &data_begin; to < &data_end; to++) {
        *to = *from++;
    }
    for (volatile uint32_t *to = &bss_begin; to < &bss_end; to++) {
        *to = 0;
    }
#if defined(__ARM_FEATURE_MVE) || defined(__ARM_FP)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* CPACR: vectors and floating point on */
    __asm__ volatile("dsb\n isb" ::: "memory");
#endif
    run(__builtin_frame_address(0));
    for (;;) {
    }
}

#if defined(__riscv)

__attribute__((naked, section(".text.first"), used)) void first(void);
__attribute__((naked, section(".text.first"), used)) void first(void)
{
    __asm__ volatile("la sp, stack_top\n j start");
}

#else

extern const void *const vectors[2];
__attribute__((section(".vectors"), used)) const void *const vectors[2] = {&stack_top,
                                                                           (const void *)start};

#endif

/* Compilers may call these for loops and copies; what the policy's own code costs includes them. */
void *memcpy(void *restrict to, const void *restrict from, __SIZE_TYPE__ n);
void *memcpy(void *restrict to, const void *restrict from, __SIZE_TYPE__ n)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    while (n-- > 0) {
        *t++ = *f++;
        __asm__ volatile("");
    }
    return to;
}

void *memset(void *to, int value, __SIZE_TYPE__ n);
void *memset(void *to, int value, __SIZE_TYPE__ n)
{
    uint8_t *t = to;
    while (n-- > 0) {
        *t++ = (uint8_t)value;
        __asm__ volatile("");
    }
    return to;
}

#endif
