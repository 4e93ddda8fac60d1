/* grsn_engine: what runs the policy behind the application (grsn_app.h); one of two, linked in.
 *
 *   firmware/src/grsn_engine_vm.c   the virtual machine over a policy image (grsn.h)
 *   policy_engine.c                 generated beside policy.c (grsn_edge.device.engine_source), for
 *                                   boards that have no room for the machine: the policy is part of
 *                                   the firmware, and images are refused
 */
#ifndef GRSN_ENGINE_H
#define GRSN_ENGINE_H

#include "grsn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes for a state, for scratch memory, and for a saved state; a multiple of 4. */
#ifndef GRSN_ENGINE_WORK
#define GRSN_ENGINE_WORK 8192
#endif

/* What grsn_engine_kind says. */
enum { GRSN_ENGINE_VM = 0, GRSN_ENGINE_GENERATED = 1 };
extern const uint8_t grsn_engine_kind;

/* A policy that can be stepped.  Fields are read, never written, by the caller. */
typedef struct grsn_engine {
    grsn_model_t model; /* its counts and sizes; `image` is NULL while no policy is open */
    uint32_t work[GRSN_ENGINE_WORK / 4];
} grsn_engine_t;

/* Open a policy and reset it.  image: NULL for the one that is compiled into the firmware, if any.
 * On an error no policy is open.  GRSN_ERROR_STATE where `work` is too small for it. */
grsn_status_t grsn_engine_open(grsn_engine_t *engine, const uint8_t *image, uint32_t size);

/* Take `engine->model`, opened by others (grsn_store.h) with `engine->work`, and reset it. */
grsn_status_t grsn_engine_adopt(grsn_engine_t *engine);

/* As in grsn.h.  `saved` has room for model.saved_size bytes. */
void grsn_engine_reset(grsn_engine_t *engine);
void grsn_engine_step(grsn_engine_t *engine, const int32_t *observation, int32_t *action);
void grsn_engine_state_get(grsn_engine_t *engine, uint8_t *saved);
grsn_status_t grsn_engine_state_set(grsn_engine_t *engine, const uint8_t *saved, uint32_t size);
int32_t grsn_engine_selftest(grsn_engine_t *engine);

/* Memory for a saved state, lost by the next step, in which commands gather its pieces. */
uint8_t *grsn_engine_saved(grsn_engine_t *engine);

/* The first GRSN_HASH_SIZE bytes are the model hash.  Not to be called while none is open. */
const uint8_t *grsn_engine_hash(const grsn_engine_t *engine);

/* What the policy says of itself: JSON in UTF-8 with its `name`, and in the virtual machine the names
 * and units of its channels (docs/SPEC.md §9.3), and the bytes of it; NULL and 0 where there is
 * none.  Not to be called while no policy is open. */
const uint8_t *grsn_engine_text(const grsn_engine_t *engine, uint32_t *size);

/* The policy's supervisor section (docs/SPEC.md §11.2), and its bytes; NULL and 0 where there is
 * none.  Not to be called while no policy is open. */
const uint8_t *grsn_engine_supervisor(const grsn_engine_t *engine, uint32_t *size);

#ifdef __cplusplus
}
#endif

#endif
