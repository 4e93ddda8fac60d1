/* The kernel alone: a generated policy in a C loop, as gru_float.c times its GRU.
 *
 * Build: cc -std=c99 -O2 -march=native -DN_STEPS=… -DN_INPUTS=… step_loop.c policy.c
 * Reads N_OBSERVATIONS × N_INPUTS int8 codes from the file named by the first argument; prints
 * nanoseconds per step.
 */
#define _POSIX_C_SOURCE 199309L
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "policy.h"

enum { N_OBSERVATIONS = 1024 };

static int8_t codes[N_OBSERVATIONS][N_INPUTS];

int main(int argc, char **argv)
{
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL || fread(codes, sizeof codes, 1, file) != 1) {
        fprintf(stderr, "usage: step_loop CODES\n");
        return 1;
    }
    fclose(file);
    policy_state_t state;
    policy_reset(&state);
    long actions = 0;
    int8_t action[1];
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (long t = 0; t < N_STEPS; t++) {
        policy_step(&state, codes[t % N_OBSERVATIONS], action);
        actions += action[0];
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double ns = 1e9 * (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec);
    printf("%.3f %ld\n", ns / (double)N_STEPS, actions);
    return 0;
}
