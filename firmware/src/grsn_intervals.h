/* grsn_intervals.h: the interval that each operation gives to its result.  Internal to grsn_proof.c.
 *
 * Every bound lies in int32: what is calculated with bounds has 64 bits, and is checked at once.
 */
#ifndef GRSN_INTERVALS_H
#define GRSN_INTERVALS_H

#include "grsn_format.h"
#include "grsn_primitives.h"

/* Where few bytes of code matter, what is used often is one function. */
#if defined(__GNUC__) && defined(__OPTIMIZE_SIZE__)
#define GRSN_OUT_OF_LINE __attribute__((noinline))
#else
#define GRSN_OUT_OF_LINE
#endif

typedef grsn_bounds_t span_t;

typedef struct proof {
    const uint8_t *image;
    const grsn_header_t *header;
    const grsn_node_t *nodes;
    const grsn_node_t *node; /* the one that is checked */
    uint32_t index;          /* of it */
    int fails;               /* an interval left int32, or a claim */
} proof_t;

/* ---- what each operation takes, and what it gives ---------------------------------------------- */

enum { INT8 = 1, INT32 = 4, WIDE = 6, NARROW = 5, ANY = 7 }; /* sets of storage types, as bits */
enum { FREE = 0, PART = 8, SAME = 16 }; /* operands: any length; reaching from `start`; of n */

/* The interval of a result is calculated in reverse Polish notation: x y z w push the claims of the
 * operands, q p constants; + - * and > (ge) combine the two last ones; s shifts and c clips the last
 * one.  t: entries of the table; m: a row of a product; a: indices of the maximum; h and r: the
 * relations of docs/SPEC.md §3, which the result is known to be in as well. */
typedef struct form {
    char text[10];
    uint8_t operands;
    uint8_t reads; /* and lengths */
    uint8_t writes;
} form_t;

static const form_t forms[GRSN_OPS] = {
    [GRSN_INPUT] = {"", 0, 0, NARROW},
    [GRSN_STATE] = {"", 0, 0, NARROW},
    [GRSN_CONST] = {"", 0, 0, INT32},
    [GRSN_EVENT] = {"m", 1, INT8 | FREE, WIDE},
    [GRSN_GATE] = {"m", 1, INT8 | FREE, INT32},
    [GRSN_DENSE] = {"m", 1, NARROW | FREE, INT32},
    [GRSN_MOVE] = {"x", 1, ANY | PART, NARROW},
    [GRSN_FILL] = {"x", 1, INT32 | FREE, INT32},
    [GRSN_APPEND] = {"x", 2, ANY | FREE, INT32},
    [GRSN_ARGMAX] = {"a", 1, INT32 | FREE, INT32},
    [GRSN_SCALE] = {"xp*q+c", 1, WIDE | PART, INT32},
    [GRSN_SHIFT] = {"xsc", 1, WIDE | PART, INT32},
    [GRSN_LUT] = {"xsct", 1, WIDE | PART, INT32},
    [GRSN_ADD] = {"xy+c", 2, INT32 | SAME, INT32},
    [GRSN_ADD_SHR] = {"xys+c", 2, INT32 | SAME, INT32},
    [GRSN_SUB] = {"xy-", 2, INT32 | SAME, INT32},
    [GRSN_MUL] = {"xy*", 2, INT32 | SAME, INT32},
    [GRSN_MUL_SHR] = {"xy*sc", 2, INT32 | SAME, INT32},
    [GRSN_MAC_SHR] = {"xy*zw*+s", 4, INT32 | SAME, INT32},
    [GRSN_BLEND] = {"yzxy-*s+h", 3, INT32 | SAME, INT32},
    [GRSN_GE] = {"xy>", 2, INT32 | SAME, INT8},
    [GRSN_RESET] = {"xyxy>*-r", 2, INT32 | SAME, INT32},
};

/* ---- intervals --------------------------------------------------------------------------------- */

static GRSN_OUT_OF_LINE int outside(const span_t *x, int32_t lo, int32_t hi)
{
    return x->lo < lo || x->hi > hi;
}

/* A number that has to lie in int32; where it does not, nothing is proven and any result will do. */
static GRSN_OUT_OF_LINE int32_t narrow(proof_t *proof, int64_t x)
{
    proof->fails |= x != (int32_t)x;
    return (int32_t)x;
}

