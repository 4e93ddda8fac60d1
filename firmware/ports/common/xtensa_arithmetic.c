/* Multiplication and division that the compiler calls on its own.  Debian's libgcc for the lx106 leaves
 * them out, because the ROM of its one chip holds them; elsewhere they are needed here. */
#include <stdint.h>

uint64_t __muldi3(uint64_t left, uint64_t right);
uint32_t __udivsi3(uint32_t left, uint32_t right);
uint32_t __umodsi3(uint32_t left, uint32_t right);
int32_t __divsi3(int32_t left, int32_t right);
int32_t __modsi3(int32_t left, int32_t right);
uint64_t __udivdi3(uint64_t left, uint64_t right);
uint64_t __umoddi3(uint64_t left, uint64_t right);
int64_t __divdi3(int64_t left, int64_t right);
int64_t __moddi3(int64_t left, int64_t right);

/* Schoolbook, in digits of 16 bits; what leaves 64 bits is dropped. */
uint64_t __muldi3(uint64_t left, uint64_t right) {
    uint32_t a = (uint32_t)left, b = (uint32_t)right;
    uint32_t low = (a & 0xFFFFU) * (b & 0xFFFFU);
    uint32_t one = (a >> 16) * (b & 0xFFFFU) + (low >> 16);
    uint32_t two = (a & 0xFFFFU) * (b >> 16) + (one & 0xFFFFU);
    uint32_t high = (a >> 16) * (b >> 16) + (one >> 16) + (two >> 16);
    high += a * (uint32_t)(right >> 32) + (uint32_t)(left >> 32) * b;
    return (uint64_t)high << 32 | (two << 16 | (low & 0xFFFFU));
}

/* Long division in base 2; by zero, it is all ones, and what remains is `left`. */
static uint32_t divide(uint32_t left, uint32_t right, uint32_t *rest) {
    uint32_t quotient = 0, remainder = 0;
    for (uint32_t bit = 0; bit < 32U; bit++) {
        uint32_t carry = remainder >> 31;
        remainder = remainder << 1 | left >> 31;
        left <<= 1;
        quotient <<= 1;
        if (carry || remainder >= right) {
            remainder -= right;
            quotient |= 1U;
        }
    }
    *rest = remainder;
    return quotient;
}

static uint64_t divide_long(uint64_t left, uint64_t right, uint64_t *rest) {
    uint64_t quotient = 0, remainder = 0;
    if ((left | right) >> 32 == 0) {
        uint32_t small = 0;
        quotient = divide((uint32_t)left, (uint32_t)right, &small);
        *rest = small;
        return quotient;
    }
    for (uint32_t bit = 0; bit < 64U; bit++) {
        uint64_t carry = remainder >> 63;
        remainder = remainder << 1 | left >> 63;
        left <<= 1;
        quotient <<= 1;
        if (carry || remainder >= right) {
            remainder -= right;
            quotient |= 1U;
        }
    }
    *rest = remainder;
    return quotient;
}

uint32_t __udivsi3(uint32_t left, uint32_t right) {
    uint32_t rest;
    return divide(left, right, &rest);
}

uint32_t __umodsi3(uint32_t left, uint32_t right) {
    uint32_t rest;
    (void)divide(left, right, &rest);
    return rest;
}

uint64_t __udivdi3(uint64_t left, uint64_t right) {
    uint64_t rest;
    return divide_long(left, right, &rest);
}

uint64_t __umoddi3(uint64_t left, uint64_t right) {
    uint64_t rest;
    (void)divide_long(left, right, &rest);
    return rest;
}

/* C rounds towards zero, and what remains has the sign of `left`. */
int64_t __divdi3(int64_t left, int64_t right) {
    uint64_t a = left < 0 ? 0U - (uint64_t)left : (uint64_t)left;
    uint64_t b = right < 0 ? 0U - (uint64_t)right : (uint64_t)right;
    uint64_t quotient = __udivdi3(a, b);
    return (int64_t)((left < 0) != (right < 0) ? 0U - quotient : quotient);
}

int64_t __moddi3(int64_t left, int64_t right) {
    uint64_t a = left < 0 ? 0U - (uint64_t)left : (uint64_t)left;
    uint64_t b = right < 0 ? 0U - (uint64_t)right : (uint64_t)right;
    uint64_t rest = __umoddi3(a, b);
    return (int64_t)(left < 0 ? 0U - rest : rest);
}

int32_t __divsi3(int32_t left, int32_t right) { return (int32_t)__divdi3(left, right); }

int32_t __modsi3(int32_t left, int32_t right) { return (int32_t)__moddi3(left, right); }
