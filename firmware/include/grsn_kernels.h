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

/* Whether spikes are searched 64 at a time: where registers hold 64 bits and the compiler can count
 * their trailing zeros.  Both ways give the same indices. */
#ifndef GRSN_WIDE_SEARCH
#if defined(__GNUC__) && UINTPTR_MAX > 0xffffffffu
#define GRSN_WIDE_SEARCH 1
#else
#define GRSN_WIDE_SEARCH 0
#endif
#endif

#if GRSN_WIDE_SEARCH
/* Eight spikes as eight bits, the first one lowest. */
static inline uint64_t grsn_eight_spikes(const int8_t *spikes)
{
    const uint8_t *s = (const uint8_t *)spikes;
    const uint64_t bytes = (uint64_t)s[0] | (uint64_t)s[1] << 8 | (uint64_t)s[2] << 16 |
                           (uint64_t)s[3] << 24 | (uint64_t)s[4] << 32 | (uint64_t)s[5] << 40 |
                           (uint64_t)s[6] << 48 | (uint64_t)s[7] << 56;
    return (bytes * UINT64_C(0x0102040810204080)) >> 56;
}
#endif

/* Indices of the neurons that fired, ascending.  spikes: n values of 0 or 1, n <= 65536;
 * active: room for n, rounded up to a multiple of 4, which lets compilers see that the columns are
 * read in bounds.  Returns how many fired. */
static inline int32_t grsn_active(const int8_t *spikes, int32_t n, uint16_t *active)
{
    int32_t count = 0;
#if GRSN_WIDE_SEARCH
    const int32_t whole = n & ~7;
    for (int32_t first = 0; first < whole; first += 64) {
        const int32_t bits = whole - first < 64 ? whole - first : 64;
        uint64_t fired = 0;
        for (int32_t bit = 0; bit < bits; bit += 8) {
            fired |= grsn_eight_spikes(spikes + first + bit) << bit;
        }
        for (; fired != 0; fired &= fired - 1) {
            active[count] = (uint16_t)(first + __builtin_ctzll(fired));
            count++;
        }
    }
#else
    const int32_t whole = n & ~3;
    for (int32_t first = 0; first < whole; first += 4) {
        const int8_t *s = spikes + first;
        if ((s[0] | s[1] | s[2] | s[3]) == 0) {
            continue;
        }
        for (int32_t j = first; j < first + 4; j++) {
            active[count] = (uint16_t)j;
            count += spikes[j];
        }
    }
#endif
    for (int32_t j = whole; j < n; j++) {
        active[count] = (uint16_t)j;
        count += spikes[j];
    }
    return count;
}

/* acc[i] += sum of columns[active[k]][i].  Four columns at a time: fewer passes over acc. */
#define GRSN_DEFINE_ADD_COLUMNS(type, suffix)                                                     \
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

/* acc[i] += sum of matrix[i][j] where spikes[j] is 1: for few rows, on processors with vectors. */
#define GRSN_DEFINE_GATE_ROWS(type, suffix)                                                       \
    static inline void grsn_gate_rows_##suffix(type *restrict acc, const int8_t *matrix,          \
                                               int32_t rows, const int8_t *spikes, int32_t n)     \
    {                                                                                             \
        for (int32_t i = 0; i < rows; i++) {                                                      \
            type sum = 0;                                                                         \
            for (int32_t j = 0; j < n; j++) {                                                     \
                sum = (type)(sum + (matrix[i * n + j] & -spikes[j]));                             \
            }                                                                                     \
            acc[i] = (type)(acc[i] + sum);                                                        \
        }                                                                                         \
    }

GRSN_DEFINE_GATE_ROWS(int16_t, i16)
GRSN_DEFINE_GATE_ROWS(int32_t, i32)

/* acc[i] += sum of columns[j][i] * x[j]: for many rows and few columns.  Four columns at a time;
 * `product` is the narrowest type that holds every product of an int8 and a `type`. */
#define GRSN_DEFINE_BY_COLUMNS(type, suffix, product)                                             \
    static inline void grsn_by_columns_##suffix(int32_t *restrict acc, const int8_t *columns,     \
                                                int32_t rows, const type *x, int32_t n)           \
    {                                                                                             \
        const int32_t whole = n & ~3;                                                             \
        for (int32_t j = 0; j < whole; j += 4) {                                                  \
            const int8_t *a = columns + j * rows;                                                 \
            const int8_t *b = a + rows;                                                           \
            const int8_t *c = b + rows;                                                           \
            const int8_t *d = c + rows;                                                           \
            const product p = x[j], q = x[j + 1], r = x[j + 2], s = x[j + 3];                     \
            for (int32_t i = 0; i < rows; i++) {                                                  \
                acc[i] += ((product)(a[i] * p) + (product)(b[i] * q)) +                           \
                          ((product)(c[i] * r) + (product)(d[i] * s));                            \
            }                                                                                     \
        }                                                                                         \
        for (int32_t j = whole; j < n; j++) {                                                     \
            const product p = x[j];                                                               \
            for (int32_t i = 0; i < rows; i++) {                                                  \
                acc[i] += (product)(columns[j * rows + i] * p);                                   \
            }                                                                                     \
        }                                                                                         \
    }

GRSN_DEFINE_BY_COLUMNS(int8_t, i8, int16_t)
GRSN_DEFINE_BY_COLUMNS(int16_t, i16, int32_t)
GRSN_DEFINE_BY_COLUMNS(int32_t, i32, int32_t)

/* acc[i] += sum of matrix[i][j] * x[j]: for few rows, or many columns. */
#define GRSN_DEFINE_BY_ROWS(type, suffix)                                                         \
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
