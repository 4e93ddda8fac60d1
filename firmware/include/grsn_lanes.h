/* grsn_lanes.h: the arithmetic of grsn_primitives.h on several neurons at once.
 *
 * A generated policy's loops are written in these few operations, and compiled for GRSN_LANES
 * neurons at a time: 2 on a Cortex-M with the DSP extension, 8 with Helium (MVE), 1 elsewhere,
 * where the plain loops are used instead.  GRSN_KERNELS_GENERIC chooses the plain loops everywhere;
 * a GRSN_LANES of 2, 4 or 8 set by hand chooses the portable C of kernels/generic everywhere.
 * All of them compute the same integers.
 *
 * Types:
 *   grsn_h   GRSN_LANES numbers of 16 bits.
 *   grsn_w   the same numbers as 32 bits: the even ones (.b) and the odd ones (.t).
 *   grsn_l   what a table gave: numbers of 16 bits in the form that is cheapest to multiply.
 *
 * Names follow grsn_primitives.h; the letters say what goes in and out.  Every argument is proven
 * in range when a policy is frozen: a narrowing never loses a bit unless it says that it saturates.
 *
 *   grsn_set_h(v) grsn_set_w(v)           v in every lane
 *   grsn_load_h(p) grsn_store_h(p, x)     int16 in memory; _h8 for int8, _w for int32
 *   grsn_store_spikes(p, x)               int8 in memory, for 0 and 1
 *   grsn_widen(h) grsn_narrow(w) grsn_pack(l)       between the types
 *   grsn_narrow_sat(w)                    clip to int16 on the way
 *   grsn_add_h grsn_sub_h grsn_mul_h      element by element; the result fits 16 bits
 *   grsn_shl_h(x, s) grsn_shl_h_unsigned  times 2^s; the second for numbers that are not negative
 *   grsn_min_h(x, v) grsn_max_h(x, v)     with a constant v
 *   grsn_sat_h(x, k) grsn_usat_h(x, k)    clip to [-2^(k-1), 2^(k-1) - 1], to [0, 2^k - 1]
 *   grsn_ge_h(x, y)                       1 where x >= y, else 0
 *   grsn_gate_h(x, s)                     x where the spike s is 1, else 0
 *   grsn_fire(&u, theta)                  1 where u >= theta, else 0; takes theta from u there
 *   grsn_add_w grsn_sub_w grsn_mul_w grsn_min_w grsn_max_w grsn_clip_w grsn_ge_w grsn_gate_w
 *   grsn_product(x, y) grsn_product_l(l, y)    x·y in 32 bits
 *   grsn_mla(a, x, y) grsn_mla_l(a, l, y) a + x·y in 32 bits
 *   grsn_asr_w(x, s)                      floor(x / 2^s), s >= 0: what remains of shr when half
 *                                         was added before
 *   grsn_narrow_asr(x, s)                 the same, narrowed
 *   grsn_lut_h(t, x, s) grsn_lut_w        t[x >> s] of an int16 table, x >= 0
 *
 * Where GRSN_LATER is 1:
 *   grsn_reaches(u, below)                not 0 if u is above `below` in any lane
 *   grsn_note(list, first, spikes)        appends the indices of the spikes, of which the first has
 *                                         the index `first`; returns the new end of the list
 *   grsn_silence(spikes, n)               sets n spikes in memory to 0
 *
 * Where GRSN_DOTS is 1, the constants of two neurons stand in a row, in the order of their use:
 *   grsn_take(&row)                       the next word: two numbers of 16 bits
 *   grsn_take_two(&row, &x, &y)           the next two words
 *   grsn_pairs(pairs, x, n) grsn_dots(&row, pairs, n)  bias + W·x of n inputs, n even, at most 8;
 *                                         in the row, the bias and then weights two by two
 */
#ifndef GRSN_LANES_H
#define GRSN_LANES_H

#include <stdint.h>

#ifdef GRSN_LANES
#include "../kernels/generic/grsn_lanes_generic.h"
#elif defined(GRSN_KERNELS_GENERIC) || defined(__ARM_BIG_ENDIAN)
#define GRSN_LANES 1
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include "../kernels/mve/grsn_lanes_mve.h"
#elif defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__thumb2__) && \
    defined(__GNUC__) && defined(__OPTIMIZE__)
#include "../kernels/dsp/grsn_lanes_dsp.h"
#else
#define GRSN_LANES 1
#endif

/* A loop over n neurons takes GRSN_BLOCK(n) of them an iteration, written out by GRSN_UNROLL. */
#ifndef GRSN_UNROLL
#define GRSN_BLOCK(n) GRSN_LANES
#define GRSN_UNROLL
#endif

/* Whether the constants of a neuron stand side by side where neurons are taken one by one: where
 * loads take an offset, which those of signed numbers do not on ARMv6-M. */
#ifndef GRSN_EACH
#if defined(__thumb__) && !defined(__thumb2__)
#define GRSN_EACH 0
#else
#define GRSN_EACH 1
#endif
#endif
#if GRSN_EACH
#define GRSN_IF_EACH(text) text
#define GRSN_EACH_OR(each, apart) each
#else
#define GRSN_IF_EACH(text)
#define GRSN_EACH_OR(each, apart) apart
#endif

/* Whether the reset of neurons that fire waits until a loop over lanes has ended: where most steps
 * of the loop have none. */
#define GRSN_LATER (GRSN_LANES <= 2)

/* What few neurons do is kept out of the way of the others. */
#if defined(__GNUC__)
#define GRSN_RARELY(condition) __builtin_expect((condition) != 0, 0)
#else
#define GRSN_RARELY(condition) ((condition) != 0)
#endif

/* Between the neurons of an iteration, where keeping them apart saves registers. */
#ifndef GRSN_NEXT
#define GRSN_NEXT (void)0
#endif

/* Whether products of few inputs are taken inside a loop over lanes. */
#ifndef GRSN_DOTS
#define GRSN_DOTS 0
#endif
#if GRSN_DOTS
#define GRSN_IF_DOTS(text) text
#define GRSN_ROW(taken, load) taken
#else
#define GRSN_IF_DOTS(text)
#define GRSN_ROW(taken, load) load
#endif

#endif
