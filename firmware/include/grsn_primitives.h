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

/* An integer of at least 16 bits that is cheap to compute with, for values proven to fit 16 bits;
 * and an index into a vector or matrix. */
#if defined(__AVR__)
typedef int16_t grsn_fast16;
typedef int16_t grsn_index;
#else
typedef int32_t grsn_fast16;
typedef int32_t grsn_index;
#endif

/* Constant tables stay in flash where RAM and flash are different address spaces (AVR: GNU C only,
 * -std=gnu99); elsewhere this says nothing. */
#ifndef GRSN_FLASH
#if defined(__FLASH)
#define GRSN_FLASH __flash
#define GRSN_READS_FLASH 1 /* assembly may, too */
#else
#define GRSN_FLASH
#endif
#endif

/* C99 leaves the right shift of negative numbers to the compiler.  Every compiler in use shifts
 * arithmetically; one that does not is refused here rather than believed. */
typedef char grsn_needs_arithmetic_right_shift[(((int32_t)-3) >> 1) == -2 ? 1 : -1];

/* What remains of shr where 2^(s-1) is already in x: floor(x / 2^s).  1 <= s <= 30. */
static inline int32_t grsn_asr(int32_t x, unsigned s)
{
#if defined(__AVR__) /* shifts by one bit at a time: take whole bytes first */
    if (s > 12 && s < 16) {
        const int32_t upper = (int32_t)(int16_t)(x >> 16) * ((int16_t)1 << (16u - s));
        return upper | (int32_t)((uint16_t)x >> s);
    }
#endif
    return x >> s;
}

/* shr: floor((x + 2^(s-1)) / 2^s), round half up.  1 <= s <= 30; x + 2^(s-1) fits int32. */
static inline int32_t grsn_shr(int32_t x, unsigned s)
{
    return grsn_asr(x + ((int32_t)1 << (s - 1u)), s);
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

/* The same for values and results that are proven to fit 16 bits: cheaper where int has 16. */
static inline grsn_fast16 grsn_asr_16(grsn_fast16 x, unsigned s)
{
    return (grsn_fast16)(x >> s);
}

static inline grsn_fast16 grsn_shr_16(grsn_fast16 x, unsigned s)
{
    return grsn_asr_16((grsn_fast16)(x + (grsn_fast16)((grsn_fast16)1 << (s - 1u))), s);
}

static inline grsn_fast16 grsn_max_16(grsn_fast16 x, grsn_fast16 lo)
{
    return x > lo ? x : lo;
}

static inline grsn_fast16 grsn_min_16(grsn_fast16 x, grsn_fast16 hi)
{
    return x < hi ? x : hi;
}

static inline grsn_fast16 grsn_clip_16(grsn_fast16 x, grsn_fast16 lo, grsn_fast16 hi)
{
    return grsn_min_16(grsn_max_16(x, lo), hi);
}

static inline grsn_fast16 grsn_gate_16(grsn_fast16 x, grsn_fast16 spike)
{
    return (grsn_fast16)(x & -spike);
}

static inline grsn_fast16 grsn_ge_16(grsn_fast16 x, grsn_fast16 y)
{
    return (grsn_fast16)(x >= y);
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
