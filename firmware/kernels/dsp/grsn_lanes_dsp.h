/* grsn_lanes_dsp.h: grsn_lanes.h for a Cortex-M with the DSP extension, two neurons in a register.
 *
 * In assembly, because compilers take most of these instructions only from there; nothing is
 * volatile, so that they still schedule, share and drop them as they like.
 */
#ifndef GRSN_LANES_DSP_H
#define GRSN_LANES_DSP_H

#include <stdint.h>

#define GRSN_LANES 2

/* Neurons an iteration of a loop over n, and what makes the compiler write them all out. */
#define GRSN_BLOCK(n) ((n) % 8 == 0 ? 8 : (n) % 4 == 0 ? 4 : 2)
#if defined(__clang__)
#define GRSN_UNROLL _Pragma("clang loop unroll(full)")
#else
#define GRSN_UNROLL _Pragma("GCC unroll 8")
#endif

#define GRSN_NEXT __asm__ volatile("" ::: "memory")

typedef int32_t grsn_h; /* the even number in the lower half */
typedef struct {
    int32_t b, t;
} grsn_w;
typedef grsn_w grsn_l;

#define GRSN_ASM_1(r, text, x) __asm__(text : "=r"(r) : "r"(x))
#define GRSN_ASM_2(r, text, x, y) __asm__(text : "=r"(r) : "r"(x), "r"(y))
#define GRSN_ASM_3(r, text, x, y, z) __asm__(text : "=r"(r) : "r"(x), "r"(y), "r"(z))

/* Lower half of x, upper half of y shifted left. */
static inline grsn_h grsn_pkhbt(int32_t x, int32_t y)
{
    int32_t r;
    GRSN_ASM_2(r, "pkhbt %0, %1, %2, lsl #16", x, y);
    return r;
}

/* Upper half of x, lower half of y >> s; 1 <= s <= 31. */
#define GRSN_PKHTB(r, x, y, s)                                                                     \
    __asm__("pkhtb %0, %1, %2, asr %3" : "=r"(r) : "r"(x), "r"(y), "I"(s))

static inline grsn_h grsn_set_h(int32_t v)
{
    return (int32_t)(((uint32_t)v & 0xffffu) * 0x10001u);
}

static inline grsn_w grsn_set_w(int32_t v)
{
    const grsn_w r = {v, v};
    return r;
}

/* Loads and stores need no alignment on these processors; the compiler sees one instruction. */
static inline grsn_h grsn_load_h(const int16_t *p)
{
    grsn_h r;
    __builtin_memcpy(&r, p, sizeof r);
    return r;
}

static inline grsn_h grsn_load_h8(const int8_t *p)
{
    return grsn_pkhbt(p[0], p[1]);
}

static inline grsn_w grsn_load_w(const int32_t *p)
{
    const grsn_w r = {p[0], p[1]};
    return r;
}

static inline void grsn_store_h(int16_t *p, grsn_h x)
{
    __builtin_memcpy(p, &x, sizeof x);
}

static inline void grsn_store_h8(int8_t *p, grsn_h x)
{
    p[0] = (int8_t)x;
    p[1] = (int8_t)(x >> 16);
}

static inline void grsn_store_spikes(int8_t *p, grsn_h x)
{
    const uint16_t bytes = (uint16_t)((uint32_t)x | (uint32_t)x >> 8);
    __builtin_memcpy(p, &bytes, sizeof bytes);
}

static inline void grsn_store_w(int32_t *p, grsn_w x)
{
    p[0] = x.b;
    p[1] = x.t;
}

static inline grsn_w grsn_widen(grsn_h x)
{
    const grsn_w r = {(int16_t)x, x >> 16};
    return r;
}

static inline grsn_h grsn_narrow(grsn_w x)
{
    return grsn_pkhbt(x.b, x.t);
}

static inline grsn_h grsn_pack(grsn_l x)
{
    return grsn_pkhbt(x.b, x.t);
}

static inline grsn_h grsn_narrow_sat(grsn_w x)
{
    int32_t b, t;
    GRSN_ASM_1(b, "ssat %0, #16, %1", x.b);
    GRSN_ASM_1(t, "ssat %0, #16, %1", x.t);
    return grsn_pkhbt(b, t);
}

#define grsn_narrow_asr(x, s) grsn_narrow_asr_((x).b, (x).t, s)
__attribute__((always_inline)) static inline grsn_h grsn_narrow_asr_(int32_t b, int32_t t,
                                                                    unsigned s)
{
    if (s >= 1 && s <= 16) {
        int32_t r;
        const int32_t upper = (int32_t)((uint32_t)t << (16u - s));
        GRSN_PKHTB(r, upper, b, s);
        return r;
    }
    return grsn_pkhbt(b >> s, t >> s);
}

static inline grsn_h grsn_add_h(grsn_h x, grsn_h y)
{
    int32_t r;
    GRSN_ASM_2(r, "sadd16 %0, %1, %2", x, y);
    return r;
}

static inline grsn_h grsn_sub_h(grsn_h x, grsn_h y)
{
    int32_t r;
    GRSN_ASM_2(r, "ssub16 %0, %1, %2", x, y);
    return r;
}

