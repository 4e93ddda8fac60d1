/* grsn_kernels_dsp.h: grsn_kernels.h for a Cortex-M with the DSP extension.
 *
 * SXTAB16 adds bytes 0 and 2 of a word to two halves, and, of the word rotated, bytes 1 and 3.
 */
#ifndef GRSN_KERNELS_DSP_H
#define GRSN_KERNELS_DSP_H

#include <stdint.h>

static inline int32_t grsn_word(const void *p)
{
    int32_t word;
    __builtin_memcpy(&word, p, sizeof word);
    return word;
}

/* Four spikes as four bits, the first one lowest: each product of a byte lands on its own bit. */
static inline uint32_t grsn_four_spikes(int32_t word)
{
    return ((uint32_t)word * 0x01020408u) >> 24;
}

/* Silent neurons are passed over sixteen at a time. */
#define GRSN_HAS_ACTIVE
static inline int32_t grsn_active(const int8_t *spikes, int32_t n, uint16_t *active)
{
    uint16_t *next = active;
    int32_t first = 0;
    for (; first + 16 <= n; first += 16) {
        const int32_t a = grsn_word(spikes + first), b = grsn_word(spikes + first + 4);
        const int32_t c = grsn_word(spikes + first + 8), d = grsn_word(spikes + first + 12);
        if ((a | b | c | d) == 0) {
            continue;
        }
        uint32_t fired = grsn_four_spikes(d) << 4 | grsn_four_spikes(c);
        fired = fired << 4 | grsn_four_spikes(b);
        fired = fired << 4 | grsn_four_spikes(a);
        do {
            *next++ = (uint16_t)(first + __builtin_ctz(fired));
            fired &= fired - 1;
        } while (fired != 0);
    }
    for (; first < n; first++) {
        *next = (uint16_t)first;
        next += spikes[first];
    }
    return (int32_t)(next - active);
}

#if defined(__clang__)
#define GRSN_WRITE_OUT _Pragma("clang loop unroll(full)")
#else
#define GRSN_WRITE_OUT _Pragma("GCC unroll 8")
#endif

#ifndef GRSN_HAS_SUM_COLUMNS
#define GRSN_SXTAB16(acc, word) __asm__("sxtab16 %0, %0, %1" : "+r"(acc) : "r"(word))
#define GRSN_SXTAB16_ODD(acc, word) __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(acc) : "r"(word))

/* The second and third number of each four change places, so that sums come out in order. */
#define GRSN_HAS_SUM_COLUMNS
#define GRSN_QUAD(a, b, c, d) a, c, b, d

/* acc = from + K columns, four rows at a time, sixteen an iteration where the number allows it. */
#define GRSN_DEFINE_SUM(K, COLUMNS, ADD)                                                           \
    static inline void grsn_sum_##K(int32_t *acc, const int32_t *from, int32_t quads,              \
                                    const int32_t *const *column)                                  \
    {                                                                                              \
        COLUMNS                                                                                    \
        const int32_t block = quads % 4 == 0 ? 4 : 1;                                              \
        for (int32_t first = 0; first < quads; first += block) {                                   \
            GRSN_WRITE_OUT                                                                         \
            for (int32_t q = first; q < first + block; q++) {                                      \
                int32_t even = from[2 * q], odd = from[2 * q + 1];                                 \
                ADD                                                                                \
                acc[2 * q] = even;                                                                 \
                acc[2 * q + 1] = odd;                                                              \
            }                                                                                      \
        }                                                                                          \
    }
#define GRSN_COLUMN(i) const int32_t *c##i = column[i];
#define GRSN_ADD(i)                                                                                \
    {                                                                                              \
        const int32_t w = c##i[q];                                                                 \
        GRSN_SXTAB16(even, w);                                                                     \
        GRSN_SXTAB16_ODD(odd, w);                                                                  \
    }

typedef struct {
    int32_t word[4];
} grsn_four_words;

/* No column: a copy. */
static inline void grsn_sum_0(int32_t *acc, const int32_t *from, int32_t quads)
{
    int32_t q = 0;
    for (; q + 2 <= quads; q += 2) {
        grsn_four_words four;
        __builtin_memcpy(&four, from + 2 * q, sizeof four);
        __builtin_memcpy(acc + 2 * q, &four, sizeof four);
        __asm__ volatile("" ::: "memory"); /* a loop, and not a call of memcpy */
    }
    for (; q < quads; q++) {
        acc[2 * q] = from[2 * q];
        acc[2 * q + 1] = from[2 * q + 1];
    }
}

