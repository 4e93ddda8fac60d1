/* grsn_products_avx2.h: products of grsn_products.h where compilers do not find AVX2's instructions. */
#ifndef GRSN_PRODUCTS_AVX2_H
#define GRSN_PRODUCTS_AVX2_H

#include <immintrin.h>

/* Whether a product of bytes has rows enough for its registers. */
#define GRSN_BYTES_ROWS 16

static inline __m256i load_256(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* `blocks` times sixteen rows from row i on, in registers; the middle two of every four change
 * places. */
static inline __attribute__((always_inline)) void sum_block(const product_t *p, int16_t *sums,
                                                            int32_t count, int32_t i,
                                                            const int32_t blocks)
{
    const int32_t rows = (int32_t)p->node->n;
    __m256i sum[4];
    for (int32_t b = 0; b < blocks; b++) {
        sum[b] = _mm256_setzero_si256();
    }
    for (int32_t k = 0; k < count; k++) {
        const int8_t *column = p->weights + (int32_t)p->active[k] * rows + i;
        for (int32_t b = 0; b < blocks; b++) {
            sum[b] = _mm256_add_epi16(sum[b], grsn_sixteen(column + 16 * b));
        }
    }
    for (int32_t b = 0; b < blocks; b++, i += 16) {
        const __m256i bias = load_256((const int16_t *)p->bias + i);
        const __m256i swapped =
            _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(sum[b], 0xd8), 0xd8);
        _mm256_storeu_si256((__m256i *)(void *)(sums + i), _mm256_add_epi16(swapped, bias));
    }
}

static void sum_halves(const product_t *p, int16_t *sums, int32_t count)
{
    const int32_t rows = (int32_t)p->node->n;
    int32_t i = 0;
    for (; i + 64 <= rows; i += 64) {
        sum_block(p, sums, count, i, 4);
    }
    for (; i + 16 <= rows; i += 16) {
        sum_block(p, sums, count, i, 1);
    }
    for (; i < rows; i++) {
        const int32_t at = (i + 1) & 2 ? i ^ 3 : i;
        int32_t sum = ((const int16_t *)p->bias)[i];
        for (int32_t k = 0; k < count; k++) {
            sum += p->weights[(int32_t)p->active[k] * rows + at];
        }
        sums[i] = (int16_t)sum;
    }
}

static inline int32_t sum_of(__m256i x)
{
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
}

/* Spikes are bytes without a sign, which one instruction multiplies by bytes with one. */
static void sum_rows(const product_t *p, int32_t *sums)
{
    const int8_t *row = p->weights, *x = p->x;
    const int32_t *bias = p->bias;
    const __m256i ones = _mm256_set1_epi16(1);
    for (uint32_t i = 0; i < p->node->n; i++, row += p->n) {
        __m256i sum = _mm256_setzero_si256();
        int32_t j = 0, rest = bias[i];
        for (; j + 32 <= p->n; j += 32) {
            const __m256i pairs = _mm256_maddubs_epi16(load_256(x + j), load_256(row + j));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
        }
        for (; j < p->n; j++) {
            rest += row[j] & -x[j];
        }
        sums[i] = rest + sum_of(sum);
    }
}

/* `registers` times four rows from row i on, each row's sum in two halves. */
static inline __attribute__((always_inline)) void dense_block(const product_t *p, int32_t *sums,
                                                              int32_t i, const int32_t registers)
{
    const int8_t *w = p->weights + 4 * i;
    const uint8_t *x = p->x;
    const int32_t *bias = (const int32_t *)p->bias + i;
    __m256i sum[8];
    for (int32_t r = 0; r < registers; r++) {
        sum[r] = _mm256_setzero_si256();
    }
    for (int32_t left = p->n; left > 0; left -= 4, x += 4, w += 4 * p->node->n) {
        uint32_t four;
        memcpy(&four, x, sizeof four);
        four = left < 4 ? four & ((1u << 8 * left) - 1u) : four;
        const __m256i v = _mm256_cvtepi8_epi16(_mm_set1_epi32((int32_t)four));
        for (int32_t r = 0; r < registers; r++) {
            sum[r] = _mm256_add_epi32(sum[r], _mm256_madd_epi16(grsn_sixteen(w + 16 * r), v));
        }
    }
    for (int32_t r = 0; r < registers; r += 2) {
        const __m256i halves = _mm256_hadd_epi32(sum[r], sum[r + 1]);
        const __m256i eight = _mm256_permute4x64_epi64(halves, 0xd8);
        _mm256_storeu_si256((__m256i *)(void *)(sums + i + 4 * r),
                            _mm256_add_epi32(eight, load_256(bias + 4 * r)));
    }
}

/* The last rows are some of those before once more, where their number is no multiple. */
static void multiply_bytes(const product_t *p, int32_t *sums)
{
    const int32_t n = (int32_t)p->node->n, whole = n & ~31;
    int32_t i = 0;
    for (; i < whole; i += 32) {
        dense_block(p, sums, i, 8);
    }
    for (; i < n; i += 16) {
        dense_block(p, sums, i < n - 16 ? i : n - 16, 4);
    }
}

#endif
