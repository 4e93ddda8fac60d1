/* grsn_kernels_avx2.h: grsn_kernels.h for x86 with AVX2; the rest, compilers vectorise from C99. */
#ifndef GRSN_KERNELS_AVX2_H
#define GRSN_KERNELS_AVX2_H

#include <immintrin.h>
#include <stdint.h>

/* Thirty-two neurons at a time: the lowest bit of a byte, moved to its sign, is one of a mask. */
#define GRSN_HAS_ACTIVE
static inline int32_t grsn_active(const int8_t *spikes, int32_t n, uint16_t *active)
{
    int32_t count = 0, first = 0;
    for (; first + 32 <= n; first += 32) {
        const __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)(spikes + first));
        uint32_t fired = (uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(bytes, 7));
        for (; fired != 0; fired &= fired - 1) {
            active[count] = (uint16_t)(first + __builtin_ctz(fired));
            count++;
        }
    }
    for (; first < n; first++) {
        active[count] = (uint16_t)first;
        count += spikes[first];
    }
    return count;
}

static inline __m256i grsn_sixteen(const int8_t *p)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline __m256i grsn_eight(const int8_t *p)
{
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}

/* One register of sums takes all columns before it is stored. */
#define GRSN_HAS_ADD_COLUMNS
#define GRSN_DEFINE_ADD_COLUMNS(type, suffix, lanes, load, add)                                    \
    static inline void grsn_add_columns_##suffix(type *restrict acc, const int8_t *columns,        \
                                                 int32_t rows, const uint16_t *active,             \
                                                 int32_t count)                                    \
    {                                                                                              \
        int32_t i = 0;                                                                             \
        for (; i + lanes <= rows; i += lanes) {                                                    \
            __m256i *const place = (__m256i *)(void *)(acc + i);                                   \
            __m256i sum = _mm256_loadu_si256(place);                                               \
            for (int32_t k = 0; k < count; k++) {                                                  \
                sum = add(sum, load(columns + (int32_t)active[k] * rows + i));                     \
            }                                                                                      \
            _mm256_storeu_si256(place, sum);                                                       \
        }                                                                                          \
        for (; i < rows; i++) {                                                                    \
            int32_t sum = acc[i];                                                                  \
            for (int32_t k = 0; k < count; k++) {                                                  \
                sum += columns[(int32_t)active[k] * rows + i];                                     \
            }                                                                                      \
            acc[i] = (type)sum;                                                                    \
        }                                                                                          \
    }

GRSN_DEFINE_ADD_COLUMNS(int16_t, i16, 16, grsn_sixteen, _mm256_add_epi16)
GRSN_DEFINE_ADD_COLUMNS(int32_t, i32, 8, grsn_eight, _mm256_add_epi32)

#endif