GRSN_DEFINE_SUM(1, GRSN_COLUMN(0), GRSN_ADD(0))
GRSN_DEFINE_SUM(2, GRSN_COLUMN(0) GRSN_COLUMN(1), GRSN_ADD(0) GRSN_ADD(1))
GRSN_DEFINE_SUM(3, GRSN_COLUMN(0) GRSN_COLUMN(1) GRSN_COLUMN(2),
                GRSN_ADD(0) GRSN_ADD(1) GRSN_ADD(2))
GRSN_DEFINE_SUM(4, GRSN_COLUMN(0) GRSN_COLUMN(1) GRSN_COLUMN(2) GRSN_COLUMN(3),
                GRSN_ADD(0) GRSN_ADD(1) GRSN_ADD(2) GRSN_ADD(3))

static inline void grsn_sum_columns(int16_t *restrict acc, const int16_t *bias,
                                    const int8_t *columns, int32_t rows, const uint16_t *active,
                                    int32_t count)
{
    int32_t *const sums = (int32_t *)(void *)acc;
    const int32_t *from = (const int32_t *)(const void *)bias;
    const int32_t quads = rows / 4;
    do {
        const int32_t *column[4];
        const int32_t taken = count < 4 ? count : 4;
        for (int32_t k = 0; k < taken; k++) {
            column[k] = (const int32_t *)(const void *)(columns + (int32_t)active[k] * rows);
        }
        switch (taken) {
        case 0: grsn_sum_0(sums, from, quads); break;
        case 1: grsn_sum_1(sums, from, quads, column); break;
        case 2: grsn_sum_2(sums, from, quads, column); break;
        case 3: grsn_sum_3(sums, from, quads, column); break;
        default: grsn_sum_4(sums, from, quads, column); break;
        }
        from = sums;
        active += taken;
        count -= taken;
    } while (count > 0);
}

#endif

/* Few rows stay in registers, and each column is read once. */
#define GRSN_HAS_ADD_COLUMNS
#define GRSN_DEFINE_ADD_COLUMNS(type, suffix)                                                      \
    static inline void grsn_add_columns_##suffix(type *restrict acc, const int8_t *columns,        \
                                                 int32_t rows, const uint16_t *active,             \
                                                 int32_t count)                                    \
    {                                                                                              \
        if (rows <= 4) {                                                                           \
            int32_t sums[4] = {0, 0, 0, 0};                                                        \
            for (int32_t k = 0; k < count; k++) {                                                  \
                const int8_t *column = columns + (int32_t)active[k] * rows;                        \
                GRSN_WRITE_OUT                                                                     \
                for (int32_t i = 0; i < 4; i++) {                                                  \
                    sums[i] += i < rows ? column[i] : 0;                                           \
                }                                                                                  \
            }                                                                                      \
            for (int32_t i = 0; i < rows; i++) {                                                   \
                acc[i] = (type)(acc[i] + sums[i]);                                                 \
            }                                                                                      \
            return;                                                                                \
        }                                                                                          \
        for (int32_t k = 0; k < count; k++) {                                                      \
            const int8_t *column = columns + (int32_t)active[k] * rows;                            \
            for (int32_t i = 0; i < rows; i++) {                                                   \
                acc[i] = (type)(acc[i] + column[i]);                                               \
            }                                                                                      \
        }                                                                                          \
    }

GRSN_DEFINE_ADD_COLUMNS(int16_t, i16)
GRSN_DEFINE_ADD_COLUMNS(int32_t, i32)

/* Four products of bytes by four instructions that widen and two that multiply and add. */
#define GRSN_HAS_BY_ROWS_I8
static inline void grsn_by_rows_i8(int32_t *restrict acc, const int8_t *matrix, int32_t rows,
                                   const int8_t *x, int32_t n)
{
    for (int32_t i = 0; i < rows; i++) {
        const int8_t *row = matrix + i * n;
        int32_t sum = acc[i], j = 0;
        for (; j + 4 <= n; j += 4) {
            const int32_t w = grsn_word(row + j), v = grsn_word(x + j);
            int32_t a, b;
            __asm__("sxtb16 %0, %1" : "=r"(a) : "r"(w));
            __asm__("sxtb16 %0, %1" : "=r"(b) : "r"(v));
            __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(sum));
            __asm__("sxtb16 %0, %1, ror #8" : "=r"(a) : "r"(w));
            __asm__("sxtb16 %0, %1, ror #8" : "=r"(b) : "r"(v));
            __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(sum));
        }
        for (; j < n; j++) {
            sum += row[j] * x[j];
        }
        acc[i] = sum;
    }
}

#endif
