/* grsn_small.h: the virtual machine's operations in few bytes of code.  Internal to grsn_vm.c.
 *
 * The same integers as those of grsn_elementwise.h and grsn_products.h.  Each operation has one
 * loop, which counts up to zero in front of pointers behind the last element.
 */
#ifndef GRSN_SMALL_H
#define GRSN_SMALL_H

#include "grsn_memory.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__thumb2__) && \
    defined(__GNUC__) && !defined(__ARM_BIG_ENDIAN)
#define GRSN_HALVES 1 /* two numbers in a register */
#else
#define GRSN_HALVES 0
#endif

#define EACH(target, value)                                                                       \
    do {                                                                                          \
        int32_t i = -n;                                                                           \
        do {                                                                                      \
            (target)[i] = (value);                                                                \
        } while (++i != 0);                                                                       \
    } while (0)

/* Behind the last element of operand k that is read. */
GRSN_SHARED void *behind(const memory_t *memory, const grsn_node_t *node, uint32_t k)
{
    const grsn_node_t *from = operand(memory, node, k);
    return place(memory, from) + ((node->start + node->n) << from->type);
}

/* ---- element by element --------------------------------------------------------------------------- */

#define CONSTANTS                                                                                 \
    const int32_t q = node->q;                                                                    \
    const unsigned s = node->shift

/* What follows some operations: a clip; of a look-up, the table. */
static void finish(const memory_t *memory, const grsn_node_t *node, int32_t *to)
{
    const int32_t n = (int32_t)node->n, lo = node->clip_lo, hi = node->clip_hi;
    if (node->flags & GRSN_CLIPPED) {
        EACH(to, grsn_clip(to[i], lo, hi));
    }
    if (node->op == GRSN_LUT) {
        const int16_t *middle = (const int16_t *)data(memory, node->p) + 128;
        EACH(to, middle[to[i]]);
    }
}

/* How many values it computes. */
static uint32_t elementwise(const memory_t *memory, const grsn_node_t *node,
                            const grsn_node_t *end)
{
    (void)end;
    const int32_t n = (int32_t)node->n;
    uint8_t *spikes = place(memory, node) + (node->n << node->type);
    int32_t *to = (int32_t *)(void *)spikes;
    const int32_t *x = behind(memory, node, 0), *y = behind(memory, node, 1);
    const int32_t *z = behind(memory, node, 2);
    switch (node->op) {
    case GRSN_GE:
        EACH(spikes, (uint8_t)(x[i] >= y[i]));
        return 1;
    case GRSN_RESET:
        EACH(to, x[i] - (x[i] >= y[i] ? y[i] : 0));
        return 1;
    case GRSN_ADD: {
        CONSTANTS;
        const int32_t p = node->p;
        EACH(to, x[i] + ((y[i] * p + q) >> s));
        break;
    }
    case GRSN_MUL: {
        CONSTANTS;
        EACH(to, (x[i] * y[i] + q) >> s);
        break;
    }
    case GRSN_MAC: {
        const int32_t *w = behind(memory, node, 3);
        CONSTANTS;
        EACH(to, (x[i] * y[i] + z[i] * w[i] + q) >> s);
        break;
    }
    case GRSN_BLEND: {
        CONSTANTS;
        EACH(to, y[i] + ((z[i] * (x[i] - y[i]) + q) >> s));
        break;
    }
    default: { /* GRSN_SCALE, GRSN_LUT */
        CONSTANTS;
        const int32_t p = node->op == GRSN_LUT ? 1 : node->p;
        const int16_t *halves = (const int16_t *)(const void *)x;
        if (operand(memory, node, 0)->type == GRSN_INT16) {
            EACH(to, (halves[i] * p + q) >> s);
        } else {
            EACH(to, (x[i] * p + q) >> s);
        }
        break;
    }
    }
    finish(memory, node, to);
    return 1;
}

/* ---- products ------------------------------------------------------------------------------------- */

#if GRSN_HALVES

