/* grsn_primitives.h: the arithmetic of a step, docs/SPEC.md §2.
 *
 * The one place in C where an operation's meaning is written; generated policies and the virtual
 * machine both include it, so their meaning cannot part.  Header only; C99; no heap, no globals, no
 * float, no division.  Every argument is proven in range when a policy is frozen: nothing here can
 * overflow, and nothing is checked.
 */
#ifndef GRSN_PRIMITIVES_H
#define GRSN_PRIMITIVES_H

#include <stdint.h>

/* C99 leaves the right shift of negative numbers to the compiler.  Every compiler in use shifts
 * arithmetically; one that does not is refused here rather than believed. */
typedef char grsn_needs_arithmetic_right_shift[(((int32_t)-3) >> 1) == -2 ? 1 : -1];

/* shr: floor((x + 2^(s-1)) / 2^s), round half up.  1 <= s <= 30; x + 2^(s-1) fits int32. */
static inline int32_t grsn_shr(int32_t x, unsigned s)
{
    return (x + ((int32_t)1 << (s - 1u))) >> s;
}

/* One half of clip: the larger, the smaller of two numbers. */
static inline int32_t grsn_max(int32_t x, int32_t lo)
{
    return x > lo ? x : lo;
}

static inline int32_t grsn_min(int32_t x, int32_t hi)
{
    return x < hi ? x : hi;
}

/* clip: min(max(x, lo), hi); lo <= hi. */
static inline int32_t grsn_clip(int32_t x, int32_t lo, int32_t hi)
{
    return grsn_min(grsn_max(x, lo), hi);
}

/* mul where one operand is a spike: x where spike is 1, else 0.  spike is 0 or 1. */
static inline int32_t grsn_gate(int32_t x, int32_t spike)
{
    return x & -spike;
}

/* ge: 1 where x >= y, else 0. */
static inline int32_t grsn_ge(int32_t x, int32_t y)
{
    return (int32_t)(x >= y);
}

/* argmax: index of the largest of n >= 1 values, the lowest index on ties; one for each storage. */
#define GRSN_DEFINE_ARGMAX(type, suffix)                                                           \
    static inline int32_t grsn_argmax_##suffix(const type *x, int32_t n)                          \
    {                                                                                             \
        int32_t best = 0;                                                                         \
        for (int32_t i = 1; i < n; i++) {                                                         \
            if (x[i] > x[best]) {                                                                 \
                best = i;                                                                         \
            }                                                                                     \
        }                                                                                         \
        return best;                                                                              \
    }

GRSN_DEFINE_ARGMAX(int8_t, i8)
GRSN_DEFINE_ARGMAX(int16_t, i16)
GRSN_DEFINE_ARGMAX(int32_t, i32)

#endif
