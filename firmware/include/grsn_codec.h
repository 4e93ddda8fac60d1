/* grsn_codec: floats to the integers of a step and back; docs/SPEC.md §4 and §5.
 *
 * Outside the step, and the only float arithmetic of the firmware: IEEE 754 binary32, rounded to
 * nearest even, so every processor gives the same integers and the same floats.  Leave it out where
 * the host encodes and decodes.
 *
 *     if (grsn_encode(&model, observation, codes) != GRSN_ENCODED) { ... a sensor is broken ... }
 *     grsn_step(&model, state, scratch, codes, action);
 *     grsn_decode(&model, action, command);
 */
#ifndef GRSN_CODEC_H
#define GRSN_CODEC_H

#include "grsn.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    GRSN_ENCODED = -1,  /* every channel has its code */
    GRSN_NO_ENCODER = -2 /* the image is of a bare program, which takes integers only */
};

/* Encode observation_n floats, in the units of the policy's channels, to as many codes.
 * GRSN_ENCODED; or the index of the first channel that is NaN or infinite, where the policy refuses
 * such: then do not step.  A policy that clamps gives NaN the code 0, infinities the nearer end. */
int32_t grsn_encode(const grsn_model_t *model, const float *observation, int32_t *codes);

/* Decode action_n integers to as many floats, in the units of the actions; of a policy that chooses
 * among actions, the index as a float.  1 where the action is such an index, 0 where it is not;
 * GRSN_NO_ENCODER where the image has no decoder: then nothing is written. */
int32_t grsn_decode(const grsn_model_t *model, const int32_t *action, float *command);

#ifdef __cplusplus
}
#endif

#endif
