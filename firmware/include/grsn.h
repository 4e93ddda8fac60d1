/* grsn: runs a policy image, one integer step per sampling period.  docs/SPEC.md §9.
 *
 * A policy image is read-only data (in flash, a file, an array).  grsn_open checks everything in it
 * once: sizes, indices, checksum, and the proof that no value can leave int32.  After that nothing
 * can fail: a step is total, bounded, and touches only the memory that it was given.
 *
 *     static uint32_t state[...], scratch[...];  (state_size and scratch_size bytes, or more)
 *     grsn_model_t model;
 *     if (grsn_open(&model, image, sizeof image) != GRSN_OK) { ... }
 *     grsn_reset(&model, state);
 *     for (;;) {
 *         read_sensors(observation);
 *         grsn_step(&model, state, scratch, observation, action);
 *     }
 *
 * The caller owns all memory: the image, the model, one state per stream, and scratch memory that
 * streams may share as long as they do not step at the same time.  C99; no heap, no globals, no
 * float, no recursion, no division in a step.
 */
#ifndef GRSN_H
#define GRSN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every pointer to an image, a state or scratch memory is a multiple of this many bytes. */
#define GRSN_ALIGNMENT 4

/* Bytes of a model hash: the SHA-256 of docs/SPEC.md §6.5. */
#define GRSN_HASH_SIZE 32

/* What can be wrong with an image or a state.  Zero is success, errors are negative. */
typedef enum grsn_status {
    GRSN_OK = 0,
    GRSN_ERROR_ALIGNMENT = -1, /* a pointer is not a multiple of GRSN_ALIGNMENT */
    GRSN_ERROR_TRUNCATED = -2, /* fewer bytes than the image says it has */
    GRSN_ERROR_MAGIC = -3,     /* not a policy image */
    GRSN_ERROR_ORDER = -4,     /* an image of the other byte order */
    GRSN_ERROR_VERSION = -5,   /* an image version that this build does not read */
    GRSN_ERROR_CHECKSUM = -6,  /* the CRC-32C does not match: damaged */
    GRSN_ERROR_FORMAT = -7,    /* an index, length, kind or table that cannot be */
    GRSN_ERROR_PROOF = -8,     /* a value is not proven to stay in its range, or in int32 */
    GRSN_ERROR_STATE = -9      /* a saved state of another length, or outside its ranges */
} grsn_status_t;

/* An opened image.  Fields are read, never written, by the caller. */
typedef struct grsn_model {
    const uint8_t *image;    /* borrowed; stays readable and unchanged while the model is used */
    uint32_t image_size;     /* bytes */
    uint32_t observation_n;  /* integers of all inputs, one input after the other */
    uint32_t action_n;       /* integers of all outputs, one output after the other */
    uint32_t state_size;     /* bytes that grsn_reset and grsn_step need for a stream */
    uint32_t scratch_size;   /* bytes that grsn_step needs beside */
    uint32_t saved_size;     /* bytes of a state as grsn_state_get writes it */
    uint32_t period_us;      /* sampling period; 0 where the image does not say */
    uint32_t golden_steps;   /* steps of the recorded trajectory; 0 where there is none */
} grsn_model_t;

/* Check an image and open it.  `size` is what is readable at `image`; the image may be shorter.
 * On an error the model is not to be used.  Takes time proportional to the weights plus the square
 * of the number of values; needs no memory beside the model, and about 450 bytes of stack on a
 * Cortex-M4 (grsn_step about 200). */
grsn_status_t grsn_open(grsn_model_t *model, const void *image, size_t size);

/* The state before the first step of an episode. */
void grsn_reset(const grsn_model_t *model, void *state);

/* Advance one sampling period.
 * observation: observation_n integers; those outside an input's range count as its nearer end.
 * action: room for action_n integers.  The four areas must not overlap. */
void grsn_step(const grsn_model_t *model, void *state, void *scratch, const int32_t *observation,
               int32_t *action);

/* Write a state's integers, in order of declaration, in their storage types, little-endian, to
 * saved_size bytes: the same bytes on every processor. */
void grsn_state_get(const grsn_model_t *model, const void *state, uint8_t *saved);

/* Take back what grsn_state_get wrote, of the same model.  GRSN_ERROR_STATE where a value lies
 * outside its range or `size` is not saved_size; the state is then as before. */
grsn_status_t grsn_state_set(const grsn_model_t *model, void *state, const uint8_t *saved,
                             size_t size);

/* Replay the golden vectors from a reset: -1 where every action and the final state are equal, else
 * the first step that differs (golden_steps, where only the final state does).  Uses `state`, which
 * is then to be reset. */
int32_t grsn_selftest(const grsn_model_t *model, void *state, void *scratch);

/* The policy's model hash, GRSN_HASH_SIZE bytes inside the image. */
const uint8_t *grsn_model_hash(const grsn_model_t *model);

/* Parts of an image beside the program; docs/SPEC.md §9. */
enum {
    GRSN_SECTION_GOLDEN = 1,     /* the recorded trajectory of grsn_selftest */
    GRSN_SECTION_ENCODER = 2,    /* floats of grsn_codec.h */
    GRSN_SECTION_DECODER = 3,
    GRSN_SECTION_TEXT = 4,       /* names, units and ranges of the channels: JSON in UTF-8 */
    GRSN_SECTION_SUPERVISOR = 5, /* limits and time-outs; docs/SPEC.md §11 */
    GRSN_SECTION_LAST = 5
};

/* The content of a section, aligned, and its bytes (where `size` is not NULL); NULL where the image
 * has none. */
const void *grsn_section(const grsn_model_t *model, uint32_t kind, uint32_t *size);

/* A status in words: constant, never NULL.  In a file of its own: a device may leave it out. */
const char *grsn_strerror(grsn_status_t status);

#ifdef __cplusplus
}
#endif

#endif
