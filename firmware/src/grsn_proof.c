/* grsn_proof.c: why a step of an opened image cannot fail.
 *
 * An image claims an interval for every value, and says where each value lies.  Node by node it is
 * checked here that the claim follows from the claims of the operands, with every partial result
 * inside int32; that the operands still lie where they were written; and that every access is in
 * bounds.  A next value's claim lies inside its state's: so all of it is an induction over steps.
 * It needs no memory, in exchange for looking at nodes again and again.
 */
#include "grsn_format.h"

typedef struct span {
    int64_t lo;
    int64_t hi;
} span_t;

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
    char text[9];
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

/* ---- intervals ------------------------------------------------------------------------------------ */

static int64_t least(int64_t x, int64_t y)
{
    return x < y ? x : y;
}

static int64_t greatest(int64_t x, int64_t y)
{
    return x > y ? x : y;
}

static int outside(const span_t *x, int64_t lo, int64_t hi)
{
    return x->lo < lo || x->hi > hi;
}

/* The greatest number of a storage type; the least is one further from 0. */
static int64_t greatest_of(uint32_t type)
{
    return ((int64_t)1 << ((8u << type) - 1u)) - 1;
}

/* The claim of element i of a node. */
static span_t claim(const proof_t *proof, const grsn_node_t *node, uint32_t i)
{
    const grsn_bounds_t bounds = grsn_bounds(proof->image, node, i);
    const span_t span = {bounds.lo, bounds.hi};
    return span;
}

/* The claim of operand k where it stands for element i of the result. */
static span_t claim_of(const proof_t *proof, uint32_t k, uint32_t i)
{
    const grsn_node_t *node = proof->node, *operand = proof->nodes + node->args[k];
    if (node->op == GRSN_APPEND && i >= operand->n) {
        i -= operand->n;
        operand = proof->nodes + node->args[1];
    }
    return claim(proof, operand, node->op == GRSN_FILL ? 0 : node->start + i);
}

/* Adds the interval of weight · element. */
static void accumulate(span_t *sum, int32_t weight, const span_t *element)
{
    const int64_t a = weight * element->lo, b = weight * element->hi;
    sum->lo += least(a, b);
    sum->hi += greatest(a, b);
}

/* Sums of products may be added in any order: so the reach of every product includes 0. */
static span_t row(proof_t *proof, uint32_t i)
{
    const grsn_node_t *node = proof->node, *x = proof->nodes + node->args[0];
    const int8_t *weights = (const int8_t *)(proof->image + node->p);
    const int32_t bias = grsn_load(proof->image + node->q, node->type, i);
    span_t result = {bias, bias};
    span_t reach = {least(bias, 0), greatest(bias, 0)};
    for (uint32_t j = 0; j < x->n; j++) {
        const int32_t weight = weights[grsn_weight(node, x->n, i, j)];
        span_t element = claim(proof, x, j);
        proof->fails |= node->op != GRSN_DENSE && outside(&element, 0, 1);
        accumulate(&result, weight, &element);
        element.lo = least(element.lo, 0);
        element.hi = greatest(element.hi, 0);
        accumulate(&reach, weight, &element);
    }
    const int64_t limit = greatest_of(node->type);
    proof->fails |= outside(&reach, -limit - 1, limit);
    return result;
}

/* The least and greatest entry that a table look-up can give. */
static void look_up(proof_t *proof, span_t *x)
{
    if (outside(x, -128, 127)) {
        proof->fails = 1;
        return;
    }
    const grsn_i16_t *table = (const grsn_i16_t *)(proof->image + proof->node->p);
    const int32_t first = (int32_t)x->lo + 128, last = (int32_t)x->hi + 128;
    x->lo = x->hi = table[first];
    for (int32_t i = first; i <= last; i++) {
        x->lo = least(x->lo, table[i]);
        x->hi = greatest(x->hi, table[i]);
    }
}

/* The indices whose element can be the greatest. */
static span_t indices(const proof_t *proof)
{
    const grsn_node_t *x = proof->nodes + proof->node->args[0];
    span_t result = {x->n, 0};
    int64_t level = INT32_MIN;
    for (uint32_t i = 0; i < x->n; i++) {
        level = greatest(level, claim(proof, x, i).lo);
    }
    for (uint32_t i = 0; i < x->n; i++) {
        if (claim(proof, x, i).hi >= level) {
            result.lo = least(result.lo, i);
            result.hi = i;
        }
    }
    return result;
}

