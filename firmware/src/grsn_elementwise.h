/* grsn_elementwise.h: the operations of the virtual machine that go through values element by element.
 * Internal to grsn_vm.c.
 */
#ifndef GRSN_ELEMENTWISE_H
#define GRSN_ELEMENTWISE_H

#include "grsn_memory.h"

/* Element-wise loops may write an operand in place, at the index that they read. */
#if defined(__clang__)
#define GRSN_ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__) && UINTPTR_MAX > 0xffffffffu
#define GRSN_ELEMENTWISE _Pragma("GCC ivdep")
#elif defined(__GNUC__)
#define GRSN_ELEMENTWISE _Pragma("GCC unroll 4")
#else
#define GRSN_ELEMENTWISE
#endif

#define EACH(target, value)                                                                       \
    do {                                                                                          \
        GRSN_ELEMENTWISE                                                                          \
        for (int32_t i = 0; i < n; i++) {                                                         \
            (target)[i] = (value);                                                                \
        }                                                                                         \
    } while (0)

#define IS_CLIPPED (node->flags & GRSN_CLIPPED)

/* Clips to 16 bits are one instruction, which not every compiler finds. */
#if defined(__ARM_FEATURE_SAT) && defined(__GNUC__) && !defined(__clang__)
static inline int32_t to_signed(int32_t x)
{
    __asm__("ssat %0, #16, %0" : "+r"(x));
    return x;
}

static inline int32_t to_unsigned(int32_t x)
{
    __asm__("usat %0, #15, %0" : "+r"(x));
    return x;
}
#else
static inline int32_t to_signed(int32_t x)
{
    return grsn_clip(x, INT16_MIN, INT16_MAX);
}

static inline int32_t to_unsigned(int32_t x)
{
    return grsn_clip(x, 0, INT16_MAX);
}
#endif

/* Clipped or not, in two loops rather than one with a test; to 16 bits, which is one instruction of
 * many processors, in a third. */
#if defined(__ARM_FEATURE_SAT)
#define EACH_CLIPPED(value)                                                                       \
    do {                                                                                          \
        if (!IS_CLIPPED) {                                                                        \
            EACH(to, value);                                                                      \
        } else if (lo == INT16_MIN && hi == INT16_MAX) {                                          \
            EACH(to, to_signed(value));                                                           \
        } else if (lo == 0 && hi == INT16_MAX) {                                                  \
            EACH(to, to_unsigned(value));                                                         \
        } else {                                                                                  \
            EACH(to, grsn_clip((value), lo, hi));                                                 \
        }                                                                                         \
    } while (0)
#else
#define EACH_CLIPPED(value)                                                                       \
    do {                                                                                          \
        if (IS_CLIPPED) {                                                                         \
            EACH(to, grsn_clip((value), lo, hi));                                                 \
        } else {                                                                                  \
            EACH(to, value);                                                                      \
        }                                                                                         \
    } while (0)
#endif

/* Entries of a table: in two loops, of which vectors take the first, or in one. */
#if UINTPTR_MAX > 0xffffffffu
#define EACH_ENTRY(index)                                                                         \
    do {                                                                                          \
        EACH_CLIPPED(index);                                                                      \
        EACH(to, middle[to[i]]);                                                                  \
    } while (0)
#else
#define EACH_ENTRY(index)                                                                         \
    do {                                                                                          \
        if (IS_CLIPPED) {                                                                         \
            EACH(to, middle[grsn_clip((index), lo, hi)]);                                         \
        } else {                                                                                  \
            EACH(to, middle[index]);                                                              \
        }                                                                                         \
    } while (0)
#endif

/* ---- one loop for each form of an operation ------------------------------------------------------ */

#define CONSTANTS                                                                                 \
    const int32_t n = (int32_t)node->n, lo = node->clip_lo, hi = node->clip_hi, q = node->q;      \
    const unsigned s = node->shift

/* The elements of operand k, from `start` on. */
static void *elements(const memory_t *memory, const grsn_node_t *node, uint32_t k)
{
    const grsn_node_t *from = operand(memory, node, k);
    return place(memory, from) + (node->start << from->type);
}

