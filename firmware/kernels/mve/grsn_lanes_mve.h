/* grsn_lanes_mve.h: grsn_lanes.h for Helium, eight neurons in a register.
 *
 * Shifts that narrow and saturate at once (vqshrn) are avoided: binutils 2.40 encodes them as the
 * rounding ones.
 */
#ifndef GRSN_LANES_MVE_H
#define GRSN_LANES_MVE_H

#include <arm_mve.h>
#include <stdint.h>

#define GRSN_LANES 8

typedef int16x8_t grsn_h;
typedef struct {
    int32x4_t b, t;
} grsn_w;
typedef grsn_h grsn_l;

#define GRSN_MVE_W(name, parameters, even, odd)                                                    \
    static inline grsn_w name parameters                                                           \
    {                                                                                              \
        const grsn_w r = {even, odd};                                                              \
        return r;                                                                                  \
    }
#define GRSN_MVE_H(name, parameters, value)                                                        \
    static inline grsn_h name parameters                                                           \
    {                                                                                              \
        return value;                                                                              \
    }

GRSN_MVE_H(grsn_set_h, (int32_t v), vdupq_n_s16((int16_t)v))
GRSN_MVE_W(grsn_set_w, (int32_t v), vdupq_n_s32(v), vdupq_n_s32(v))
GRSN_MVE_H(grsn_load_h, (const int16_t *p), vldrhq_s16(p))
GRSN_MVE_H(grsn_load_h8, (const int8_t *p), vldrbq_s16(p))

static inline grsn_w grsn_load_w(const int32_t *p)
{
    const int32x4x2_t both = vld2q_s32(p);
    const grsn_w r = {both.val[0], both.val[1]};
    return r;
}

static inline void grsn_store_h(int16_t *p, grsn_h x)
{
    vstrhq_s16(p, x);
}

static inline void grsn_store_h8(int8_t *p, grsn_h x)
{
    vstrbq_s16(p, x);
}
#define grsn_store_spikes grsn_store_h8

static inline void grsn_store_w(int32_t *p, grsn_w x)
{
    const int32x4x2_t both = {{x.b, x.t}};
    vst2q_s32(p, both);
}

GRSN_MVE_W(grsn_widen, (grsn_h x), vmovlbq_s16(x), vmovltq_s16(x))
GRSN_MVE_H(grsn_narrow, (grsn_w x), vmovntq_s32(vreinterpretq_s16_s32(x.b), x.t))
GRSN_MVE_H(grsn_narrow_sat, (grsn_w x),
           vqmovntq_s32(vqmovnbq_s32(vreinterpretq_s16_s32(x.b), x.b), x.t))
GRSN_MVE_H(grsn_pack, (grsn_l x), x)

GRSN_MVE_H(grsn_add_h, (grsn_h x, grsn_h y), vaddq_s16(x, y))
GRSN_MVE_H(grsn_sub_h, (grsn_h x, grsn_h y), vsubq_s16(x, y))
GRSN_MVE_H(grsn_mul_h, (grsn_h x, grsn_h y), vmulq_s16(x, y))
GRSN_MVE_H(grsn_gate_h, (grsn_h x, grsn_h s), vmulq_s16(x, s))
GRSN_MVE_H(grsn_min_h, (grsn_h x, int32_t v), vminq_s16(x, grsn_set_h(v)))
GRSN_MVE_H(grsn_max_h, (grsn_h x, int32_t v), vmaxq_s16(x, grsn_set_h(v)))
GRSN_MVE_H(grsn_shl_h, (grsn_h x, int32_t s), vshlq_r_s16(x, s))
#define grsn_shl_h_unsigned grsn_shl_h
#define grsn_sat_h(x, k)                                                                           \
    grsn_min_h(grsn_max_h(x, -((int32_t)1 << ((k)-1))), ((int32_t)1 << ((k)-1)) - 1)
#define grsn_usat_h(x, k) grsn_min_h(grsn_max_h(x, 0), ((int32_t)1 << (k)) - 1)
GRSN_MVE_H(grsn_ge_h, (grsn_h x, grsn_h y),
           vpselq_s16(grsn_set_h(1), grsn_set_h(0), vcmpgeq_s16(x, y)))

static inline grsn_h grsn_fire(grsn_h *u, grsn_h theta)
{
    const mve_pred16_t fired = vcmpgeq_s16(*u, theta);
    *u = vsubq_m_s16(*u, *u, theta, fired);
    return vpselq_s16(grsn_set_h(1), grsn_set_h(0), fired);
}

GRSN_MVE_W(grsn_add_w, (grsn_w x, grsn_w y), vaddq_s32(x.b, y.b), vaddq_s32(x.t, y.t))
GRSN_MVE_W(grsn_sub_w, (grsn_w x, grsn_w y), vsubq_s32(x.b, y.b), vsubq_s32(x.t, y.t))
GRSN_MVE_W(grsn_mul_w, (grsn_w x, grsn_w y), vmulq_s32(x.b, y.b), vmulq_s32(x.t, y.t))
GRSN_MVE_W(grsn_min_w, (grsn_w x, int32_t v), vminq_s32(x.b, vdupq_n_s32(v)),
           vminq_s32(x.t, vdupq_n_s32(v)))
GRSN_MVE_W(grsn_max_w, (grsn_w x, int32_t v), vmaxq_s32(x.b, vdupq_n_s32(v)),
           vmaxq_s32(x.t, vdupq_n_s32(v)))
GRSN_MVE_W(grsn_asr_w, (grsn_w x, int32_t s), vshlq_r_s32(x.b, -s), vshlq_r_s32(x.t, -s))
GRSN_MVE_W(grsn_product, (grsn_h x, grsn_h y), vmullbq_int_s16(x, y), vmulltq_int_s16(x, y))
#define grsn_product_l grsn_product

static inline grsn_w grsn_clip_w(grsn_w x, int32_t lo, int32_t hi)
{
    return grsn_min_w(grsn_max_w(x, lo), hi);
}

static inline grsn_w grsn_gate_w(grsn_w x, grsn_h s)
{
    return grsn_mul_w(x, grsn_widen(s));
}

static inline grsn_h grsn_ge_w(grsn_w x, grsn_w y)
{
    const int32x4_t one = vdupq_n_s32(1), zero = vdupq_n_s32(0);
    const grsn_w r = {vpselq_s32(one, zero, vcmpgeq_s32(x.b, y.b)),
                      vpselq_s32(one, zero, vcmpgeq_s32(x.t, y.t))};
    return grsn_narrow(r);
}

static inline grsn_w grsn_mla(grsn_w a, grsn_h x, grsn_h y)
{
    return grsn_add_w(a, grsn_product(x, y));
}
#define grsn_mla_l grsn_mla

static inline grsn_h grsn_narrow_asr(grsn_w x, int32_t s)
{
    return grsn_narrow(grsn_asr_w(x, s));
}

static inline grsn_l grsn_lut_h(const int16_t *t, grsn_h x, int32_t s)
{
    const uint16x8_t index = vshlq_r_u16(vreinterpretq_u16_s16(x), -s);
    return vldrhq_gather_shifted_offset_s16(t, index);
}

static inline grsn_l grsn_lut_w(const int16_t *t, grsn_w x, int32_t s)
{
    return grsn_lut_h(t, grsn_narrow_asr(x, s), 0);
}

#endif
