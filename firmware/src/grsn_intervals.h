/* grsn_intervals.h: the interval that each operation gives to its result.  Internal to grsn_proof.c.
 *
 * Every element-wise operation but a reset is monotone in each operand while the others stand still:
 * rising for some of their values, falling for others, but never both.  So its least and its
 * greatest result are among those of the corners, where each operand is at one of its ends; and so
 * are those of its partial results.  docs/SPEC.md §9.5.
 */
#ifndef GRSN_INTERVALS_H
#define GRSN_INTERVALS_H

#include "grsn_format.h"
#include "grsn_primitives.h"

typedef struct proof {
    const uint8_t *image;
    const grsn_node_t *nodes;
    const grsn_node_t *node;     /* the one that is checked */
    uint32_t index;              /* of it */
    uint32_t begin[GRSN_SPACES]; /* of what nodes may use, in bytes */
    uint32_t top[GRSN_SPACES];   /* of what they do use */
    int fails;                   /* an interval left int32, or a claim */
} proof_t;

/* ---- what each operation takes and gives --------------------------------------------------------- */

enum { INT8 = 1, INT32 = 4, WIDE = 6, NARROW = 5, ANY = 7 }; /* sets of storage types, as bits */

#define FORM(reads, writes) ((reads) << 4 | (writes))

static const uint8_t forms[GRSN_OPS] = {
    [GRSN_INPUT] = FORM(0, NARROW),
    [GRSN_STATE] = FORM(0, NARROW),
    [GRSN_CONST] = FORM(0, INT32),
    [GRSN_EVENT] = FORM(INT8, WIDE),
    [GRSN_GATE] = FORM(INT8, INT32),
    [GRSN_DENSE] = FORM(NARROW, INT32),
    [GRSN_ARGMAX] = FORM(INT32, INT32),
    [GRSN_APPEND] = FORM(ANY, INT32),
    [GRSN_MOVE] = FORM(ANY, NARROW),
    [GRSN_SCALE] = FORM(WIDE, INT32),
    [GRSN_LUT] = FORM(WIDE, INT32),
    [GRSN_ADD] = FORM(INT32, INT32),
    [GRSN_MUL] = FORM(INT32, INT32),
    [GRSN_MAC] = FORM(INT32, INT32),
    [GRSN_BLEND] = FORM(INT32, INT32),
    [GRSN_GE] = FORM(INT32, INT8),
    [GRSN_RESET] = FORM(INT32, INT32),
};

/* Operations that compute element i from the operands' elements start + i. */
static int is_elementwise(const grsn_node_t *node)
{
    return node->op >= GRSN_MOVE;
}

/* ---- intervals ----------------------------------------------------------------------------------- */

enum { LO, HI };

/* Nothing is proven where an interval is not inside another one. */
GRSN_SHARED void must_lie(proof_t *proof, const int32_t *x, int32_t lo, int32_t hi)
{
    proof->fails |= x[LO] < lo || x[HI] > hi;
}

GRSN_SHARED void must_fit(proof_t *proof, const int32_t *x, uint32_t type)
{
    const int32_t limit = INT32_MAX >> (32u - (8u << type));
    must_lie(proof, x, -limit - 1, limit);
}

GRSN_SHARED void widen(int32_t *x, int32_t lo, int32_t hi)
{
    x[LO] = grsn_min(x[LO], lo);
    x[HI] = grsn_max(x[HI], hi);
}

/* a * b + c, where all of it lies in int32; where it does not, nothing is proven.  A product by -1 is
 * a difference. */
GRSN_SHARED int32_t fused(proof_t *proof, int32_t a, int32_t b, int32_t c)
{
    const int64_t product = (int64_t)a * b, sum = product + c;
    proof->fails |= (product != (int32_t)product && b != -1) || sum != (int32_t)sum;
    return (int32_t)sum;
}

GRSN_SHARED void claim(const proof_t *proof, const grsn_node_t *node, uint32_t i, int32_t *result)
{
    grsn_bounds(proof->image, node, i, result);
}

/* A row of a product: the bias, and then the products.  They may be added in any order: so the reach
 * of each includes 0, and all of it lies in the storage type.  The sums of the result lie between
 * those of the reach. */
