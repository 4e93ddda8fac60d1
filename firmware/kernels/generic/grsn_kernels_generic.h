/* grsn_kernels_generic.h: grsn_kernels.h in C99; what another folder has defined is left out. */
#ifndef GRSN_KERNELS_GENERIC_H
#define GRSN_KERNELS_GENERIC_H

#include "grsn_primitives.h"

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

/* What holds a product of two int8: narrow for vectors and for AVR, a register elsewhere. */
#if GRSN_ROWS_FIRST && !defined(__AVR__)
typedef int32_t grsn_product8;
#else
typedef int16_t grsn_product8;
#endif

#ifndef GRSN_HAS_ACTIVE
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
    const grsn_index whole = (grsn_index)(n & ~3);
    for (grsn_index first = 0; first < whole; first += 4) {
        const int8_t *s = spikes + first;
        if ((s[0] | s[1] | s[2] | s[3]) == 0) {
            continue;
        }
        for (grsn_index j = first; j < first + 4; j++) {
            active[count] = (uint16_t)j;
            count += spikes[j];
        }
    }
#endif
    for (int32_t j = (int32_t)whole; j < n; j++) {
        active[count] = (uint16_t)j;
        count += spikes[j];
    }
    return count;
}
#endif

#ifndef GRSN_HAS_ADD_COLUMNS
/* Four columns at a time: fewer passes over acc. */
#define GRSN_DEFINE_ADD_COLUMNS(type, suffix)                                                      \
    static inline void grsn_add_columns_##suffix(type *restrict acc,                               \
                                                 const GRSN_FLASH int8_t *columns,                 \
                                                 int32_t rows, const uint16_t *active,             \
                                                 int32_t count)                                    \
    {                                                                                              \
        grsn_index k = 0;                                                                          \
        for (; k + 4 <= (grsn_index)count; k += 4) {                                               \
            const GRSN_FLASH int8_t *a = columns + (grsn_index)active[k] * (grsn_index)rows;       \
            const GRSN_FLASH int8_t *b = columns + (grsn_index)active[k + 1] * (grsn_index)rows;   \
            const GRSN_FLASH int8_t *c = columns + (grsn_index)active[k + 2] * (grsn_index)rows;   \
            const GRSN_FLASH int8_t *d = columns + (grsn_index)active[k + 3] * (grsn_index)rows;   \
            for (grsn_index i = 0; i < (grsn_index)rows; i++) {                                    \
                acc[i] = (type)(acc[i] + ((a[i] + b[i]) + (c[i] + d[i])));                         \
            }                                                                                      \
        }                                                                                          \
        for (; k < (grsn_index)count; k++) {                                                       \
            const GRSN_FLASH int8_t *a = columns + (grsn_index)active[k] * (grsn_index)rows;       \
            for (grsn_index i = 0; i < (grsn_index)rows; i++) {                                    \
                acc[i] = (type)(acc[i] + a[i]);                                                    \
            }                                                                                      \
        }                                                                                          \
    }

#ifndef GRSN_HAS_ADD_COLUMNS_I16
GRSN_DEFINE_ADD_COLUMNS(int16_t, i16)
#endif
GRSN_DEFINE_ADD_COLUMNS(int32_t, i32)
#endif

#ifndef GRSN_HAS_GATE_ROWS
#define GRSN_DEFINE_GATE_ROWS(type, suffix)                                                        \
    static inline void grsn_gate_rows_##suffix(type *restrict acc,                                 \
                                               const GRSN_FLASH int8_t *matrix,                    \
                                               int32_t rows, const int8_t *spikes, int32_t n)      \
    {                                                                                              \
        for (grsn_index i = 0; i < (grsn_index)rows; i++) {                                        \
            type sum = 0;                                                                          \
            for (grsn_index j = 0; j < (grsn_index)n; j++) {                                       \
                sum = (type)(sum + (matrix[i * (grsn_index)n + j] & -spikes[j]));                  \
            }                                                                                      \
            acc[i] = (type)(acc[i] + sum);                                                         \
        }                                                                                          \
    }