static GRSN_OUT_OF_LINE int32_t sum(proof_t *proof, int32_t x, int32_t y)
{
    return narrow(proof, (int64_t)x + y);
}

static GRSN_OUT_OF_LINE int32_t difference(proof_t *proof, int32_t x, int32_t y)
{
    return narrow(proof, (int64_t)x - y);
}

/* The greatest number of a storage type; the least is one further from 0. */
static int32_t greatest_of(uint32_t type)
{
    return (int32_t)(INT32_MAX >> (32u - (8u << type)));
}

/* The claim of element i of a node. */
static GRSN_OUT_OF_LINE span_t claim(const proof_t *proof, const grsn_node_t *node, uint32_t i)
{
    return grsn_bounds(proof->image, node, i);
}

/* The claim of operand k where it stands for element i of the result. */
static GRSN_OUT_OF_LINE span_t claim_of(const proof_t *proof, uint32_t k, uint32_t i)
{
    const grsn_node_t *node = proof->node, *operand = proof->nodes + node->args[k];
    if (node->op == GRSN_APPEND && i >= operand->n) {
        i -= operand->n;
        operand = proof->nodes + node->args[1];
    }
    return claim(proof, operand, node->op == GRSN_FILL ? 0 : node->start + i);
}

/* Of corner products the least and the greatest.  Where the interval lies in int32, every corner
 * does. */
static GRSN_OUT_OF_LINE span_t product_of(proof_t *proof, const span_t *x, const span_t *y)
{
    span_t result = {INT32_MAX, INT32_MIN};
    for (uint32_t corner = 0; corner < 4; corner++) {
        const int32_t a = corner & 1u ? x->hi : x->lo, b = corner & 2u ? y->hi : y->lo;
        const int32_t value = narrow(proof, (int64_t)a * b);
        result.lo = grsn_min(result.lo, value);
        result.hi = grsn_max(result.hi, value);
    }
    return result;
}

/* Sums of products may be added in any order: so the reach of every product includes 0.  The sums
 * of the result lie between those of the reach. */
static span_t row(proof_t *proof, uint32_t i)
{
    const grsn_node_t *node = proof->node, *x = proof->nodes + node->args[0];
    const int8_t *weights = (const int8_t *)(proof->image + node->p);
    const int32_t bias = grsn_load(proof->image + node->q, node->type, i);
    span_t result = {bias, bias};
    span_t reach = {grsn_min(bias, 0), grsn_max(bias, 0)};
    for (uint32_t j = 0; j < x->n; j++) {
        const int32_t weight = weights[grsn_weight(node, x->n, i, j)];
        const span_t element = claim(proof, x, j);
        const int32_t a = narrow(proof, (int64_t)weight * element.lo);
        const int32_t b = narrow(proof, (int64_t)weight * element.hi);
        const int32_t lo = grsn_min(a, b), hi = grsn_max(a, b);
        proof->fails |= node->op != GRSN_DENSE && outside(&element, 0, 1);
        result.lo = sum(proof, result.lo, lo);
        result.hi = sum(proof, result.hi, hi);
        reach.lo = sum(proof, reach.lo, grsn_min(lo, 0));
        reach.hi = sum(proof, reach.hi, grsn_max(hi, 0));
    }
    const int32_t limit = greatest_of(node->type);
    proof->fails |= outside(&reach, -limit - 1, limit);
    return result;
}

/* The least and greatest entry that a table look-up can give. */
static void look_up(proof_t *proof, span_t *x)
{
    const grsn_i16_t *middle = (const grsn_i16_t *)(proof->image + proof->node->p) + 128;
    span_t entries = {INT32_MAX, INT32_MIN};
    if (outside(x, -128, 127)) {
        proof->fails = 1;
        return;
    }
    for (int32_t i = x->lo; i <= x->hi; i++) {
        entries.lo = grsn_min(entries.lo, middle[i]);
        entries.hi = grsn_max(entries.hi, middle[i]);
    }
    *x = entries;
}

