/* grsn_kernels.h: matrix-vector products, generic C99; docs/SPEC.md §2 "matvec".
 *
 * Weights are int8.  `columns` holds the matrix column after column, `rows` numbers each, so that a
 * product with spikes is a sum of contiguous columns; `matrix` holds it row after row.  The caller
 * has set `acc` to the bias; products are added to it.  Sizes are literals in generated code, so
 * that the compiler unrolls and vectorises.  Every partial sum is proven to fit the accumulator, in
 * any order of addition.
 */
#ifndef GRSN_KERNELS_H
#define GRSN_KERNELS_H

#include <stdint.h>

/* Indices of the neurons that fired, ascending.  spikes: n values of 0 or 1, n <= 65535;
 * active: room for n, rounded up to a multiple of 4, which lets compilers see that the columns are
 * read in bounds.  Returns how many fired. */
static inline int32_t grsn_active(const int8_t *spikes, int32_t n, uint16_t *active)
{
    int32_t count = 0;
    for (int32_t j = 0; j < n; j++) {
        active[count] = (uint16_t)j;
        count += spikes[j];
    }
    return count;
}

/* acc[i] += sum of columns[active[k]][i].  Four columns at a time: fewer passes over acc. */
#define GRSN_DEFINE_ADD_COLUMNS(type, suffix)                                                      \
    static inline void grsn_add_columns_##suffix(type *restrict acc, const int8_t *columns,       \
                                                 int32_t rows, const uint16_t *active,            \
                                                 int32_t count)                                   \
    {                                                                                             \
        int32_t k = 0;                                                                            \
        for (; k + 4 <= count; k += 4) {                                                          \
            const int8_t *a = columns + (int32_t)active[k] * rows;                                \
            const int8_t *b = columns + (int32_t)active[k + 1] * rows;                            \
            const int8_t *c = columns + (int32_t)active[k + 2] * rows;                            \
            const int8_t *d = columns + (int32_t)active[k + 3] * rows;                            \
            for (int32_t i = 0; i < rows; i++) {                                                  \
                acc[i] = (type)(acc[i] + ((a[i] + b[i]) + (c[i] + d[i])));                        \
            }                                                                                     \
        }                                                                                         \
        for (; k < count; k++) {                                                                  \
            const int8_t *a = columns + (int32_t)active[k] * rows;                                \
            for (int32_t i = 0; i < rows; i++) {                                                  \
                acc[i] = (type)(acc[i] + a[i]);                                                   \
            }                                                                                     \
        }                                                                                         \
    }

GRSN_DEFINE_ADD_COLUMNS(int16_t, i16)
GRSN_DEFINE_ADD_COLUMNS(int32_t, i32)

/* acc[i] += sum of columns[j][i] * x[j]: for many rows and few columns. */
#define GRSN_DEFINE_BY_COLUMNS(type, suffix)                                                       \
    static inline void grsn_by_columns_##suffix(int32_t *restrict acc, const int8_t *columns,     \
                                                int32_t rows, const type *x, int32_t n)           \
    {                                                                                             \
        for (int32_t j = 0; j < n; j++) {                                                         \
            const int32_t factor = x[j];                                                          \
            for (int32_t i = 0; i < rows; i++) {                                                  \
                acc[i] += (int32_t)columns[j * rows + i] * factor;                                \
            }                                                                                     \
        }                                                                                         \
    }

GRSN_DEFINE_BY_COLUMNS(int8_t, i8)
GRSN_DEFINE_BY_COLUMNS(int16_t, i16)
GRSN_DEFINE_BY_COLUMNS(int32_t, i32)

/* acc[i] += sum of matrix[i][j] * x[j]: for few rows, or many columns. */
#define GRSN_DEFINE_BY_ROWS(type, suffix)                                                          \
    static inline void grsn_by_rows_##suffix(int32_t *restrict acc, const int8_t *matrix,         \
                                             int32_t rows, const type *x, int32_t n)              \
    {                                                                                             \
        for (int32_t i = 0; i < rows; i++) {                                                      \
            int32_t sum = 0;                                                                      \
            for (int32_t j = 0; j < n; j++) {                                                     \
                sum += (int32_t)matrix[i * n + j] * (int32_t)x[j];                                \
            }                                                                                     \
            acc[i] += sum;                                                                        \
        }                                                                                         \
    }

GRSN_DEFINE_BY_ROWS(int8_t, i8)
GRSN_DEFINE_BY_ROWS(int16_t, i16)
GRSN_DEFINE_BY_ROWS(int32_t, i32)

#endif
