/* grsn_kernels_neon.h: grsn_kernels.h for Arm with NEON; the rest, compilers vectorise from C99. */
#ifndef GRSN_KERNELS_NEON_H
#define GRSN_KERNELS_NEON_H

#include <arm_neon.h>
#include <stdint.h>

/* Sums stay in registers while all columns are added. */
#define GRSN_HAS_ADD_COLUMNS
static inline void grsn_add_columns_i16(int16_t *restrict acc, const int8_t *columns, int32_t rows,
                                        const uint16_t *active, int32_t count)
{
    int32_t i = 0;
    for (; i + 16 <= rows; i += 16) {
        int16x8_t low = vld1q_s16(acc + i), high = vld1q_s16(acc + i + 8);
        for (int32_t k = 0; k < count; k++) {
            const int8x16_t column = vld1q_s8(columns + (int32_t)active[k] * rows + i);
            low = vaddw_s8(low, vget_low_s8(column));
            high = vaddw_s8(high, vget_high_s8(column));
        }
        vst1q_s16(acc + i, low);
        vst1q_s16(acc + i + 8, high);
    }
    for (; i < rows; i++) {
        int32_t sum = acc[i];
        for (int32_t k = 0; k < count; k++) {
            sum += columns[(int32_t)active[k] * rows + i];
        }
        acc[i] = (int16_t)sum;
    }
}

static inline void grsn_add_columns_i32(int32_t *restrict acc, const int8_t *columns, int32_t rows,
                                        const uint16_t *active, int32_t count)
{
    int32_t i = 0;
    for (; i + 8 <= rows; i += 8) {
        int32x4_t low = vld1q_s32(acc + i), high = vld1q_s32(acc + i + 4);
        for (int32_t k = 0; k < count; k++) {
            const int16x8_t column = vmovl_s8(vld1_s8(columns + (int32_t)active[k] * rows + i));
            low = vaddw_s16(low, vget_low_s16(column));
            high = vaddw_s16(high, vget_high_s16(column));
        }
        vst1q_s32(acc + i, low);
        vst1q_s32(acc + i + 4, high);
    }
    for (; i < rows; i++) {
        int32_t sum = acc[i];
        for (int32_t k = 0; k < count; k++) {
            sum += columns[(int32_t)active[k] * rows + i];
        }
        acc[i] = sum;
    }
}

/* Eight products of 16 bits at a time; vpadal widens them before it adds. */
#define GRSN_HAS_BY_ROWS_I8
static inline void grsn_by_rows_i8(int32_t *restrict acc, const int8_t *matrix, int32_t rows,
                                   const int8_t *x, int32_t n)
{
    for (int32_t i = 0; i < rows; i++) {
        const int8_t *row = matrix + i * n;
        int32x4_t sums = vdupq_n_s32(0);
        int32_t j = 0, rest = 0;
        for (; j + 8 <= n; j += 8) {
            sums = vpadalq_s16(sums, vmull_s8(vld1_s8(row + j), vld1_s8(x + j)));
        }
        for (; j < n; j++) {
            rest += row[j] * x[j];
        }
        const int32x2_t half = vadd_s32(vget_low_s32(sums), vget_high_s32(sums));
        acc[i] += rest + vget_lane_s32(vpadd_s32(half, half), 0);
    }
}

#endif
