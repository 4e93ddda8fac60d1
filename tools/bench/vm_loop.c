/* The virtual machine alone: a policy image stepped in a C loop, as gru_float.c times its GRU.
 *
 * Build: cc -std=c99 -O3 -march=native -DN_STEPS=… -DN_INPUTS=… vm_loop.c and the machine's sources
 * Reads a policy image and N_OBSERVATIONS × N_INPUTS int32 codes from the files named by its two
 * arguments; prints nanoseconds per step.
 */
#define _POSIX_C_SOURCE 199309L
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "grsn.h"

enum { N_OBSERVATIONS = 1024, IMAGE_SIZE = 1 << 20, MEMORY_SIZE = 1 << 16 };

static uint32_t image[IMAGE_SIZE / 4], state[MEMORY_SIZE / 4], scratch[MEMORY_SIZE / 4];
static int32_t codes[N_OBSERVATIONS][N_INPUTS];

static size_t read_file(const char *name, void *to, size_t room)
{
    FILE *file = fopen(name, "rb");
    const size_t size = file == NULL ? 0 : fread(to, 1, room, file);
    if (file != NULL) {
        fclose(file);
    }
    return size;
}

static double seconds(struct timespec begin, struct timespec end)
{
    return (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
}

int main(int argc, char **argv)
{
    grsn_model_t model;
    const size_t size = argc == 3 ? read_file(argv[1], image, sizeof image) : 0;
    if (size == 0 || read_file(argv[2], codes, sizeof codes) != sizeof codes) {
        fprintf(stderr, "usage: vm_loop IMAGE CODES\n");
        return 1;
    }
    const grsn_status_t status = grsn_open(&model, image, size);
    if (status != GRSN_OK || model.state_size > MEMORY_SIZE || model.scratch_size > MEMORY_SIZE ||
        model.observation_n != N_INPUTS || model.action_n != 1) {
        fprintf(stderr, "vm_loop: %s\n", grsn_strerror(status));
        return 1;
    }
    grsn_reset(&model, state);
    long actions = 0;
    int32_t action;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (long t = 0; t < N_STEPS; t++) {
        grsn_step(&model, state, scratch, codes[t % N_OBSERVATIONS], &action);
        actions += action;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.3f %ld\n", 1e9 * seconds(begin, end) / (double)N_STEPS, actions);
    return 0;
}
