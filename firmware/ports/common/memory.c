/* The four functions that compilers call on their own, for ports without a C library. */
#include "freestanding/string.h"

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
    return memmove(to, from, count);
}

void *memmove(void *to, const void *from, size_t count) {
    volatile unsigned char *target = to; /* volatile: or this loop becomes a call of memmove */
    const unsigned char *source = from;
    if (target <= source) {
        for (size_t i = 0; i < count; i++) target[i] = source[i];
    } else {
        for (size_t i = count; i > 0; i--) target[i - 1] = source[i - 1];
    }
    return to;
}

void *memset(void *to, int value, size_t count) {
    volatile unsigned char *target = to;
    for (size_t i = 0; i < count; i++) target[i] = (unsigned char)value;
    return to;
}

int memcmp(const void *left, const void *right, size_t count) {
    const unsigned char *a = left, *b = right;
    for (size_t i = 0; i < count; i++) {
        if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
    }
    return 0;
}