GRSN_DEFINE_GATE_ROWS(int16_t, i16)
GRSN_DEFINE_GATE_ROWS(int32_t, i32)
#endif

#ifndef GRSN_HAS_BY_COLUMNS
/* Four columns at a time; `product` is the narrowest type that holds every product of an int8 and a
 * `type`. */
#define GRSN_DEFINE_BY_COLUMNS(type, suffix, product)                                              \
    static inline void grsn_by_columns_##suffix(int32_t *restrict acc,                             \
                                                const GRSN_FLASH int8_t *columns,                  \
                                                int32_t rows, const type *x, int32_t n)            \
    {                                                                                              \
        const grsn_index whole = (grsn_index)(n & ~3);                                             \
        for (grsn_index j = 0; j < whole; j += 4) {                                                \
            const GRSN_FLASH int8_t *a = columns + j * (grsn_index)rows;                           \
            const GRSN_FLASH int8_t *b = a + rows;                                                 \
            const GRSN_FLASH int8_t *c = b + rows;                                                 \
            const GRSN_FLASH int8_t *d = c + rows;                                                 \
            const product p = x[j], q = x[j + 1], r = x[j + 2], s = x[j + 3];                      \
            for (grsn_index i = 0; i < (grsn_index)rows; i++) {                                    \
                acc[i] += ((int32_t)(product)(a[i] * p) + (product)(b[i] * q)) +                   \
                          ((int32_t)(product)(c[i] * r) + (product)(d[i] * s));                    \
            }                                                                                      \
        }                                                                                          \
        for (grsn_index j = whole; j < (grsn_index)n; j++) {                                       \
            const product p = x[j];                                                                \
            for (grsn_index i = 0; i < (grsn_index)rows; i++) {                                    \
                acc[i] += (product)(columns[j * (grsn_index)rows + i] * p);                        \
            }                                                                                      \
        }                                                                                          \
    }

GRSN_DEFINE_BY_COLUMNS(int8_t, i8, grsn_product8)
GRSN_DEFINE_BY_COLUMNS(int16_t, i16, int32_t)
GRSN_DEFINE_BY_COLUMNS(int32_t, i32, int32_t)
#endif

#define GRSN_DEFINE_BY_ROWS(type, suffix, product)                                                 \
    static inline void grsn_by_rows_##suffix(int32_t *restrict acc,                                \
                                             const GRSN_FLASH int8_t *matrix,                      \
                                             int32_t rows, const type *x, int32_t n)               \
    {                                                                                              \
        for (grsn_index i = 0; i < (grsn_index)rows; i++) {                                        \
            int32_t sum = 0;                                                                       \
            for (grsn_index j = 0; j < (grsn_index)n; j++) {                                       \
                sum += (product)(matrix[i * (grsn_index)n + j] * (product)x[j]);                   \
            }                                                                                      \
            acc[i] += sum;                                                                         \
        }                                                                                          \
    }

#ifndef GRSN_HAS_BY_ROWS_I8
GRSN_DEFINE_BY_ROWS(int8_t, i8, grsn_product8)
#endif
GRSN_DEFINE_BY_ROWS(int16_t, i16, int32_t)
GRSN_DEFINE_BY_ROWS(int32_t, i32, int32_t)

#ifndef GRSN_HAS_SUM_COLUMNS
#define GRSN_QUAD(a, b, c, d) a, b, c, d
static inline void grsn_sum_columns(int16_t *restrict acc, const GRSN_FLASH int16_t *bias,
                                    const GRSN_FLASH int8_t *columns, int32_t rows,
                                    const uint16_t *active, int32_t count)
{
    for (grsn_index i = 0; i < (grsn_index)rows; i++) {
        acc[i] = bias[i];
    }
    grsn_add_columns_i16(acc, columns, rows, active, count);
}
#endif

#endif
