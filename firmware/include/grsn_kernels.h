/* grsn_kernels.h: matrix-vector products; docs/SPEC.md §2 "matvec".
 *
 * Weights are int8.  `columns` holds the matrix column after column, `rows` numbers each, so that a
 * product with spikes is a sum of contiguous columns; `matrix` holds it row after row.  Sizes are
 * literals in generated code, so that the compiler unrolls and vectorises.  Every partial sum is
 * proven to fit the accumulator, in any order of addition.
 *
 * int32_t grsn_active(const int8_t *spikes, int32_t n, uint16_t *active)
 *     Indices of the neurons that fired, each once.  spikes: n values of 0 or 1, n <= 65536;
 *     active: room for n, rounded up to a multiple of 4, which lets compilers see that the columns
 *     are read in bounds.  Returns how many fired.
 *
 * void grsn_add_columns_{i16,i32}(acc, columns, rows, active, count)
 *     acc[i] += sum of columns[active[k]][i].  acc: int16_t or int32_t, set to the bias before.
 *
 * void grsn_sum_columns(acc, bias, columns, rows, active, count)
 *     acc[i] = bias[i] + the same sum, in int16_t; rows is a multiple of 4, and every four numbers
 *     of a column stand in the order of GRSN_QUAD(a, b, c, d), which tables are written with.  All
 *     three begin at a multiple of 4 bytes.
 *
 * void grsn_gate_rows_{i16,i32}(acc, matrix, rows, spikes, n)
 *     acc[i] += sum of matrix[i][j] where spikes[j] is 1: for few rows, on processors with vectors.
 *
 * void grsn_by_columns_{i8,i16,i32}(acc, columns, rows, x, n)
 *     acc[i] += sum of columns[j][i] * x[j] for x of that type and an int32_t acc: for many rows
 *     and few columns.
 *
 * void grsn_by_rows_{i8,i16,i32}(acc, matrix, rows, x, n)
 *     acc[i] += sum of matrix[i][j] * x[j]: for few rows, or many columns.
 *
 * One of several implementations is chosen when compiling, with the same integers: a folder of
 * firmware/kernels/ for the processor, and kernels/generic (C99) for what that folder leaves out.
 * GRSN_KERNELS_GENERIC chooses C99 for all; GRSN_FIXED_SIZES, which generated code defines, chooses
 * it on processors whose vectors the compiler uses by itself (AVX2, NEON).
 */
#ifndef GRSN_KERNELS_H
#define GRSN_KERNELS_H

#include <stdint.h>

#include "grsn_primitives.h"

/* Tables and accumulators begin at a multiple of 16 bytes, where the compiler can say so; of 8 on
 * Cortex-M, whose vectors need no more, and whose stack does not have it. */
#if defined(__thumb__) && defined(__GNUC__)
#define GRSN_ALIGNED __attribute__((aligned(8)))
#elif defined(__GNUC__) && !defined(__AVR__)
#define GRSN_ALIGNED __attribute__((aligned(16)))
#else
#define GRSN_ALIGNED
#endif

/* Whether few inputs are better multiplied row by row: on processors without vectors. */
#if defined(__AVR__) || (defined(__thumb__) && !defined(__ARM_FEATURE_MVE)) || \
    (defined(__riscv) && !defined(__riscv_vector))
#define GRSN_ROWS_FIRST 1
#else
#define GRSN_ROWS_FIRST 0
#endif

#if defined(GRSN_KERNELS_GENERIC) || defined(__ARM_BIG_ENDIAN)
/* C99 alone. */
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include "../kernels/mve/grsn_kernels_mve.h"
#elif defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__thumb2__) && \
    defined(__GNUC__)
#include "../kernels/dsp/grsn_kernels_dsp.h"
#elif defined(__AVR__) && defined(GRSN_READS_FLASH) && defined(__OPTIMIZE__)
#include "../kernels/avr/grsn_kernels_avr.h"
#elif defined(GRSN_FIXED_SIZES)
/* Compilers vectorise C99 better than any kernel where they know the sizes. */
#elif defined(__ARM_NEON) && !defined(__thumb__)
#include "../kernels/neon/grsn_kernels_neon.h"
#elif defined(__AVX2__) && defined(__GNUC__)
#include "../kernels/avx2/grsn_kernels_avx2.h"
#endif
#include "../kernels/generic/grsn_kernels_generic.h"

#endif