static inline grsn_w grsn_mla(grsn_w a, grsn_h x, grsn_h y)
{
    grsn_w r;
    GRSN_ASM_3(r.b, "smlabb %0, %1, %2, %3", x, y, a.b);
    GRSN_ASM_3(r.t, "smlatt %0, %1, %2, %3", x, y, a.t);
    return r;
}

static inline grsn_w grsn_mla_l(grsn_w a, grsn_l x, grsn_h y)
{
    grsn_w r;
    GRSN_ASM_3(r.b, "smlabb %0, %1, %2, %3", x.b, y, a.b);
    GRSN_ASM_3(r.t, "smlabt %0, %1, %2, %3", x.t, y, a.t);
    return r;
}

static inline grsn_w grsn_product(grsn_h x, grsn_h y)
{
    grsn_w r;
    GRSN_ASM_2(r.b, "smulbb %0, %1, %2", x, y);
    GRSN_ASM_2(r.t, "smultt %0, %1, %2", x, y);
    return r;
}

static inline grsn_w grsn_product_l(grsn_l x, grsn_h y)
{
    grsn_w r;
    GRSN_ASM_2(r.b, "smulbb %0, %1, %2", x.b, y);
    GRSN_ASM_2(r.t, "smulbt %0, %1, %2", x.t, y);
    return r;
}

static inline grsn_h grsn_mul_h(grsn_h x, grsn_h y)
{
    const grsn_w r = grsn_product(x, y);
    return grsn_pkhbt(r.b, r.t);
}

/* What the lower half loses at its top lands at the bottom of the upper one, and is cleared. */
static inline grsn_h grsn_shl_h(grsn_h x, unsigned s)
{
    return (int32_t)(((uint32_t)x << s) & ~((((uint32_t)1 << s) - 1u) << 16));
}

static inline grsn_h grsn_shl_h_unsigned(grsn_h x, unsigned s)
{
    return (int32_t)((uint32_t)x << s);
}

#define grsn_sat_h(x, k) grsn_sat_h_(x, k)
__attribute__((always_inline)) static inline grsn_h grsn_sat_h_(grsn_h x, unsigned k)
{
    int32_t r;
    __asm__("ssat16 %0, %2, %1" : "=r"(r) : "r"(x), "I"(k));
    return r;
}

#define grsn_usat_h(x, k) grsn_usat_h_(x, k)
__attribute__((always_inline)) static inline grsn_h grsn_usat_h_(grsn_h x, unsigned k)
{
    int32_t r;
    __asm__("usat16 %0, %2, %1" : "=r"(r) : "r"(x), "I"(k));
    return r;
}

/* ssub16 sets a flag for each half that did not fall below zero, in more than 16 bits. */
static inline grsn_h grsn_min_h(grsn_h x, int32_t v)
{
    const grsn_h bound = grsn_set_h(v);
    int32_t r;
    __asm__("ssub16 %0, %1, %2\n\tsel %0, %2, %1" : "=&r"(r) : "r"(x), "r"(bound) : "cc");
    return r;
}

