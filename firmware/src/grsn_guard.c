/* grsn_guard.c: checksums of what should not change, a slice at a time. */
#include "grsn_guard.h"

#include <string.h>

#include "grsn_crc.h"

void grsn_guard_init(grsn_guard_t *guard)
{
    guard->at = 0;
    guard->image_crc = 0;
    guard->state_crc = 0;
    guard->is_sealed = 0;
}

/* Bytes before the image's own checksum; the model remembers them, for the image may be damaged. */
static uint32_t covered(const grsn_model_t *model)
{
    return model->image_size - 4;
}

uint32_t grsn_guard_round(const grsn_model_t *model)
{
    return (covered(model) + GRSN_GUARD_SLICE - 1) / GRSN_GUARD_SLICE;
}

grsn_status_t grsn_guard_image(grsn_guard_t *guard, const grsn_model_t *model)
{
    const uint32_t end = covered(model), left = end - guard->at;
    const uint32_t count = left < GRSN_GUARD_SLICE ? left : GRSN_GUARD_SLICE;
    guard->image_crc = grsn_crc32c(guard->image_crc, model->image + guard->at, (size_t)count);
    guard->at += count;
    if (guard->at < end) {
        return GRSN_OK;
    }
    uint32_t written;
    const uint32_t found = guard->image_crc;
    memcpy(&written, model->image + end, sizeof written);
    guard->at = 0;
    guard->image_crc = 0;
    return found == written ? GRSN_OK : GRSN_ERROR_CHECKSUM;
}

void grsn_guard_seal(grsn_guard_t *guard, const grsn_model_t *model, const void *state)
{
    guard->state_crc = grsn_crc32c(0, state, (size_t)model->state_size);
    guard->is_sealed = 1;
}

grsn_status_t grsn_guard_state(const grsn_guard_t *guard, const grsn_model_t *model,
                               const void *state)
{
    if (!guard->is_sealed) {
        return GRSN_OK;
    }
    const uint32_t crc = grsn_crc32c(0, state, (size_t)model->state_size);
    return crc == guard->state_crc ? GRSN_OK : GRSN_ERROR_STATE;
}