static void row(proof_t *proof, uint32_t i, int reach, int32_t *result)
{
    const grsn_node_t *node = proof->node, *x = proof->nodes + node->args[0];
    const int8_t *weights = (const int8_t *)(proof->image + node->p);
    int32_t weight = 1, element[2];
    element[LO] = element[HI] = grsn_load(proof->image + node->q, node->type, i);
    result[LO] = result[HI] = 0;
    for (uint32_t j = 0;; j++) {
        if (reach) {
            widen(element, 0, 0);
        }
        result[LO] = fused(proof, weight, element[weight < 0 ? HI : LO], result[LO]);
        result[HI] = fused(proof, weight, element[weight < 0 ? LO : HI], result[HI]);
        if (j == x->n) {
            break;
        }
        weight = weights[grsn_weight(node, x->n, i, j)];
        claim(proof, x, j, element);
        if (node->op != GRSN_DENSE) {
            must_lie(proof, element, 0, 1);
        }
    }
    must_fit(proof, result, node->type);
}

/* An element of an element-wise operation at a corner: bit k chooses the end of operand k.  A reset
 * is x below the constant y, and x - y from there on: it is looked at on both sides of that step,
 * too. */
static int32_t value_at(proof_t *proof, int32_t ends[4][2], uint32_t corner)
{
    const grsn_node_t *node = proof->node;
    const int32_t x = ends[0][corner & 1u], y = ends[1][corner >> 1 & 1u];
    const int32_t z = ends[2][corner >> 2 & 1u];
    int32_t a = x, b = y, c = node->q, d = 0, behind = 0;
    switch (node->op) {
    case GRSN_GE:
        return x >= y;
    case GRSN_RESET:
        if (corner & 4u) {
            a = grsn_clip((int32_t)((uint32_t)y - (corner & 1u)), ends[0][LO], ends[0][HI]);
        }
        proof->fails |= ends[1][LO] != ends[1][HI];
        return fused(proof, y, -(a >= y), a);
    case GRSN_SCALE:
        b = node->p;
        break;
    case GRSN_LUT:
        b = 1;
        break;
    case GRSN_ADD:
        a = y;
        b = node->p;
        if (node->shift == 0) {
            c = x;
            d = node->q;
        } else {
            behind = x;
        }
        break;
    case GRSN_MAC:
        c = fused(proof, z, ends[3][corner >> 3], 0);
        d = node->q;
        break;
    case GRSN_BLEND:
        a = z;
        b = fused(proof, y, -1, x);
        behind = y;
        break;
    default: /* GRSN_MUL */
        break;
    }
    const int32_t sum = fused(proof, fused(proof, a, b, c), 1, d);
    const int32_t value = fused(proof, sum >> node->shift, 1, behind);
    return node->flags & GRSN_CLIPPED ? grsn_clip(value, node->clip_lo, node->clip_hi) : value;
}

/* Of all corners the least and the greatest. */
static void hull(proof_t *proof, uint32_t i, int32_t *result)
{
    const grsn_node_t *node = proof->node;
    int32_t ends[4][2];
    for (uint32_t k = 0; k < 4; k++) {
        claim(proof, proof->nodes + node->args[k], node->start + i, ends[k]);
    }
    result[LO] = INT32_MAX;
    result[HI] = INT32_MIN;
    for (uint32_t corner = 0; corner < 16; corner++) {
        const int32_t value = value_at(proof, ends, corner);
        widen(result, value, value);
    }
}

/* The least and greatest entry of a table between two indices. */
static void look_up(proof_t *proof, int32_t *x)
{
    const grsn_i16_t *middle = (const grsn_i16_t *)(proof->image + proof->node->p) + 128;
    int32_t i = x[LO];
    const int32_t end = x[HI];
    must_fit(proof, x, GRSN_INT8);
    x[LO] = INT32_MAX;
    x[HI] = INT32_MIN;
    for (; i <= end && !proof->fails; i++) {
        widen(x, middle[i], middle[i]);
    }
}

/* What element i of the checked node is proven to be, from the claims of its operands. */
static void derive(proof_t *proof, uint32_t i, int32_t *result)
{
    const grsn_node_t *node = proof->node, *x = proof->nodes + node->args[0];
    if (node->op <= GRSN_DENSE) {
        row(proof, i, 1, result);
        row(proof, i, 0, result);
    } else if (node->op == GRSN_ARGMAX) {
        result[LO] = 0;
        result[HI] = (int32_t)x->n - 1;
    } else if (node->op <= GRSN_MOVE) { /* or GRSN_APPEND */
        i += node->start;
        if (i >= x->n) {
            i -= x->n;
            x = proof->nodes + node->args[1];
        }
        claim(proof, x, i, result);
    } else {
        hull(proof, i, result);
        if (node->op == GRSN_LUT) {
            look_up(proof, result);
        }
    }
}

#endif
