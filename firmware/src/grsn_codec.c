#include "grsn_codec.h"

#include <float.h>

#include "grsn_format.h"

#if FLT_EVAL_METHOD != 0
#error "the encoder needs float arithmetic in IEEE binary32 (on x86: -mfpmath=sse)"
#endif

typedef float GRSN_IN_IMAGE grsn_f32_t;

/* The contents of the two sections; floats follow. */
typedef struct GRSN_IN_IMAGE encoder {
    uint32_t n;
    uint32_t wide; /* codes of 16 bits */
    uint32_t clamps;
} encoder_t;

typedef struct GRSN_IN_IMAGE decoder {
    uint32_t n;
    uint32_t kind; /* 0: argmax */
    uint32_t reserved;
} decoder_t;

/* To the nearest integer, halves to even; |x| <= 2^15.  Truncation and difference are exact. */
static int32_t nearest(float x)
{
    const int32_t whole = (int32_t)x;
    const volatile float rest = x - (float)whole;
    const float part = rest < 0.0f ? -rest : rest;
    const int32_t away = x < 0.0f ? -1 : 1;
    return part > 0.5f || (part == 0.5f && (whole & 1) != 0) ? whole + away : whole;
}

static int32_t code_of(float x, float offset, float gain, int32_t limit)
{
    /* Through memory, so that no compiler contracts or widens what the SPEC rounds twice. */
    const volatile float centred = x - offset;
    const volatile float product = centred * gain;
    const float scaled = product;
    if (x != x) {
        return 0;
    }
    if (scaled >= (float)limit) {
        return limit;
    }
    return scaled <= -(float)limit ? -limit : nearest(scaled);
}

int32_t grsn_encode(const grsn_model_t *model, const float *observation, int32_t *codes)
{
    const encoder_t *encoder = grsn_section(model, GRSN_SECTION_ENCODER, NULL);
    if (encoder == NULL) {
        return GRSN_NO_ENCODER;
    }
    const grsn_f32_t *offset = (const grsn_f32_t *)(encoder + 1), *gain = offset + encoder->n;
    const int32_t limit = encoder->wide ? 32512 : 127;
    for (uint32_t i = 0; i < encoder->n; i++) {
        const float x = observation[i];
        if (!encoder->clamps && !(x >= -FLT_MAX && x <= FLT_MAX)) {
            return (int32_t)i;
        }
        codes[i] = code_of(x, offset[i], gain[i], limit);
    }
    return GRSN_ENCODED;
}

int32_t grsn_decode(const grsn_model_t *model, const int32_t *action, float *command)
{
    const decoder_t *decoder = grsn_section(model, GRSN_SECTION_DECODER, NULL);
    if (decoder == NULL) {
        return GRSN_NO_ENCODER;
    }
    const grsn_f32_t *offset = (const grsn_f32_t *)(decoder + 1), *scale = offset + decoder->n;
    for (uint32_t i = 0; i < decoder->n; i++) {
        if (decoder->kind == 0) {
            command[i] = (float)action[i];
        } else {
            const volatile float scaled = scale[i] * (float)action[i];
            command[i] = offset[i] + scaled;
        }
    }
    return decoder->kind == 0;
}
