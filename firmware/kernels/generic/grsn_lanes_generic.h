/* grsn_lanes_generic.h: grsn_lanes.h in portable C, for any even number of lanes. */
#ifndef GRSN_LANES_GENERIC_H
#define GRSN_LANES_GENERIC_H

#include <stdint.h>

#include "grsn_primitives.h"

typedef struct {
    int16_t l[GRSN_LANES];
} grsn_h;
typedef struct {
    int32_t l[GRSN_LANES];
} grsn_w;
typedef grsn_h grsn_l;

/* One function a lane: `value` is an expression of i. */
#define GRSN_LANE_BY_LANE(type, element, name, parameters, value)                                  \
    static inline type name parameters                                                             \
    {                                                                                              \
        type r;                                                                                    \
        for (int32_t i = 0; i < GRSN_LANES; i++) {                                                 \
            r.l[i] = (element)(value);                                                             \
        }                                                                                          \
        return r;                                                                                  \
    }
#define GRSN_H(name, parameters, value)                                                            \
    GRSN_LANE_BY_LANE(grsn_h, int16_t, name, parameters, value)
#define GRSN_W(name, parameters, value)                                                            \
    GRSN_LANE_BY_LANE(grsn_w, int32_t, name, parameters, value)

GRSN_H(grsn_set_h, (int32_t v), v)
GRSN_W(grsn_set_w, (int32_t v), v)
GRSN_H(grsn_load_h, (const int16_t *p), p[i])
GRSN_H(grsn_load_h8, (const int8_t *p), p[i])
GRSN_W(grsn_load_w, (const int32_t *p), p[i])

static inline void grsn_store_h(int16_t *p, grsn_h x)
{
    for (int32_t i = 0; i < GRSN_LANES; i++) {
        p[i] = x.l[i];
    }
}

static inline void grsn_store_h8(int8_t *p, grsn_h x)
{
    for (int32_t i = 0; i < GRSN_LANES; i++) {
        p[i] = (int8_t)x.l[i];
    }
}

#define grsn_store_spikes grsn_store_h8

static inline void grsn_store_w(int32_t *p, grsn_w x)
{
    for (int32_t i = 0; i < GRSN_LANES; i++) {
        p[i] = x.l[i];
    }
}

GRSN_W(grsn_widen, (grsn_h x), x.l[i])
GRSN_H(grsn_narrow, (grsn_w x), x.l[i])
GRSN_H(grsn_narrow_sat, (grsn_w x), grsn_clip(x.l[i], -32768, 32767))
GRSN_H(grsn_narrow_asr, (grsn_w x, unsigned s), x.l[i] >> s)
GRSN_H(grsn_pack, (grsn_l x), x.l[i])

GRSN_H(grsn_add_h, (grsn_h x, grsn_h y), x.l[i] + y.l[i])
GRSN_H(grsn_sub_h, (grsn_h x, grsn_h y), x.l[i] - y.l[i])
GRSN_H(grsn_mul_h, (grsn_h x, grsn_h y), (int32_t)x.l[i] * y.l[i])
GRSN_H(grsn_shl_h, (grsn_h x, unsigned s), (int32_t)((uint32_t)(int32_t)x.l[i] << s))
GRSN_H(grsn_shl_h_unsigned, (grsn_h x, unsigned s), (int32_t)x.l[i] << s)
GRSN_H(grsn_min_h, (grsn_h x, int32_t v), grsn_min(x.l[i], v))
GRSN_H(grsn_max_h, (grsn_h x, int32_t v), grsn_max(x.l[i], v))
GRSN_H(grsn_sat_h, (grsn_h x, unsigned k),
       grsn_clip(x.l[i], -((int32_t)1 << (k - 1u)), ((int32_t)1 << (k - 1u)) - 1))
GRSN_H(grsn_usat_h, (grsn_h x, unsigned k), grsn_clip(x.l[i], 0, ((int32_t)1 << k) - 1))
GRSN_H(grsn_ge_h, (grsn_h x, grsn_h y), grsn_ge(x.l[i], y.l[i]))
GRSN_H(grsn_gate_h, (grsn_h x, grsn_h s), grsn_gate(x.l[i], s.l[i]))

static inline grsn_h grsn_fire(grsn_h *u, grsn_h theta)
{
    const grsn_h fired = grsn_ge_h(*u, theta);
    *u = grsn_sub_h(*u, grsn_gate_h(theta, fired));
    return fired;
}

static inline int32_t grsn_reaches(grsn_h u, grsn_h below)
{
    int32_t reached = 0;
    for (int32_t i = 0; i < GRSN_LANES; i++) {
        reached |= (int32_t)(u.l[i] > below.l[i]);
    }
    return reached;
}

static inline uint16_t *grsn_note(uint16_t *list, int32_t first, grsn_h spikes)
{
    for (int32_t i = 0; i < GRSN_LANES; i++) {
        *list = (uint16_t)(first + i);
        list += spikes.l[i];
    }
    return list;
}

static inline void grsn_silence(int8_t *spikes, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        spikes[i] = 0;
    }
}

GRSN_W(grsn_add_w, (grsn_w x, grsn_w y), x.l[i] + y.l[i])
GRSN_W(grsn_sub_w, (grsn_w x, grsn_w y), x.l[i] - y.l[i])
GRSN_W(grsn_mul_w, (grsn_w x, grsn_w y), x.l[i] * y.l[i])
GRSN_W(grsn_min_w, (grsn_w x, int32_t v), grsn_min(x.l[i], v))
GRSN_W(grsn_max_w, (grsn_w x, int32_t v), grsn_max(x.l[i], v))
GRSN_W(grsn_clip_w, (grsn_w x, int32_t lo, int32_t hi), grsn_clip(x.l[i], lo, hi))
GRSN_W(grsn_gate_w, (grsn_w x, grsn_h s), grsn_gate(x.l[i], s.l[i]))
GRSN_H(grsn_ge_w, (grsn_w x, grsn_w y), grsn_ge(x.l[i], y.l[i]))
GRSN_W(grsn_asr_w, (grsn_w x, unsigned s), x.l[i] >> s)
GRSN_W(grsn_product, (grsn_h x, grsn_h y), (int32_t)x.l[i] * y.l[i])
GRSN_W(grsn_product_l, (grsn_l x, grsn_h y), (int32_t)x.l[i] * y.l[i])
GRSN_W(grsn_mla, (grsn_w a, grsn_h x, grsn_h y), a.l[i] + (int32_t)x.l[i] * y.l[i])
GRSN_W(grsn_mla_l, (grsn_w a, grsn_l x, grsn_h y), a.l[i] + (int32_t)x.l[i] * y.l[i])
GRSN_H(grsn_lut_h, (const int16_t *t, grsn_h x, unsigned s), t[x.l[i] >> s])
GRSN_H(grsn_lut_w, (const int16_t *t, grsn_w x, unsigned s), t[x.l[i] >> s])

#endif
