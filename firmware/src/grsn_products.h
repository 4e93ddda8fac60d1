/* grsn_products.h: the matrix-vector products of the virtual machine.  Internal to grsn_vm.c.
 *
 * A sum begins with its bias and takes its products in any order: the proof is of every order.
 */
#ifndef GRSN_PRODUCTS_H
#define GRSN_PRODUCTS_H

#include <string.h>

#include "grsn_memory.h"

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

#include "grsn_kernels.h"

#if defined(GRSN_KERNELS_DSP_H) && !defined(GRSN_KERNELS_MVE_H)
#define GRSN_DSP 1
#else
#define GRSN_DSP 0
#endif

/* ---- spikes ------------------------------------------------------------------------------------ */

#if GRSN_DSP
static void sum_halves(const product_t *p, int16_t *sums, int32_t count)
{
    grsn_sum_columns(sums, p->bias, p->weights, (int32_t)p->node->n, p->active, count);
}
#elif defined(GRSN_KERNELS_MVE_H)
/* Eight sums in a register, and then to their places. */
static void sum_halves(const product_t *p, int16_t *sums, int32_t count)
{
    static const uint16_t order[8] = {0, 2, 1, 3, 4, 6, 5, 7};
    const uint16x8_t places = vldrhq_u16(order);
    const int32_t n = (int32_t)p->node->n;
    const int16_t *bias = p->bias;
    for (int32_t i = 0; i < n; i += 8) {
        const mve_pred16_t left = vctp16q((uint32_t)(n - i));
        const int8_t *weights = p->weights + i;
        int16x8_t sum = vldrhq_gather_shifted_offset_z_s16(bias + i, places, left);
        for (int32_t k = 0; k < count; k++) {
            sum = vaddq_s16(sum, vldrbq_z_s16(weights + (int32_t)p->active[k] * n, left));
        }
        vstrhq_scatter_shifted_offset_p_s16(sums + i, places, sum, left);
    }
}
#elif defined(GRSN_KERNELS_AVX2_H)
#include "grsn_products_avx2.h"
#elif UINTPTR_MAX <= 0xffffffffu
static void sum_halves(const product_t *p, int16_t *sums, int32_t count)
{
    const int32_t n = (int32_t)p->node->n;
    copy_words((int32_t *)(void *)sums, p->bias, 2u * p->node->n);
    for (int32_t k = 0; k < count; k++) {
        const int8_t *column = p->weights + (int32_t)p->active[k] * n;
        for (int16_t *sum = sums; sum < sums + n; sum += 4, column += 4) {
            sum[0] = (int16_t)(sum[0] + column[0]);
            sum[1] = (int16_t)(sum[1] + column[2]);
            sum[2] = (int16_t)(sum[2] + column[1]);
            sum[3] = (int16_t)(sum[3] + column[3]);
        }
    }
}
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
    if (node->type == GRSN_INT16) {
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

/* The weight of a row in column k of four: vectors take it from a word, for they read no bytes that
 * lie apart. */
#if defined(__ARM_FEATURE_MVE)
#define WEIGHT(k) ((int32_t)((uint32_t)w[i] << (24 - 8 * (k))) >> 24)
typedef grsn_i32_t weights_t;
enum { APART = 1 };
#else
#define WEIGHT(k) w[4 * i + (k)]
typedef grsn_i8_t weights_t;
enum { APART = 4 };
#endif

/* Columns behind the last one are not there. */
static void multiply_words(const product_t *p, int32_t *sums)
{
    const int32_t n = (int32_t)p->node->n;
    const weights_t *w = (const weights_t *)p->weights;
    const int32_t *from = p->bias;
    for (int32_t j = 0; j < p->n; j += 4, w += APART * n, from = sums) {
        const int32_t a = element_of(p, j), b = element_of(p, j + 1);
        const int32_t c = element_of(p, j + 2), d = element_of(p, j + 3);
        switch (p->n - j) {
        case 1:
            EACH(sums, from[i] + WEIGHT(0) * a);
            break;
        case 2:
            EACH(sums, from[i] + (WEIGHT(0) * a + WEIGHT(1) * b));
            break;
        case 3:
            EACH(sums, from[i] + (WEIGHT(0) * a + WEIGHT(1) * b + WEIGHT(2) * c));
            break;
        default:
            EACH(sums, from[i] + ((WEIGHT(0) * a + WEIGHT(1) * b) +
                                  (WEIGHT(2) * c + WEIGHT(3) * d)));
            break;
        }
    }
}

#if GRSN_DSP
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
#if defined(GRSN_BYTES_ROWS)
    if (p->type == GRSN_INT8 && p->node->n >= GRSN_BYTES_ROWS) {
        multiply_bytes(p, sums);
        return;
    }
#endif
    multiply_words(p, sums);
}

static void product(const memory_t *memory, const grsn_node_t *node, const grsn_node_t *first,
                    const uint8_t *x, void *sums)
{
    const product_t product = {node, data(memory, node->p), data(memory, node->q), x, first->type,
                               (int32_t)first->n,
                               (uint16_t *)(void *)memory->base[GRSN_IN_SCRATCH]};
    multiply(&product, sums);
}

#endif
