/* grsn_guard: finds damage to a policy's image and state while it runs.  docs/SAFETY.md.
 *
 *     grsn_guard_init(&guard);
 *     for (;;) {
 *         if (grsn_guard_state(&guard, &model, state) != GRSN_OK) { ... GRSN_CORRUPT }
 *         grsn_step(&model, state, scratch, observation, action);
 *         grsn_guard_seal(&guard, &model, state);
 *         if (grsn_guard_image(&guard, &model) != GRSN_OK) { ... GRSN_CORRUPT }
 *     }
 *
 * The image is checked a slice at a time, all of it once in grsn_guard_round steps; the state every
 * time.  What is found goes to the supervisor as GRSN_CORRUPT.
 */
#ifndef GRSN_GUARD_H
#define GRSN_GUARD_H

#include "grsn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the image in one call of grsn_guard_image: about ten instructions each. */
#ifndef GRSN_GUARD_SLICE
#define GRSN_GUARD_SLICE 256
#endif

typedef struct grsn_guard {
    uint32_t at;         /* bytes of the image that are checked in this round */
    uint32_t image_crc;  /* of them */
    uint32_t state_crc;  /* of the state when it was sealed */
    uint8_t is_sealed;
} grsn_guard_t;

/* A new round, and no seal. */
void grsn_guard_init(grsn_guard_t *guard);

/* Calls of grsn_guard_image that see all of the image. */
uint32_t grsn_guard_round(const grsn_model_t *model);

/* Check the next slice; GRSN_ERROR_CHECKSUM where the round has ended and the image is damaged. */
grsn_status_t grsn_guard_image(grsn_guard_t *guard, const grsn_model_t *model);

/* After a step, a reset or a new state: remember the state's CRC-32C. */
void grsn_guard_seal(grsn_guard_t *guard, const grsn_model_t *model, const void *state);

/* GRSN_ERROR_STATE where the state is not the sealed one. */
grsn_status_t grsn_guard_state(const grsn_guard_t *guard, const grsn_model_t *model,
                               const void *state);

#ifdef __cplusplus
}
#endif

#endif