/* Of corner products the least and the greatest; both factors lie in int32. */
static void multiply(span_t *x, const span_t *y)
{
    const int64_t a = x->lo * y->lo, b = x->lo * y->hi, c = x->hi * y->lo, d = x->hi * y->hi;
    x->lo = least(least(a, b), least(c, d));
    x->hi = greatest(greatest(a, b), greatest(c, d));
}

static void meet(span_t *x, int64_t lo, int64_t hi)
{
    x->lo = greatest(x->lo, lo);
    x->hi = least(x->hi, hi);
}

/* docs/SPEC.md §3, "convex combination": between y and x, where z is in [0, 2^s]. */
static void blend(const proof_t *proof, uint32_t i, span_t *result)
{
    const span_t x = claim_of(proof, 0, i), y = claim_of(proof, 1, i), z = claim_of(proof, 2, i);
    if (!outside(&z, 0, (int64_t)1 << proof->node->shift)) {
        meet(result, least(x.lo, y.lo), greatest(x.hi, y.hi));
    }
}

/* docs/SPEC.md §3, "soft reset": y is a constant of no negative element. */
static void reset(proof_t *proof, uint32_t i, span_t *result)
{
    const span_t x = claim_of(proof, 0, i);
    const int64_t level = claim_of(proof, 1, i).lo;
    proof->fails |= level < 0;
    meet(result, least(x.lo, 0), greatest(least(x.hi, level - 1), x.hi - level));
}

/* What element i of the checked node is proven to be, from the claims of its operands. */
static span_t derived(proof_t *proof, uint32_t i)
{
    const grsn_node_t *node = proof->node;
    span_t stack[5], *top = stack; /* one above the last one */
    for (const char *next = forms[node->op].text; next < forms[node->op].text + 9; next++) {
        const char symbol = *next;
        if (symbol == 0 || proof->fails) {
            break;
        }
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
            const span_t y = *--top;
            span_t *x = top - 1;
            if (symbol == '*') {
                multiply(x, &y);
            } else if (symbol == '+') {
                x->lo += y.lo;
                x->hi += y.hi;
            } else if (symbol == '-') {
                x->lo -= y.hi;
                x->hi -= y.lo;
            } else { /* '>' */
                x->lo = x->lo >= y.hi;
                x->hi = x->hi >= y.lo;
            }
        } else {
            span_t *x = top - 1;
            if (symbol == 's' && node->shift != 0) {
                const int64_t half = (int64_t)1 << (node->shift - 1u);
                x->lo += half;
                x->hi += half;
                proof->fails |= x->hi > INT32_MAX;
                x->lo >>= node->shift;
                x->hi >>= node->shift;
            } else if (symbol == 'c' && node->flags & GRSN_CLIPPED) {
                x->lo = least(greatest(x->lo, node->clip_lo), node->clip_hi);
                x->hi = least(greatest(x->hi, node->clip_lo), node->clip_hi);
            } else if (symbol == 't') {
                look_up(proof, x);
            } else if (symbol == 'h') {
                blend(proof, i, x);
            } else if (symbol == 'r') {
                reset(proof, i, x);
            }
        }
        proof->fails |= outside(top - 1, INT32_MIN, INT32_MAX);
    }
    return stack[0];
}

/* ---- memory ------------------------------------------------------------------------------------- */

static uint32_t bytes_of(const grsn_node_t *node)
{
    return node->n << node->type;
}

/* Whether `size` bytes at a multiple of 4 lie in [begin, end). */
static int lies_in(uint32_t at, uint32_t size, uint32_t begin, uint32_t end)
{
    return at % 4u == 0 && at >= begin && at <= end && size <= end - at;
}

static int in_data(const proof_t *proof, int32_t at, uint32_t size)
{
    const grsn_header_t *header = proof->header;
    const uint32_t begin =
        (uint32_t)((const uint8_t *)(proof->nodes + header->nodes) - proof->image);
    return lies_in((uint32_t)at, size, begin, header->data_end);
}

