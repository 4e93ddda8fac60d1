/* grsn_kernels_mve.h: grsn_kernels.h for Helium; what is left to C99 there, compilers vectorise. */
#ifndef GRSN_KERNELS_MVE_H
#define GRSN_KERNELS_MVE_H

#include <arm_mve.h>
#include <stdint.h>

/* Up to four columns at a time, eight rows in a register. */
#define GRSN_HAS_SUM_COLUMNS
#define GRSN_QUAD(a, b, c, d) a, b, c, d

#define GRSN_MVE_ADD(sum, k) sum = vaddq_s16(sum, vldrbq_s16(c##k + i))
#define GRSN_DEFINE_MVE_SUM(K, ADD)                                                                \
    static inline void grsn_mve_sum_##K(int16_t *acc, const int16_t *from, int32_t rows,           \
                                        const int8_t *c0, const int8_t *c1, const int8_t *c2,      \
                                        const int8_t *c3)                                          \
    {                                                                                              \
        (void)c0, (void)c1, (void)c2, (void)c3;                                                    \
        for (int32_t i = 0; i < rows; i += 8) {                                                    \
            int16x8_t sum = vldrhq_s16(from + i);                                                  \
            ADD;                                                                                   \
            vstrhq_s16(acc + i, sum);                                                              \
        }                                                                                          \
    }

GRSN_DEFINE_MVE_SUM(0, (void)0)
GRSN_DEFINE_MVE_SUM(1, GRSN_MVE_ADD(sum, 0))
GRSN_DEFINE_MVE_SUM(2, GRSN_MVE_ADD(sum, 0); GRSN_MVE_ADD(sum, 1))
GRSN_DEFINE_MVE_SUM(3, GRSN_MVE_ADD(sum, 0); GRSN_MVE_ADD(sum, 1); GRSN_MVE_ADD(sum, 2))
GRSN_DEFINE_MVE_SUM(4, GRSN_MVE_ADD(sum, 0); GRSN_MVE_ADD(sum, 1); GRSN_MVE_ADD(sum, 2);
                    GRSN_MVE_ADD(sum, 3))

static inline void grsn_sum_columns(int16_t *restrict acc, const int16_t *bias,
                                    const int8_t *columns, int32_t rows, const uint16_t *active,
                                    int32_t count)
{
    const int32_t whole = rows & ~7;
    const int16_t *from = bias;
    for (int32_t i = whole; i < rows; i++) {
        int32_t sum = bias[i];
        for (int32_t k = 0; k < count; k++) {
            sum += columns[(int32_t)active[k] * rows + i];
        }
        acc[i] = (int16_t)sum;
    }
    int32_t k = 0;
    do {
        const int32_t left = count - k;
        const int8_t *const c0 = left > 0 ? columns + active[k] * rows : columns;
        const int8_t *const c1 = left > 1 ? columns + active[k + 1] * rows : columns;
        const int8_t *const c2 = left > 2 ? columns + active[k + 2] * rows : columns;
        const int8_t *const c3 = left > 3 ? columns + active[k + 3] * rows : columns;
        switch (left) {
        case 0: grsn_mve_sum_0(acc, from, whole, c0, c1, c2, c3); break;
        case 1: grsn_mve_sum_1(acc, from, whole, c0, c1, c2, c3); break;
        case 2: grsn_mve_sum_2(acc, from, whole, c0, c1, c2, c3); break;
        case 3: grsn_mve_sum_3(acc, from, whole, c0, c1, c2, c3); break;
        default: grsn_mve_sum_4(acc, from, whole, c0, c1, c2, c3); break;
        }
        from = acc;
        k += 4;
    } while (k < count);
}

/* The search for spikes, and few rows, as without vectors. */
#include "../dsp/grsn_kernels_dsp.h"

#endif
