/* lowering.c: which compilation of the step suits this processor.
 *
 * On x86-64 the step is in the extension twice: for every processor, and for those with AVX2.  Both
 * give the same integers.  GRSN_EDGE_LOWERING=generic takes the first one everywhere.
 */
#include "native.h"

#include <stdlib.h>
#include <string.h>

static int wants_generic(void)
{
    const char *wish = getenv("GRSN_EDGE_LOWERING");
    return wish != NULL && strcmp(wish, "generic") == 0;
}

#ifdef GRSN_NATIVE_AVX2

#include <cpuid.h>

native_step_t grsn_step_avx2;

/* Bits of cpuid: of leaf 1 and of 0x80000001 in ecx, of leaf 7 in ebx. */
enum { POPCNT = 1 << 23, OSXSAVE = 1 << 27, LZCNT = 1 << 5, BMI = 1 << 3, AVX2 = 1 << 5 };
enum { BMI2 = 1 << 8 };

/* Whether the system saves the registers of AVX: bits 1 and 2 of XCR0. */
static int saves_avx(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6u) == 6u;
}

static int has_avx2(void)
{
    unsigned a, b, c, d;
    const unsigned first = POPCNT | OSXSAVE, seventh = AVX2 | BMI | BMI2;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & first) != first || !saves_avx()) {
        return 0;
    }
    if (!__get_cpuid(0x80000001u, &a, &b, &c, &d) || (c & LZCNT) == 0) {
        return 0;
    }
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & seventh) == seventh;
}

native_step_t *native_step(void)
{
    return has_avx2() && !wants_generic() ? grsn_step_avx2 : grsn_step;
}

#else

native_step_t *native_step(void)
{
    (void)wants_generic;
    return grsn_step;
}

#endif

const char *native_lowering(void)
{
    return native_step() == grsn_step ? "generic" : "avx2";
}