/* Whether the node's memory is where values of its kind may lie. */
static int is_placed(const proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    const grsn_header_t *header = proof->header;
    if (node->op == GRSN_CONST) {
        return node->space == GRSN_IN_DATA && in_data(proof, (int32_t)node->at, bytes_of(node));
    }
    if (node->space == GRSN_IN_STATE) {
        return node->op != GRSN_INPUT &&
               lies_in(node->at, bytes_of(node), 0, header->state_size);
    }
    return node->space == GRSN_IN_SCRATCH && node->op != GRSN_STATE &&
           lies_in(node->at, bytes_of(node), header->workspace, header->scratch_size);
}

/* Whether the node may write where an older value lies: element by element, each after it was read;
 * or behind it. */
static int in_place(const proof_t *proof, uint32_t k)
{
    const grsn_node_t *node = proof->node, *old = proof->nodes + k;
    if (proof->index < proof->header->sources || old->last > proof->index ||
        old->at != node->at || old->type != node->type) {
        return 0;
    }
    if (node->op == GRSN_APPEND) {
        return node->args[0] == k && node->args[1] != k;
    }
    return forms[node->op].reads >= PART && node->start == 0 && old->n == node->n;
}

/* Whether the node leaves alone every value that is still to be read.  Inputs and states are all
 * there before the step. */
static int spares_others(const proof_t *proof)
{
    const grsn_node_t *node = proof->node, *old = proof->nodes;
    for (uint32_t k = 0; k < proof->index; k++, old++) {
        if (old->space == node->space && node->space != GRSN_IN_DATA &&
            (proof->index < proof->header->sources || old->last >= proof->index) &&
            old->at < node->at + bytes_of(node) && node->at < old->at + bytes_of(old) &&
            !in_place(proof, k)) {
            return 0;
        }
    }
    return 1;
}

/* ---- one node ----------------------------------------------------------------------------------- */

/* Operands: computed before, kept until now, of the right storage and length. */
static int fits_operands(const proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    const uint32_t reads = forms[node->op].reads;
    for (uint32_t k = 0; k < 4; k++) { /* the machine computes the address of all four */
        const uint32_t index = node->args[k];
        const grsn_node_t *operand = proof->nodes + index;
        if (index >= proof->index) {
            return 0;
        }
        if (k < forms[node->op].operands &&
            (operand->last < proof->index || !(reads >> operand->type & 1u) ||
             (reads & SAME && operand->n != node->n) ||
             (reads & PART && (node->start > operand->n || node->n > operand->n - node->start)))) {
            return 0;
        }
    }
    return reads & PART || node->start == 0;
}

/* Constants and lengths that only this operation has. */
static int fits_operation(const proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    const grsn_node_t *x = proof->nodes + node->args[0], *y = proof->nodes + node->args[1];
    const uint32_t op = node->op;
    if (op <= GRSN_DENSE) {
        const uint32_t filled = (x->n + 3u) & ~3u;
        return node->n <= GRSN_MAX_WEIGHTS / x->n &&
               in_data(proof, node->p, node->n * (op == GRSN_DENSE ? filled : x->n)) &&
               in_data(proof, node->q, bytes_of(node)) &&
               (op == GRSN_DENSE || filled * 2u <= proof->header->workspace);
    }
    if (op == GRSN_APPEND) {
        return x->n + y->n == node->n;
    }
    if (op == GRSN_ARGMAX) {
        return node->n == 1;
    }
    if (op == GRSN_LUT) {
        return in_data(proof, node->p, 512);
    }
    if (op == GRSN_SHIFT || op == GRSN_ADD_SHR || (op >= GRSN_MUL_SHR && op <= GRSN_BLEND)) {
        return node->shift != 0;
    }
    return op != GRSN_RESET || y->op == GRSN_CONST;
}

