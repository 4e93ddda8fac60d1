/* grsn_kernels_avr.h: grsn_kernels.h for AVR; what is left to C99 there, compilers do as well.
 *
 * Only Z reads flash, and only X is left to walk through RAM: two columns at a time share the way
 * to the sums and back.
 */
#ifndef GRSN_KERNELS_AVR_H
#define GRSN_KERNELS_AVR_H

#include <stdint.h>

#include "grsn_primitives.h"

/* X is at a sum: fetch it, leave it for the next one; add a byte between, as 16 bits. */
#define GRSN_FETCH_SUM "ld %A[sum], X+\n\tld %B[sum], X\n\t"
#define GRSN_LEAVE_SUM "st X, %B[sum]\n\tst -X, %A[sum]\n\tadiw r26, 2\n\t"
#define GRSN_ADD_BYTE(byte)                                                                        \
    "add %A[sum], " byte "\n\t"                                                                    \
    "adc %B[sum], __zero_reg__\n\t"                                                                \
    "sbrc " byte ", 7\n\t"                                                                         \
    "dec %B[sum]\n\t"
#define GRSN_NEXT_ROW "sbiw %[left], 1\n\tbrne 1b"

static inline void grsn_add_one_column(int16_t *acc, const GRSN_FLASH int8_t *column, int16_t left)
{
    int16_t sum;
    __asm__ volatile("1:\n\t"
                     "lpm __tmp_reg__, Z+\n\t" GRSN_FETCH_SUM GRSN_ADD_BYTE("__tmp_reg__")
                         GRSN_LEAVE_SUM GRSN_NEXT_ROW
                     : "+x"(acc), "+z"(column), [left] "+w"(left), [sum] "=&r"(sum)
                     :
                     : "memory");
}

static inline void grsn_add_two_columns(int16_t *acc, const GRSN_FLASH int8_t *column,
                                        const GRSN_FLASH int8_t *other, int16_t left)
{
    int16_t sum, kept;
    uint8_t byte;
    __asm__ volatile("1:\n\t"
                     "lpm __tmp_reg__, Z+\n\t"
                     "movw %A[kept], r30\n\t"
                     "movw r30, %A[other]\n\t"
                     "lpm %[byte], Z+\n\t"
                     "movw %A[other], r30\n\t"
                     "movw r30, %A[kept]\n\t" GRSN_FETCH_SUM GRSN_ADD_BYTE("__tmp_reg__")
                         GRSN_ADD_BYTE("%[byte]") GRSN_LEAVE_SUM GRSN_NEXT_ROW
                     : "+x"(acc), "+z"(column), [left] "+w"(left), [other] "+r"(other),
                       [sum] "=&r"(sum), [kept] "=&r"(kept), [byte] "=&r"(byte)
                     :
                     : "memory");
}

/* One copy for all products of a policy: a call costs less than its place. */
__attribute__((noinline, unused)) static void grsn_add_each_column(
    int16_t *acc, const GRSN_FLASH int8_t *columns, int16_t rows, const uint16_t *active,
    int16_t count)
{
    for (; count >= 2; count = (int16_t)(count - 2)) {
        const GRSN_FLASH int8_t *column = columns + (int16_t)*active++ * rows;
        grsn_add_two_columns(acc, column, columns + (int16_t)*active++ * rows, rows);
    }
    if (count > 0) {
        grsn_add_one_column(acc, columns + (int16_t)*active * rows, rows);
    }
}

#define GRSN_HAS_ADD_COLUMNS_I16
static inline void grsn_add_columns_i16(int16_t *restrict acc, const GRSN_FLASH int8_t *columns,
                                        int32_t rows, const uint16_t *active, int32_t count)
{
    grsn_add_each_column(acc, columns, (int16_t)rows, active, (int16_t)count);
}

/* Eight-bit products, added in 32 bits: a product's sign is in the carry. */
#define GRSN_HAS_BY_ROWS_I8
static inline void grsn_by_rows_i8(int32_t *restrict acc, const GRSN_FLASH int8_t *matrix,
                                   int32_t rows, const int8_t *x, int32_t n)
{
    for (int16_t i = (int16_t)rows; i > 0; i--) {
        const int8_t *input = x;
        int32_t sum = *acc;
        uint8_t left = (uint8_t)n, weight, value;
        do { /* a row of more than 256 inputs goes in parts, the first of n % 256 */
            __asm__ volatile("1:\n\t"
                             "lpm %[weight], Z+\n\t"
                             "ld %[value], X+\n\t"
                             "muls %[weight], %[value]\n\t"
                             "sbc %[value], %[value]\n\t"
                             "add %A[sum], r0\n\t"
                             "adc %B[sum], r1\n\t"
                             "adc %C[sum], %[value]\n\t"
                             "adc %D[sum], %[value]\n\t"
                             "dec %[left]\n\t"
                             "brne 1b\n\t"
                             "clr __zero_reg__"
                             : "+x"(input), "+z"(matrix), [sum] "+r"(sum), [left] "+r"(left),
                               [weight] "=&d"(weight), [value] "=&d"(value)
                             :
                             : "memory");
        } while (input != x + (int16_t)n);
        *acc++ = sum;
    }
}

#endif