/* x[i] stands for the operand's elements. */
#define UNARY(x)                                                                                  \
    do {                                                                                          \
        if (node->op == GRSN_LUT) {                                                               \
            EACH_ENTRY((x + q) >> s);                                                             \
        } else if (s == 0) {                                                                      \
            EACH_CLIPPED(x * p + q);                                                              \
        } else if (p == 1) {                                                                      \
            EACH_CLIPPED((x + q) >> s);                                                           \
        } else {                                                                                  \
            EACH_CLIPPED((x * p + q) >> s);                                                       \
        }                                                                                         \
    } while (0)

/* GRSN_SCALE and GRSN_LUT. */
static void unary(const memory_t *memory, const grsn_node_t *node, const void *x, int32_t *to)
{
    const int16_t *middle = (const int16_t *)data(memory, node->p) + 128;
    const int16_t *halves = x;
    const int32_t *words = x;
    const int32_t p = node->p;
    CONSTANTS;
    if (operand(memory, node, 0)->type == GRSN_INT16) {
        UNARY(halves[i]);
    } else {
        UNARY(words[i]);
    }
}

static void add(const grsn_node_t *node, const int32_t *x, const int32_t *y, int32_t *to)
{
    const int32_t p = node->p;
    CONSTANTS;
    if (p == 1 && q == 0 && s == 0) {
        EACH_CLIPPED(x[i] + y[i]);
    } else if (p == 1) {
        EACH_CLIPPED(x[i] + ((y[i] + q) >> s));
    } else if (p == -1 && q == 0 && s == 0) {
        EACH_CLIPPED(x[i] - y[i]);
    } else {
        EACH_CLIPPED(x[i] + ((y[i] * p + q) >> s));
    }
}

/* A comparison and the reset of what it compared, as they come in pairs, in one loop; the spikes are
 * still needed, so that the reset is not written over them. */
static int fires(const memory_t *memory, const grsn_node_t *node, const grsn_node_t *end)
{
    const grsn_node_t *next = node + 1;
    return next < end && next->op == GRSN_RESET && next->n == node->n &&
           next->args[0] == node->args[0] && next->args[1] == node->args[1] &&
           next->start == node->start && node->last > (uint32_t)(next - memory->nodes);
}

/* Processors without vectors multiply as fast as they mask. */
#if UINTPTR_MAX > 0xffffffffu || defined(__ARM_FEATURE_MVE)
#define TIMES(x, spike) grsn_gate(x, spike)
#else
#define TIMES(x, spike) ((x) * (spike))
#endif

static void fire(int32_t n, const int32_t *x, const int32_t *y, int8_t *spikes, int32_t *to)
{
    GRSN_ELEMENTWISE
    for (int32_t i = 0; i < n; i++) {
        const int32_t spike = grsn_ge(x[i], y[i]);
        to[i] = x[i] - TIMES(y[i], spike);
        spikes[i] = (int8_t)spike;
    }
}

/* Computes a value, or the two of a pair; how many. */
static uint32_t elementwise(const memory_t *memory, const grsn_node_t *node,
                            const grsn_node_t *end)
{
    const int32_t *x = elements(memory, node, 0), *y, *z, *w;
    int8_t *spikes = (int8_t *)place(memory, node);
    int32_t *to = (int32_t *)(void *)spikes;
    CONSTANTS;
    if (node->op <= GRSN_LUT) {
        unary(memory, node, x, to);
        return 1;
    }
    y = elements(memory, node, 1);
    switch (node->op) {
    case GRSN_ADD:
        add(node, x, y, to);
        break;
    case GRSN_MUL:
        EACH_CLIPPED((x[i] * y[i] + q) >> s);
        break;
    case GRSN_MAC:
        z = elements(memory, node, 2);
        w = elements(memory, node, 3);
        EACH_CLIPPED((x[i] * y[i] + z[i] * w[i] + q) >> s);
        break;
    case GRSN_BLEND:
        z = elements(memory, node, 2);
        EACH_CLIPPED(y[i] + ((z[i] * (x[i] - y[i]) + q) >> s));
        break;
    case GRSN_GE:
        if (fires(memory, node, end)) {
            fire(n, x, y, spikes, (int32_t *)(void *)place(memory, node + 1));
            return 2;
        }
        EACH(spikes, (int8_t)grsn_ge(x[i], y[i]));
        break;
    default: /* GRSN_RESET */
        EACH(to, x[i] - (grsn_ge(x[i], y[i]) ? y[i] : 0));
        break;
    }
    return 1;
}

#endif