/* A column is added to sums: bytes 0 and 2 of a word to two halves, and then 1 and 3. */
GRSN_SHARED void add_column(int32_t *to, const int32_t *column, uint32_t rows)
{
    const int32_t *end = to + rows / 2u;
    do {
        int32_t even = to[0], odd = to[1];
        const int32_t w = *column++;
        __asm__("sxtab16 %0, %0, %1" : "+r"(even) : "r"(w));
        __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(odd) : "r"(w));
        to[0] = even;
        to[1] = odd;
        to += 2;
    } while (to != end);
}

/* Four columns are added to sums, by four numbers of a byte. */
GRSN_SHARED void add_four(int32_t *to, const int32_t *w, int32_t n, int32_t x)
{
    int32_t x_even, x_odd;
    __asm__("sxtb16 %0, %1" : "=r"(x_even) : "r"(x));
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(x_odd) : "r"(x));
    const int32_t *end = to + n;
    do {
        int32_t sum = *to, even, odd;
        __asm__("sxtb16 %0, %1" : "=r"(even) : "r"(*w));
        __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(even), "r"(x_even), "r"(sum));
        __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(*w++));
        __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(odd), "r"(x_odd), "r"(sum));
        *to++ = sum;
    } while (to != end);
}

#else

void add_column(int32_t *to, const int32_t *column, uint32_t rows);
void add_four(int32_t *to, const int32_t *w, int32_t n, int32_t x);

#endif

GRSN_SHARED void copy_words(int32_t *to, const int32_t *from, uint32_t bytes)
{
    const int32_t *end = to + (bytes + 3u) / 4u;
    do {
        *to++ = *from++;
    } while (to != end);
}

/* To all sums a column of weights, which lie `apart`, times x. */
GRSN_SHARED void add_weights(const grsn_node_t *node, int32_t *to, const int8_t *weight,
                             uint32_t apart, int32_t x)
{
    int16_t *halves = (int16_t *)to;
    for (uint32_t i = 0; i < node->n; i++, weight += apart) {
        if (GRSN_HALVES || node->type == GRSN_INT32) {
            to[i] += *weight * x;
        } else { /* two of every four change places */
            const int32_t aside = i % 4u == 1 ? 1 : i % 4u == 2 ? -1 : 0;
            halves[i] = (int16_t)(halves[i] + weight[aside]);
        }
    }
}

/* Column after column, of what is not 0, to the bias.  Bytes that are 0 are passed over four at a
 * time. */
static void product(const memory_t *memory, const grsn_node_t *node, const grsn_node_t *first,
                    const uint8_t *x, void *sums)
{
    const uint32_t rows = node->n, columns = first->n;
    const int8_t *weights = data(memory, node->p);
    int32_t *to = sums;
    copy_words(to, data(memory, node->q), rows << node->type);
    for (uint32_t j = 0; j < columns; j++) {
        if (first->type == GRSN_INT8 && j % 4u == 0) {
            const uint32_t left = columns - j;
            uint32_t four = *(const grsn_u32_t *)(x + j);
            if (GRSN_HALVES && left < 4) { /* what lies behind may be anything */
                four &= (1u << 8u * left) - 1u;
            }
            if (GRSN_HALVES && node->op == GRSN_DENSE && four != 0) {
                add_four(to, (const int32_t *)(const void *)(weights + j * rows), (int32_t)rows,
                         (int32_t)four);
                four = 0;
            }
            if (four == 0) {
                j += 3;
                continue;
            }
        }
        const int32_t value = grsn_load(x, first->type, j);
        if (value == 0) {
            continue;
        }
        const int8_t *weight = weights + grsn_weight(node, columns, 0, j);
        if (GRSN_HALVES && node->type == GRSN_INT16) {
            add_column(to, (const int32_t *)(const void *)weight, rows);
        } else {
            const uint32_t apart = grsn_weight(node, columns, 4, 0) / 4u;
            add_weights(node, to, weight, apart, value);
        }
    }
}

#endif
