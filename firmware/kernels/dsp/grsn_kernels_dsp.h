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

/* Sixteen neurons at a time: bit 8k + j of `fired` is the spike of neuron 4j + k. */
#define GRSN_HAS_ACTIVE
static inline int32_t grsn_active(const int8_t *spikes, int32_t n, uint16_t *active)
{
    uint16_t *next = active;
    int32_t first = 0;
    for (; first + 16 <= n; first += 16) {
        const uint32_t a = (uint32_t)grsn_word(spikes + first);
        const uint32_t b = (uint32_t)grsn_word(spikes + first + 4);
        const uint32_t c = (uint32_t)grsn_word(spikes + first + 8);
        const uint32_t d = (uint32_t)grsn_word(spikes + first + 12);
        for (uint32_t fired = a | b << 1 | c << 2 | d << 3; fired != 0; fired &= fired - 1) {
            const int32_t bit = __builtin_ctz(fired);
            *next++ = (uint16_t)(first + (bit & 7) * 4 + (bit >> 3));
        }
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
/* The second and third number of each four change places, so that sums come out in order. */
#define GRSN_HAS_SUM_COLUMNS
#define GRSN_QUAD(a, b, c, d) a, c, b, d

/* to = from + K columns, eight rows an iteration; rows is a multiple of 8, and not 0. */
#define GRSN_DEFINE_SUM(K, COLUMNS, ADD, OPERANDS)                                                 \
    static inline void grsn_sum_##K(int16_t *to, const int16_t *from, int32_t rows,                \
                                    const int8_t *columns, const uint16_t *active, int32_t step)   \
    {                                                                                              \
        const int16_t *const end = from + rows;                                                    \
        (void)columns, (void)active, (void)step;                                                   \
        int32_t w, x;                                                                              \
        COLUMNS                                                                                    \
        __asm__ volatile("1:\n\t"                                                                  \
                         "ldmia %[from]!, {r4, r5, r6, r8}\n\t" ADD                                \
                         "stmia %[to]!, {r4, r5, r6, r8}\n\t"                                      \
                         "cmp %[from], %[end]\n\t"                                                 \
                         "bne 1b"                                                                  \
                         : [to] "+r"(to), [from] "+r"(from), [w] "=&r"(w), [x] "=&r"(x) OPERANDS   \
                         : [end] "r"(end)                                                          \
                         : "r4", "r5", "r6", "r8", "cc", "memory");                                \
    }
#define GRSN_COLUMN(k) const int8_t *c##k = columns + (int32_t)active[k] * step;
#define GRSN_OPERAND(k) , [c##k] "+r"(c##k)
#define GRSN_ADD(k)                                                                                \
    "ldrd %[w], %[x], [%[c" #k "]], #8\n\t"                                                        \
    "sxtab16 r4, r4, %[w]\n\t"                                                                     \
    "sxtab16 r5, r5, %[w], ror #8\n\t"                                                             \
    "sxtab16 r6, r6, %[x]\n\t"                                                                     \
    "sxtab16 r8, r8, %[x], ror #8\n\t"

GRSN_DEFINE_SUM(0, , , )
GRSN_DEFINE_SUM(1, GRSN_COLUMN(0), GRSN_ADD(0), GRSN_OPERAND(0))
GRSN_DEFINE_SUM(2, GRSN_COLUMN(0) GRSN_COLUMN(1), GRSN_ADD(0) GRSN_ADD(1),
                GRSN_OPERAND(0) GRSN_OPERAND(1))
GRSN_DEFINE_SUM(3, GRSN_COLUMN(0) GRSN_COLUMN(1) GRSN_COLUMN(2),
                GRSN_ADD(0) GRSN_ADD(1) GRSN_ADD(2),
                GRSN_OPERAND(0) GRSN_OPERAND(1) GRSN_OPERAND(2))
GRSN_DEFINE_SUM(4, GRSN_COLUMN(0) GRSN_COLUMN(1) GRSN_COLUMN(2) GRSN_COLUMN(3),
                GRSN_ADD(0) GRSN_ADD(1) GRSN_ADD(2) GRSN_ADD(3),
                GRSN_OPERAND(0) GRSN_OPERAND(1) GRSN_OPERAND(2) GRSN_OPERAND(3))

/* The last four rows where they are not a multiple of eight. */
static inline void grsn_sum_tail(int16_t *to, const int16_t *bias, const int8_t *column,
                                 const uint16_t *active, int32_t count, int32_t step)
{
    int32_t even = grsn_word(bias), odd = grsn_word(bias + 2);
    for (int32_t k = 0; k < count; k++) {
        const int32_t w = grsn_word(column + (int32_t)active[k] * step);
        __asm__("sxtab16 %0, %0, %1" : "+r"(even) : "r"(w));
        __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(odd) : "r"(w));
    }
    __builtin_memcpy(to, &even, sizeof even);
    __builtin_memcpy(to + 2, &odd, sizeof odd);
}

static inline void grsn_sum_columns(int16_t *restrict acc, const int16_t *bias,
                                    const int8_t *columns, int32_t rows, const uint16_t *active,
                                    int32_t count)
{
    const int32_t whole = rows & ~7;
    if (rows > whole) {
        grsn_sum_tail(acc + whole, bias + whole, columns + whole, active, count, rows);
    }
    const int16_t *from = bias;
    if (whole == 0) {
        return;
    }
    do {
        switch (count) {
        case 0: grsn_sum_0(acc, from, whole, columns, active, rows); break;
        case 1: grsn_sum_1(acc, from, whole, columns, active, rows); break;
        case 2: grsn_sum_2(acc, from, whole, columns, active, rows); break;
        case 3: grsn_sum_3(acc, from, whole, columns, active, rows); break;
        default: grsn_sum_4(acc, from, whole, columns, active, rows); break;
        }
        from = acc;
        active += 4;
        count -= 4;
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
