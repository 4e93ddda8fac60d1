/* grsn_products.h: the matrix-vector products of the virtual machine.  Internal to grsn_vm.c.
 *
 * A sum begins with its bias and takes its products in any order: the proof is of every order.
 */
#ifndef GRSN_PRODUCTS_H
#define GRSN_PRODUCTS_H

#include <string.h>

#include "grsn_format.h"

typedef struct product {
    const grsn_node_t *node;
    const int8_t *weights;
    const void *bias;
    const void *x;
    uint32_t type; /* of x */
    int32_t n;     /* of x */
    uint16_t *active;
} product_t;

static void copy_words(int32_t *to, const int32_t *from, uint32_t bytes)
{
    const int32_t n = (int32_t)((bytes + 3u) / 4u);
    EACH(to, from[i]);
}

#if !GRSN_VM_FAST

/* Column after column, of what is not 0. */
static void multiply(const product_t *p, void *sums)
{
    const grsn_node_t *node = p->node;
    const uint32_t rows = node->n, columns = (uint32_t)p->n;
    const uint32_t apart = grsn_weight(node, columns, 4, 0) / 4u;
    const uint32_t swap = grsn_by_halves(node) ? 3u : 0u;
    copy_words(sums, p->bias, rows << node->type);
    for (uint32_t j = 0; j < columns; j++) {
        const int32_t x = grsn_load(p->x, p->type, j);
        if (x == 0) {
            continue;
        }
        const int8_t *weight = p->weights + grsn_weight(node, columns, 0, j);
        if (node->type == GRSN_INT32) {
            int32_t *sum = sums;
            for (uint32_t i = 0; i < rows; i++, weight += apart) {
                sum[i] += *weight * x;
            }
        } else {
            int16_t *sum = sums;
            for (uint32_t i = 0; i < rows; i++) {
                sum[i] = (int16_t)(sum[i] + weight[(i + 1u) & 2u ? i ^ swap : i]);
            }
        }
    }
}

#else

#include "grsn_kernels.h"

/* ---- spikes ------------------------------------------------------------------------------------ */

#if defined(GRSN_SXTAB16)
static void sum_halves(const product_t *p, int16_t *sums, int32_t count)
{
    grsn_sum_columns(sums, p->bias, p->weights, (int32_t)p->node->n, p->active, count);
}
#elif defined(GRSN_KERNELS_AVX2_H)
#include "grsn_products_avx2.h"
#else
/* The second and third of every four sums change places. */
static void swap_halves(int16_t *sums, int32_t rows)
{
    for (int32_t i = 0; i < rows; i += 4) {
        uint64_t four;
        memcpy(&four, sums + i, sizeof four);
        four = (four & UINT64_C(0xffff00000000ffff)) | (four >> 16 & UINT64_C(0xffff0000)) |
               (four << 16 & UINT64_C(0xffff00000000));
        memcpy(sums + i, &four, sizeof four);
    }
}

static void sum_halves(const product_t *p, int16_t *sums, int32_t count)
{
    const int16_t *bias = p->bias;
    const int32_t n = (int32_t)p->node->n;
    EACH(sums, 0);
    grsn_add_columns_i16(sums, p->weights, n, p->active, count);
    swap_halves(sums, n);
    EACH(sums, (int16_t)(sums[i] + bias[i]));
}
#endif

#if UINTPTR_MAX > 0xffffffffu && !defined(GRSN_KERNELS_AVX2_H)
static void sum_rows(const product_t *p, int32_t *sums)
{
    copy_words(sums, p->bias, p->node->n * 4u);
    grsn_gate_rows_i32(sums, p->weights, (int32_t)p->node->n, p->x, p->n);
}
#endif

/* Of the spikes that fired, the columns; or, of few rows, the elements. */
static void sum_events(const product_t *p, int32_t *sums)
{
    const grsn_node_t *node = p->node;
    const int32_t rows = (int32_t)node->n;
#if UINTPTR_MAX > 0xffffffffu /* vectors */
    if (node->op == GRSN_GATE) {
        sum_rows(p, sums);
        return;
    }
#endif
    const int32_t count = grsn_active(p->x, p->n, p->active);
    if (grsn_by_halves(node)) {
        sum_halves(p, (int16_t *)(void *)sums, count);
        return;
    }
    copy_words(sums, p->bias, node->n << node->type);
    if (node->op == GRSN_GATE) {
        const int8_t *row = p->weights;
        for (int32_t i = 0; i < rows; i++, row += p->n) {
            for (int32_t k = 0; k < count; k++) {
                sums[i] += row[p->active[k]];
            }
        }
    } else if (node->type == GRSN_INT16) {
        grsn_add_columns_i16((int16_t *)(void *)sums, p->weights, rows, p->active, count);
    } else {
        grsn_add_columns_i32(sums, p->weights, rows, p->active, count);
    }
}

/* ---- any numbers, four columns at a time ----------------------------------------------------------- */

/* An element, 0 behind the last. */
static int32_t element_of(const product_t *p, int32_t j)
{
    return j < p->n ? grsn_load(p->x, p->type, (uint32_t)j) : 0;
}

static void multiply_words(const product_t *p, int32_t *restrict sums)
{
    const int32_t n = (int32_t)p->node->n;
    const int8_t *w = p->weights;
    copy_words(sums, p->bias, p->node->n * 4u);
    for (int32_t j = 0; j < p->n; j += 4, w += 4 * n) {
        const int32_t a = element_of(p, j), b = element_of(p, j + 1);
        const int32_t c = element_of(p, j + 2), d = element_of(p, j + 3);
        EACH(sums, sums[i] + ((w[4 * i] * a + w[4 * i + 1] * b) +
                              (w[4 * i + 2] * c + w[4 * i + 3] * d)));
    }
}

#if defined(GRSN_SXTAB16)
#define GRSN_BYTES_ROWS 1
/* Four products of bytes by two instructions, once they are halves. */
static void multiply_bytes(const product_t *p, int32_t *sums)
{
    const int32_t *w = (const int32_t *)(const void *)p->weights, *from = p->bias;
    const int32_t *x = p->x;
    const int32_t n = (int32_t)p->node->n;
    for (int32_t left = p->n; left > 0; left -= 4, x++, w += n, from = sums) {
        const uint32_t behind = left < 4 ? 32u - 8u * (uint32_t)left : 0u;
        const int32_t four = (int32_t)((uint32_t)*x << behind >> behind);
        int32_t even, odd;
        __asm__("sxtb16 %0, %1" : "=r"(even) : "r"(four));
        __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(four));
        GRSN_ELEMENTWISE
        for (int32_t i = 0; i < n; i++) {
            int32_t sum = from[i], first, second;
            __asm__("sxtb16 %0, %1" : "=r"(first) : "r"(w[i]));
            __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(first), "r"(even), "r"(sum));
            __asm__("sxtb16 %0, %1, ror #8" : "=r"(second) : "r"(w[i]));
            __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(second), "r"(odd), "r"(sum));
            sums[i] = sum;
        }
    }
}
#endif

static void multiply(const product_t *p, void *sums)
{
    if (p->node->op < GRSN_DENSE) {
        sum_events(p, sums);
        return;
    }
#if defined(GRSN_SXTAB16) || defined(GRSN_KERNELS_AVX2_H)
    if (p->type == GRSN_INT8 && p->node->n >= GRSN_BYTES_ROWS) {
        multiply_bytes(p, sums);
        return;
    }
#endif
    multiply_words(p, sums);
}

#endif

#endif