static grsn_status_t check_node(proof_t *proof)
{
    const grsn_header_t *header = proof->header;
    const grsn_node_t *node = proof->node;
    const uint32_t k = proof->index, given = (uint32_t)header->inputs + header->states;
    const uint32_t expected = k < header->inputs ? GRSN_INPUT : k < given ? GRSN_STATE : GRSN_CONST;
    if (node->op >= GRSN_OPS || node->type > GRSN_INT32 || node->n - 1u >= GRSN_MAX_ELEMENTS ||
        !(forms[node->op].writes >> node->type & 1u) || node->last > header->nodes ||
        node->shift > 30 || node->clip_lo > node->clip_hi ||
        (k < header->sources ? node->op != expected : node->op <= GRSN_CONST) ||
        !is_placed(proof) || !spares_others(proof) ||
        (k >= header->sources && !(fits_operands(proof) && fits_operation(proof))) ||
        (node->flags & GRSN_PER_ELEMENT &&
         !(in_data(proof, node->lo, node->n * 4u) && in_data(proof, node->hi, node->n * 4u)))) {
        return GRSN_ERROR_FORMAT;
    }
    const int64_t limit = greatest_of(node->type);
    for (uint32_t i = 0; i < node->n && !proof->fails; i++) {
        const span_t claimed = claim(proof, node, i);
        proof->fails |= claimed.lo > claimed.hi || outside(&claimed, -limit - 1, limit);
        if (k >= header->sources) {
            const span_t result = derived(proof, i);
            proof->fails |= outside(&result, claimed.lo, claimed.hi);
        }
    }
    return proof->fails ? GRSN_ERROR_PROOF : GRSN_OK;
}

/* A state's initial value lies in its range, and so does its next value, which is where it was. */
static grsn_status_t check_state(const proof_t *proof)
{
    const grsn_node_t *node = proof->node, *next = proof->nodes + node->args[0];
    if (node->args[0] >= proof->header->nodes || node->saved > node->type ||
        next->space != GRSN_IN_STATE || next->at != node->at || next->type != node->type ||
        next->n != node->n || next->last != proof->header->nodes ||
        !(node->flags & GRSN_UNIFORM || in_data(proof, node->p, bytes_of(node)))) {
        return GRSN_ERROR_FORMAT;
    }
    const int64_t limit = greatest_of(node->saved);
    for (uint32_t i = 0; i < node->n; i++) {
        const span_t range = claim(proof, node, i), reached = claim(proof, next, i);
        const int32_t first = grsn_initial(proof->image, node, i);
        if (first < range.lo || first > range.hi || outside(&reached, range.lo, range.hi) ||
            outside(&range, -limit - 1, limit)) {
            return GRSN_ERROR_PROOF;
        }
    }
    return GRSN_OK;
}

/* The sums in the header are those of the nodes; what is needed after the step is kept. */
static grsn_status_t check_sums(const proof_t *proof)
{
    const grsn_header_t *header = proof->header;
    const grsn_node_t *node = proof->nodes;
    uint32_t observation_n = 0, saved_size = 0, action_n = 0;
    for (uint32_t k = 0; k < (uint32_t)header->inputs + header->states; k++, node++) {
        if (k < header->inputs) {
            observation_n += node->n;
        } else {
            saved_size += node->n << node->saved;
        }
    }
    for (uint32_t k = 0; k < header->outputs; k++) {
        const uint32_t index = grsn_outputs(proof->image)[k];
        if (index >= header->nodes || proof->nodes[index].last != header->nodes) {
            return GRSN_ERROR_FORMAT;
        }
        action_n += proof->nodes[index].n;
    }
    return observation_n == header->observation_n && saved_size == header->saved_size &&
                   action_n == header->action_n && action_n != 0 &&
                   action_n <= header->workspace / 4u
               ? GRSN_OK
               : GRSN_ERROR_FORMAT;
}

grsn_status_t grsn_prove(const uint8_t *image)
{
    const grsn_header_t *header = grsn_header(image);
    proof_t proof = {image, header, grsn_nodes(image), NULL, 0, 0};
    const uint32_t given = (uint32_t)header->inputs + header->states;
    grsn_status_t status = GRSN_ERROR_FORMAT;
    if (header->nodes - 1u < GRSN_MAX_NODES && given <= header->sources &&
        header->sources <= header->nodes && header->state_size % 4u == 0 &&
        header->scratch_size % 4u == 0 && header->workspace % 4u == 0 &&
        header->workspace <= header->scratch_size) {
        status = GRSN_OK;
    }
    for (; proof.index < header->nodes && status == GRSN_OK; proof.index++) {
        proof.node = proof.nodes + proof.index;
        status = check_node(&proof);
    }
    for (uint32_t k = header->inputs; k < given && status == GRSN_OK; k++) {
        proof.node = proof.nodes + k;
        status = check_state(&proof);
    }
    return status == GRSN_OK ? check_sums(&proof) : status;
}
