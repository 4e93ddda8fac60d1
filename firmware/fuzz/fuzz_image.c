/* fuzz_image.c: no image, however malicious, makes the reader or a step fail.
 *
 * An image is mutated, its checksum is repaired so that the deeper checks see it, it is opened, and
 * where it opens it runs: steps with extreme inputs, states, the self-test, the codec.  Memory has
 * exactly the sizes that the model asks for; AddressSanitizer and UndefinedBehaviorSanitizer see
 * every access beyond it and every sum that leaves int32.
 *
 * As a libFuzzer target:
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
 *         -Ifirmware/include -Ifirmware/src firmware/fuzz/fuzz_image.c firmware/src/grsn_crc.c \
 *         firmware/src/grsn_image.c firmware/src/grsn_proof.c firmware/src/grsn_vm.c \
 *         firmware/src/grsn_codec.c -o fuzz_image && ./fuzz_image corpus/
 * With its own mutations, for any compiler (-DFUZZ_ALONE, without `fuzzer`):
 *     ./fuzz_image COUNT SEED IMAGE...
 * mutates the images COUNT times in turn and prints how many were opened.  COUNT 0 replays files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grsn_codec.h"
#include "grsn_crc.h"
#include "grsn_format.h"

enum { MAX_MEMORY = 1 << 22, STEPS = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* xorshift; the same mutations for the same seed. */
static uint32_t random_state = 1;

static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static const int32_t extremes[] = {INT32_MIN, -32769, -128, -1, 0, 1, 127, 32768, INT32_MAX};

/* Exactly `size` bytes, so that an access behind them is seen. */
static void *exactly(size_t size)
{
    void *memory = malloc(size != 0 ? size : 1);
    if (memory == NULL) {
        abort();
    }
    memset(memory, 0xa5, size);
    return memory;
}

static void run(const grsn_model_t *model)
{
    void *state = exactly(model->state_size), *scratch = exactly(model->scratch_size);
    int32_t *observation = exactly(4u * (size_t)model->observation_n);
    int32_t *action = exactly(4u * (size_t)model->action_n);
    float *floats = exactly(4u * (size_t)(model->action_n + model->observation_n));
    uint8_t *saved = exactly(model->saved_size);
    grsn_reset(model, state);
    for (uint32_t t = 0; t < STEPS * sizeof extremes / sizeof *extremes; t++) {
        for (uint32_t i = 0; i < model->observation_n; i++) {
            observation[i] = t % 3 == 0 ? (int32_t)next_random()
                                        : extremes[(t + i * (t % 2)) % (sizeof extremes / 4)];
        }
        grsn_step(model, state, scratch, observation, action);
        grsn_state_get(model, state, saved);
        if (grsn_state_set(model, state, saved, model->saved_size) != GRSN_OK) {
            fprintf(stderr, "a state that a step left is outside its range\n");
            abort();
        }
    }
    grsn_selftest(model, state, scratch);
    memset(floats, (int)(next_random() & 255u), 4u * (size_t)model->observation_n);
    grsn_encode(model, floats, observation);
    grsn_decode(model, action, floats);
    free(state);
    free(scratch);
    free(observation);
    free(action);
    free(floats);
    free(saved);
}

static long opened;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    grsn_model_t model;
    uint8_t *image = exactly(size);
    memcpy(image, bytes, size);
    if (size >= sizeof(grsn_header_t) + 4u) {
        uint32_t end = (uint32_t)size - 4u;
        if (grsn_header(image)->size % 4u == 0 && grsn_header(image)->size <= size &&
            grsn_header(image)->size >= sizeof(grsn_header_t) + 4u) {
            end = grsn_header(image)->size - 4u;
        }
        const uint32_t crc = grsn_crc32c(0, image, end);
        memcpy(image + end, &crc, sizeof crc);
    }
    if (grsn_open(&model, image, size) == GRSN_OK && model.state_size < MAX_MEMORY &&
        model.scratch_size < MAX_MEMORY && model.observation_n < MAX_MEMORY &&
        model.action_n < MAX_MEMORY) {
        opened++;
        run(&model);
    }
    free(image);
    return 0;
}

#ifdef FUZZ_ALONE

/* One small change: of a field of the header or of a node more often than of a weight. */
static void mutate(uint8_t *image, size_t size)
{
    const uint32_t nodes = (uint32_t)sizeof(grsn_header_t);
    const uint32_t tables = nodes + 52u * grsn_header(image)->nodes + 8u;
    const uint32_t reach = next_random() % 4 != 0 && tables < size ? tables : (uint32_t)size;
    const uint32_t at = next_random() % reach;
    const uint32_t value = next_random();
    const int32_t extreme = extremes[next_random() % (sizeof extremes / sizeof *extremes)];
    switch (next_random() % 6) {
    case 0:
        image[at] ^= (uint8_t)(1u << value % 8u);
        break;
    case 1:
        image[at] = (uint8_t)value;
        break;
    case 2:
        image[at] = (uint8_t)(image[at] + (value % 2 != 0 ? 1 : -1));
        break;
    case 3: /* a 32-bit field */
        memcpy(image + at / 4 * 4 % (size - 4), &extreme, 4);
        break;
    case 4: { /* a 16-bit field becomes a small number: indices */
        const uint16_t small = (uint16_t)(value % 40u);
        memcpy(image + at / 2 * 2 % (size - 4), &small, 2);
        break;
    }
    default: /* one node becomes another */
        if (tables < size) {
            const uint32_t count = grsn_header(image)->nodes;
            uint8_t *first = image + nodes;
            memmove(first + 52u * (next_random() % count), first + 52u * (value % count), 52);
        }
        break;
    }
}

static uint8_t *read_file(const char *name, size_t *size)
{
    static uint32_t room[1 << 18];
    FILE *file = fopen(name, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s cannot be read\n", name);
        exit(1);
    }
    *size = fread(room, 1, sizeof room, file);
    fclose(file);
    uint8_t *bytes = exactly(*size);
    memcpy(bytes, room, *size);
    return bytes;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: fuzz_image COUNT SEED IMAGE...\n");
        return 1;
    }
    const long count = strtol(argv[1], NULL, 10), files = argc - 3;
    random_state = (uint32_t)strtol(argv[2], NULL, 10) * 2654435761u | 1u;
    for (long file = 0; file < files; file++) {
        size_t size;
        uint8_t *image = read_file(argv[3 + file], &size);
        if (count == 0) {
            LLVMFuzzerTestOneInput(image, size);
        }
        for (long k = 0; k < count / files && size >= sizeof(grsn_header_t) + 4u; k++) {
            uint8_t *changed = exactly(size);
            memcpy(changed, image, size);
            for (uint32_t changes = 1 + next_random() % 3; changes != 0; changes--) {
                mutate(changed, size);
                if (grsn_header(changed)->nodes != grsn_header(image)->nodes) {
                    break; /* where the nodes are is no longer known */
                }
            }
            LLVMFuzzerTestOneInput(changed, size);
            free(changed);
        }
        free(image);
    }
    printf("%ld mutated, %ld opened\n", count / files * files, opened);
    return 0;
}

#endif