static inline grsn_h grsn_max_h(grsn_h x, int32_t v)
{
    const grsn_h bound = grsn_set_h(v);
    int32_t r;
    __asm__("ssub16 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(r) : "r"(x), "r"(bound) : "cc");
    return r;
}

static inline grsn_h grsn_ge_h(grsn_h x, grsn_h y)
{
    int32_t r;
    __asm__("ssub16 %0, %1, %2\n\tsel %0, %3, %4"
            : "=&r"(r)
            : "r"(x), "r"(y), "r"(0x10001), "r"(0)
            : "cc");
    return r;
}

/* 1 or 0 in each half becomes all ones or all zeros. */
static inline grsn_h grsn_gate_h(grsn_h x, grsn_h s)
{
    return (int32_t)((uint32_t)x & ((uint32_t)s * 0xffffu));
}

static inline grsn_h grsn_fire(grsn_h *u, grsn_h theta)
{
    int32_t fired, after;
    __asm__("ssub16 %0, %2, %3\n\tsel %1, %4, %5\n\tsel %0, %0, %2"
            : "=&r"(after), "=&r"(fired)
            : "r"(*u), "r"(theta), "r"(0x10001), "r"(0)
            : "cc");
    *u = after;
    return fired;
}

/* A half of below - u, saturated, is negative where u is above. */
static inline int32_t grsn_reaches(grsn_h u, grsn_h below)
{
    int32_t r;
    GRSN_ASM_2(r, "qsub16 %0, %1, %2", below, u);
    return r & (int32_t)0x80008000u;
}

static inline uint16_t *grsn_note(uint16_t *list, int32_t first, grsn_h spikes)
{
    *list = (uint16_t)first;
    list += spikes & 1;
    *list = (uint16_t)(first + 1);
    return list + (spikes >> 16);
}

static inline void grsn_silence(int8_t *spikes, int32_t n)
{
    int32_t i = 0;
    for (; i + 4 <= n; i += 4) {
        __builtin_memset(spikes + i, 0, 4);
        __asm__ volatile("" ::: "memory"); /* a loop, and not a call of memset */
    }
    for (; i < n; i++) {
        spikes[i] = 0;
    }
}

#define GRSN_W_OF(name, parameters, even, odd)                                                     \
    static inline grsn_w name parameters                                                           \
    {                                                                                              \
        const grsn_w r = {even, odd};                                                              \
        return r;                                                                                  \
    }

GRSN_W_OF(grsn_add_w, (grsn_w x, grsn_w y), x.b + y.b, x.t + y.t)
GRSN_W_OF(grsn_sub_w, (grsn_w x, grsn_w y), x.b - y.b, x.t - y.t)
GRSN_W_OF(grsn_mul_w, (grsn_w x, grsn_w y), x.b *y.b, x.t *y.t)
GRSN_W_OF(grsn_min_w, (grsn_w x, int32_t v), x.b < v ? x.b : v, x.t < v ? x.t : v)
GRSN_W_OF(grsn_max_w, (grsn_w x, int32_t v), x.b > v ? x.b : v, x.t > v ? x.t : v)
GRSN_W_OF(grsn_asr_w, (grsn_w x, unsigned s), x.b >> s, x.t >> s)
GRSN_W_OF(grsn_gate_w, (grsn_w x, grsn_h s), x.b & -(s & 1), x.t & -(s >> 16))

static inline grsn_w grsn_clip_w(grsn_w x, int32_t lo, int32_t hi)
{
    return grsn_min_w(grsn_max_w(x, lo), hi);
}

static inline grsn_h grsn_ge_w(grsn_w x, grsn_w y)
{
    return (int32_t)(x.b >= y.b) | (int32_t)((uint32_t)(x.t >= y.t) << 16);
}

static inline grsn_l grsn_lut_h(const int16_t *t, grsn_h x, unsigned s)
{
    const uint32_t halves = (uint32_t)x;
    const grsn_l r = {t[(halves & 0xffffu) >> s], t[halves >> (16u + s)]};
    return r;
}

/* Constants in rows, and products of few inputs, neuron by neuron: a bias, then the weights as
 * pairs.  One instruction loads them all, in registers of ascending numbers. */
#define GRSN_DOTS 1

static inline grsn_h grsn_take(const int32_t **row)
{
    grsn_h r;
    __asm__("ldr %0, [%1], #4" : "=&r"(r), "+r"(*row));
    return r;
}

static inline void grsn_take_two(const int32_t **row, grsn_h *x, grsn_h *y)
{
    __asm__("ldrd %0, %1, [%2], #8" : "=&r"(*x), "=&r"(*y), "+r"(*row));
}

#define GRSN_LOAD_ROW(row, registers, ...)                                                         \
    __asm__("ldmia %0!, {" registers "}" : "+r"(*(row)), __VA_ARGS__)
#define GRSN_SMLAD(sum, x, y) GRSN_ASM_3(sum, "smlad %0, %1, %2, %3", x, y, sum)

__attribute__((always_inline)) static inline int32_t grsn_dot(const int32_t **row,
                                                             const int32_t *pairs, int32_t n)
{
    register int32_t r4 __asm__("r4");
    register int32_t r5 __asm__("r5");
    register int32_t r6 __asm__("r6") = 0;
    register int32_t r8 __asm__("r8") = 0;
    register int32_t r10 __asm__("r10") = 0;
    switch (n / 2) {
    case 1: GRSN_LOAD_ROW(row, "%1, %2", "=&r"(r4), "=&r"(r5)); break;
    case 2: GRSN_LOAD_ROW(row, "%1, %2, %3", "=&r"(r4), "=&r"(r5), "=&r"(r6)); break;
    case 3:
        GRSN_LOAD_ROW(row, "%1, %2, %3, %4", "=&r"(r4), "=&r"(r5), "=&r"(r6), "=&r"(r8));
        break;
    default:
        GRSN_LOAD_ROW(row, "%1, %2, %3, %4, %5", "=&r"(r4), "=&r"(r5), "=&r"(r6), "=&r"(r8),
                      "=&r"(r10));
    }
    const int32_t w[4] = {r5, r6, r8, r10};
    int32_t sum = r4;
    GRSN_UNROLL
    for (int32_t j = 0; j < n / 2; j++) {
        GRSN_SMLAD(sum, w[j], pairs[j]);
    }
    return sum;
}

__attribute__((always_inline)) static inline grsn_w grsn_dots(const int32_t **row,
                                                             const int32_t *pairs, int32_t n)
{
    grsn_w r;
    r.b = grsn_dot(row, pairs, n);
    r.t = grsn_dot(row, pairs, n);
    return r;
}

/* The inputs as pairs, once a step; n is even. */
static inline void grsn_pairs(int32_t *pairs, const int8_t *x, int32_t n)
{
    for (int32_t j = 0; j < n / 2; j++) {
        pairs[j] = grsn_pkhbt(x[2 * j], x[2 * j + 1]);
    }
}

static inline grsn_l grsn_lut_w(const int16_t *t, grsn_w x, unsigned s)
{
    const grsn_l r = {t[x.b >> s], t[x.t >> s]};
    return r;
}

#endif