/* The indices whose element can be the greatest. */
static span_t indices(const proof_t *proof)
{
    const grsn_node_t *x = proof->nodes + proof->node->args[0];
    span_t result = {(int32_t)x->n, 0};
    int32_t level = INT32_MIN;
    for (uint32_t i = 0; i < x->n; i++) {
        level = grsn_max(level, claim(proof, x, i).lo);
    }
    for (uint32_t i = 0; i < x->n; i++) {
        if (claim(proof, x, i).hi >= level) {
            result.lo = grsn_min(result.lo, (int32_t)i);
            result.hi = (int32_t)i;
        }
    }
    return result;
}

static void meet(span_t *x, int32_t lo, int32_t hi)
{
    x->lo = grsn_max(x->lo, lo);
    x->hi = grsn_min(x->hi, hi);
}

/* docs/SPEC.md §3, "convex combination": between y and x, where z is in [0, 2^s]. */
static void blend(const proof_t *proof, uint32_t i, span_t *result)
{
    const span_t x = claim_of(proof, 0, i), y = claim_of(proof, 1, i), z = claim_of(proof, 2, i);
    if (!outside(&z, 0, (int32_t)1 << proof->node->shift)) {
        meet(result, grsn_min(x.lo, y.lo), grsn_max(x.hi, y.hi));
    }
}

/* docs/SPEC.md §3, "soft reset": y is a constant of no negative element. */
static void reset(proof_t *proof, uint32_t i, span_t *result)
{
    const span_t x = claim_of(proof, 0, i);
    const int32_t level = claim_of(proof, 1, i).lo;
    if (level < 0) {
        proof->fails = 1;
        return;
    }
    const int32_t after = difference(proof, x.hi, level);
    meet(result, grsn_min(x.lo, 0), grsn_max(grsn_min(x.hi, level - 1), after));
}

static void combine(proof_t *proof, char symbol, span_t *x, const span_t *y)
{
    if (symbol == '*') {
        *x = product_of(proof, x, y);
    } else if (symbol == '+') {
        x->lo = sum(proof, x->lo, y->lo);
        x->hi = sum(proof, x->hi, y->hi);
    } else if (symbol == '-') {
        x->lo = difference(proof, x->lo, y->hi);
        x->hi = difference(proof, x->hi, y->lo);
    } else { /* '>' */
        x->lo = x->lo >= y->hi;
        x->hi = x->hi >= y->lo;
    }
}

/* What follows on an interval: s, c, t, h, r. */
static GRSN_OUT_OF_LINE void modify(proof_t *proof, char symbol, span_t *x, uint32_t i)
{
    const grsn_node_t *node = proof->node;
    if (symbol == 's') { /* nothing is added where it is 0 */
        const int32_t half = (int32_t)((1u << node->shift) >> 1);
        x->lo = sum(proof, x->lo, half) >> node->shift;
        x->hi = sum(proof, x->hi, half) >> node->shift;
    } else if (symbol == 'c' && node->flags & GRSN_CLIPPED) {
        x->lo = grsn_clip(x->lo, node->clip_lo, node->clip_hi);
        x->hi = grsn_clip(x->hi, node->clip_lo, node->clip_hi);
    } else if (symbol == 't') {
        look_up(proof, x);
    } else if (symbol == 'h') {
        blend(proof, i, x);
    } else if (symbol == 'r') {
        reset(proof, i, x);
    }
}

/* What element i of the checked node is proven to be, from the claims of its operands. */
static GRSN_OUT_OF_LINE span_t derived(proof_t *proof, uint32_t i)
{
    const grsn_node_t *node = proof->node;
    span_t stack[5], *top = stack; /* one above the last one */
    for (const char *next = forms[node->op].text; *next != 0 && !proof->fails; next++) {
        const char symbol = *next;
        if (symbol >= 'w' && symbol <= 'z') {
            *top++ = claim_of(proof, symbol == 'w' ? 3 : (uint32_t)(symbol - 'x'), i);
        } else if (symbol == 'p' || symbol == 'q') {
            top->lo = top->hi = symbol == 'p' ? node->p : node->q;
            top++;
        } else if (symbol == 'm') {
            *top++ = row(proof, i);
        } else if (symbol == 'a') {
            *top++ = indices(proof);
        } else if (symbol < 'a') { /* two operands */
            top--;
            combine(proof, symbol, top - 1, top);
        } else {
            modify(proof, symbol, top - 1, i);
        }
    }
    return stack[0];
}

#endif
