/* Calls every kernel on pseudo-random sizes and numbers, the ends of int8 among them, and prints a
 * checksum of each result: two builds that print the same compute the same. */
#include <stdint.h>
#include <stdio.h>

#include "grsn_kernels.h"

enum { ROWS = 70, N = 70 };

static uint32_t seed = 1;

static uint32_t draw(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static int8_t byte(void)
{
    const uint32_t kind = draw() % 8u;
    return (int8_t)(kind == 0 ? -128 : kind == 1 ? 127 : (int32_t)(draw() % 256u) - 128);
}

static void print(const char *name, const int32_t *values, int32_t n)
{
    uint32_t hash = 2166136261u;
    for (int32_t i = 0; i < n; i++) {
        hash = (hash ^ (uint32_t)values[i]) * 16777619u;
    }
    printf("%s %08lx\n", name, (unsigned long)hash);
}

static int8_t matrix[ROWS * N], spikes[N], x8[N];
static int16_t x16[N], acc16[ROWS];
static int32_t x32[N], acc[ROWS], copied[ROWS];
static uint16_t active[N + 3];

static void widen(int32_t rows)
{
    for (int32_t i = 0; i < rows; i++) {
        copied[i] = acc16[i];
    }
}

static void trial(int32_t rows, int32_t n, uint32_t rate)
{
    for (int32_t i = 0; i < ROWS * N; i++) {
        matrix[i] = byte();
    }
    for (int32_t j = 0; j < n; j++) {
        spikes[j] = draw() % 100u < rate;
        x8[j] = byte();
        x16[j] = (int16_t)((int32_t)(draw() % 65536u) - 32768);
        x32[j] = (int32_t)(draw() % 131072u) - 65536;
    }
    for (int32_t i = 0; i < rows; i++) {
        acc[i] = (int32_t)(draw() % 2000000u) - 1000000;
        acc16[i] = (int16_t)((int32_t)(draw() % 4001u) - 2000);
    }
    const int32_t count = grsn_active(spikes, n, active);
    for (int32_t k = 0; k < count; k++) {
        copied[k] = active[k];
    }
    print("active", copied, count);
    grsn_add_columns_i16(acc16, matrix, rows, active, count);
    widen(rows);
    print("add_columns_i16", copied, rows);
    grsn_add_columns_i32(acc, matrix, rows, active, count);
    print("add_columns_i32", acc, rows);
    grsn_gate_rows_i16(acc16, matrix, rows, spikes, n);
    widen(rows);
    print("gate_rows_i16", copied, rows);
    grsn_gate_rows_i32(acc, matrix, rows, spikes, n);
    print("gate_rows_i32", acc, rows);
    grsn_by_columns_i8(acc, matrix, rows, x8, n);
    grsn_by_columns_i16(acc, matrix, rows, x16, n);
    grsn_by_columns_i32(acc, matrix, rows, x32, n);
    print("by_columns", acc, rows);
    grsn_by_rows_i8(acc, matrix, rows, x8, n);
    print("by_rows_i8", acc, rows);
    grsn_by_rows_i16(acc, matrix, rows, x16, n);
    grsn_by_rows_i32(acc, matrix, rows, x32, n);
    print("by_rows", acc, rows);
}

int main(void)
{
    for (int32_t rows = 1; rows <= ROWS; rows += 1 + rows / 6) {
        for (int32_t n = 1; n <= N; n += 1 + n / 6) {
            trial(rows, n, 10);
            trial(rows, n, 60);
        }
        trial(rows, N, 0);
        trial(rows, N, 100);
    }
    return 0;
}
