/* <string.h> for compilers that come without a C library: what common/memory.c defines. */
#ifndef GRSN_STRING_H
#define GRSN_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);
int memcmp(const void *left, const void *right, size_t count);

#endif
