/* grsn_proof.c: why a step of an opened image cannot fail.
 *
 * An image claims an interval for every value, and says where each value lies.  Node by node it is
 * checked here that the claim follows from the claims of the operands, with every partial result
 * inside int32; that the operands still lie where they were written; and that every access is in
 * bounds.  A next value's claim lies inside its state's: so all of it is an induction over steps.
 * It needs no memory, in exchange for looking at nodes again and again.
 */
#include "grsn_format.h"

/* ---- intervals ---------------------------------------------------------------------------- */

/* Exact where the bounds that are put in fit int32; `fails` collects what then leaves it. */
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
    int fails;
} proof_t;

static int64_t least(int64_t x, int64_t y)
{
    return x < y ? x : y;
}

static int64_t greatest(int64_t x, int64_t y)
{
    return x > y ? x : y;
}

static span_t checked(proof_t *proof, int64_t lo, int64_t hi)
{
    const span_t span = {lo, hi};
    proof->fails |= lo < INT32_MIN || hi > INT32_MAX;
    return span;
}

static span_t sum(proof_t *proof, span_t x, span_t y)
{
    return checked(proof, x.lo + y.lo, x.hi + y.hi);
}

static span_t difference(proof_t *proof, span_t x, span_t y)
{
    return checked(proof, x.lo - y.hi, x.hi - y.lo);
}

static span_t product(proof_t *proof, span_t x, span_t y)
{
    if (proof->fails) {
        return x; /* bounds beyond int32 must not be multiplied */
    }
    const int64_t a = x.lo * y.lo, b = x.lo * y.hi, c = x.hi * y.lo, d = x.hi * y.hi;
    return checked(proof, least(least(a, b), least(c, d)), greatest(greatest(a, b), greatest(c, d)));
}

static span_t shifted(proof_t *proof, span_t x, uint32_t s)
{
    const int64_t half = (int64_t)1 << (s - 1u);
    checked(proof, x.lo, x.hi + half);
    const span_t span = {(x.lo + half) >> s, (x.hi + half) >> s};
    return span;
}

static span_t clipped(const grsn_node_t *node, span_t x)
{
    if (node->flags & GRSN_CLIPPED) {
        x.lo = least(greatest(x.lo, node->clip_lo), node->clip_hi);
        x.hi = least(greatest(x.hi, node->clip_lo), node->clip_hi);
    }
    return x;
}

static span_t both(span_t x, span_t y)
{
    const span_t span = {greatest(x.lo, y.lo), least(x.hi, y.hi)};
    return span;
}

/* The claim of element i of operand k. */
static span_t claim(const proof_t *proof, uint32_t k, uint32_t i)
{
    const grsn_node_t *operand = proof->nodes + proof->node->args[k];
    const grsn_bounds_t bounds = grsn_bounds(proof->image, operand, i);
    const span_t span = {bounds.lo, bounds.hi};
    return span;
}

/* ---- what an operation gives ---------------------------------------------------------------- */

/* Sums of products may be added in any order: so every product's reach includes 0. */
static span_t row(proof_t *proof, uint32_t i)
{
    const grsn_node_t *node = proof->node, *x = proof->nodes + node->args[0];
    const int8_t *weights = (const int8_t *)(proof->image + node->p);
    const int by_row = node->op == GRSN_ROWS || node->op == GRSN_GATE;
    const int32_t bias = grsn_load(proof->image + node->q, node->type, i);
    span_t result = {bias, bias};
    span_t reach = {least(bias, 0), greatest(bias, 0)};
    for (uint32_t j = 0; j < x->n; j++) {
        const int64_t weight = weights[by_row ? i * x->n + j : j * node->n + i];
        const span_t element = claim(proof, 0, j);
        const int64_t a = weight * element.lo, b = weight * element.hi;
        result.lo += least(a, b);
        result.hi += greatest(a, b);
        reach.lo += least(least(a, b), 0);
        reach.hi += greatest(greatest(a, b), 0);
    }
    const int64_t limit = (int64_t)1 << ((8u << node->type) - 1u);
    proof->fails |= reach.lo < -limit || reach.hi >= limit;
    return result;
}

/* The least and greatest entry that a table look-up can give. */
static span_t entries(proof_t *proof, span_t x)
{
    const grsn_i16_t *table = (const grsn_i16_t *)(proof->image + proof->node->p);
    if (x.lo < -128 || x.hi > 127) {
        proof->fails = 1;
        return x;
    }
    span_t result = {table[x.lo + 128], table[x.lo + 128]};
    for (int64_t i = x.lo + 1; i <= x.hi; i++) {
        result.lo = least(result.lo, table[i + 128]);
        result.hi = greatest(result.hi, table[i + 128]);
    }
    return result;
}

/* The indices whose element can be the greatest. */
static span_t indices(const proof_t *proof)
{
    const uint32_t n = proof->nodes[proof->node->args[0]].n;
    int64_t level = INT32_MIN;
    span_t result = {n, 0};
    for (uint32_t i = 0; i < n; i++) {
        level = greatest(level, claim(proof, 0, i).lo);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (claim(proof, 0, i).hi >= level) {
            result.lo = least(result.lo, i);
            result.hi = i;
        }
    }
    return result;
}

/* y + shr(z·(x - y), s); docs/SPEC.md §3, "convex combination". */
static span_t blend(proof_t *proof, span_t x, span_t y, span_t z, uint32_t s)
{
    const span_t term = shifted(proof, product(proof, z, difference(proof, x, y)), s);
    const span_t plain = sum(proof, y, term);
    const span_t between = {least(x.lo, y.lo), greatest(x.hi, y.hi)};
    return z.lo >= 0 && z.hi <= (int64_t)1 << s ? both(plain, between) : plain;
}

/* x - y·[x >= y], y constant and not negative; docs/SPEC.md §3, "soft reset". */
static span_t reset(proof_t *proof, span_t x, span_t y)
{
    const span_t spike = {x.lo >= y.hi, x.hi >= y.lo};
    const span_t plain = difference(proof, x, product(proof, y, spike));
    const int64_t level = y.lo;
    const span_t exact = {least(x.lo, 0), greatest(least(x.hi, level - 1), x.hi - level)};
    return both(plain, exact);
}

static span_t scaled(proof_t *proof, span_t x)
{
    const span_t p = {proof->node->p, proof->node->p}, q = {proof->node->q, proof->node->q};
    return sum(proof, product(proof, x, p), q);
}

/* What element i of the checked node is proven to be, from the claims of its operands. */
static span_t derived(proof_t *proof, uint32_t i)
{
    const grsn_node_t *node = proof->node;
    const uint32_t s = node->shift;
    switch (node->op) {
    case GRSN_EVENT:
    case GRSN_GATE:
    case GRSN_COLUMNS:
    case GRSN_ROWS:
        return row(proof, i);
    case GRSN_MOVE:
        return claim(proof, 0, node->start + i);
    case GRSN_FILL:
        return claim(proof, 0, 0);
    case GRSN_APPEND: {
        const uint32_t first = proof->nodes[node->args[0]].n;
        return i < first ? claim(proof, 0, i) : claim(proof, 1, i - first);
    }
    case GRSN_ARGMAX:
        return indices(proof);
    case GRSN_SCALE:
        return clipped(node, scaled(proof, claim(proof, 0, node->start + i)));
    case GRSN_SHIFT:
        return clipped(node, shifted(proof, claim(proof, 0, node->start + i), s));
    case GRSN_LUT: {
        const span_t x = claim(proof, 0, node->start + i);
        return entries(proof, clipped(node, s != 0 ? shifted(proof, x, s) : x));
    }
    default:
        break;
    }
    const span_t x = claim(proof, 0, i), y = claim(proof, 1, i);
    switch (node->op) {
    case GRSN_ADD:
        return clipped(node, sum(proof, x, y));
    case GRSN_SUB:
        return difference(proof, x, y);
    case GRSN_MUL:
        return product(proof, x, y);
    case GRSN_MUL_SHR:
        return clipped(node, shifted(proof, product(proof, x, y), s));
    case GRSN_MAC_SHR: {
        const span_t more = product(proof, claim(proof, 2, i), claim(proof, 3, i));
        return shifted(proof, sum(proof, product(proof, x, y), more), s);
    }
    case GRSN_BLEND:
        return blend(proof, x, y, claim(proof, 2, i), s);
    case GRSN_GE: {
        const span_t result = {x.lo >= y.hi, x.hi >= y.lo};
        return result;
    }
    default: /* GRSN_RESET */
        return reset(proof, x, y);
    }
}

/* ---- one node -------------------------------------------------------------------------------- */

enum { ANY = 7, WIDE = 6, INT32 = 4, INT8 = 1, SPIKE = 5 }; /* sets of storage types, as bits */

/* Operands, storage types of the operands and of the result, and how lengths go together. */
typedef struct form {
    uint8_t operands;
    uint8_t reads;
    uint8_t writes;
    uint8_t length; /* of the operands */
} form_t;

enum { FREE, PART, SAME }; /* any; reaching from `start` to start + n; equal to n */

static const form_t forms[GRSN_OPS] = {
    [GRSN_INPUT] = {0, ANY, ANY, FREE},       [GRSN_STATE] = {0, ANY, ANY, FREE},
    [GRSN_CONST] = {0, ANY, ANY, FREE},       [GRSN_EVENT] = {1, INT8, WIDE, FREE},
    [GRSN_GATE] = {1, INT8, WIDE, FREE},      [GRSN_COLUMNS] = {1, ANY, INT32, FREE},
    [GRSN_ROWS] = {1, ANY, INT32, FREE},      [GRSN_MOVE] = {1, ANY, ANY, PART},
    [GRSN_FILL] = {1, ANY, INT32, FREE},      [GRSN_APPEND] = {2, ANY, ANY, FREE},
    [GRSN_ARGMAX] = {1, ANY, ANY, FREE},      [GRSN_SCALE] = {1, WIDE, INT32, PART},
    [GRSN_SHIFT] = {1, WIDE, INT32, PART},    [GRSN_LUT] = {1, WIDE, INT32, PART},
    [GRSN_ADD] = {2, INT32, INT32, SAME},     [GRSN_SUB] = {2, INT32, INT32, SAME},
    [GRSN_MUL] = {2, INT32, INT32, SAME},     [GRSN_MUL_SHR] = {2, INT32, INT32, SAME},
    [GRSN_MAC_SHR] = {4, INT32, INT32, SAME}, [GRSN_BLEND] = {3, INT32, INT32, SAME},
    [GRSN_GE] = {2, INT32, SPIKE, SAME},      [GRSN_RESET] = {2, INT32, INT32, SAME},
};

static int overlaps(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

static uint32_t bytes_of(const grsn_node_t *node)
{
    return node->n << node->type;
}

/* Whether `size` bytes at an offset are a constant in the image's data. */
static int in_data(const proof_t *proof, uint32_t at, uint64_t size)
{
    const uint32_t end = proof->header->data_end;
    const uint32_t begin =
        (uint32_t)((const uint8_t *)(proof->nodes + proof->header->nodes) - proof->image);
    return at % 4u == 0 && at >= begin && at <= end && size <= end - at;
}

/* Address, length and storage of the node itself. */
static int is_placed(const proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    const grsn_header_t *header = proof->header;
    if (node->op >= GRSN_OPS || node->type > GRSN_INT32 || node->n == 0 ||
        node->n > GRSN_MAX_ELEMENTS || node->at % 4u != 0 ||
        !(forms[node->op].writes >> node->type & 1) || node->last > header->nodes) {
        return 0;
    }
    if (node->flags & GRSN_PER_ELEMENT &&
        !(in_data(proof, (uint32_t)node->lo, (uint64_t)node->n * 4u) &&
          in_data(proof, (uint32_t)node->hi, (uint64_t)node->n * 4u))) {
        return 0;
    }
    if (node->op == GRSN_CONST) {
        return node->space == GRSN_IN_DATA && in_data(proof, node->at, bytes_of(node));
    }
    const int in_state = node->space == GRSN_IN_STATE;
    const uint32_t begin = in_state ? 0 : header->workspace;
    const uint32_t end = in_state ? header->state_size : header->scratch_size;
    return (in_state || node->space == GRSN_IN_SCRATCH) && (node->op != GRSN_INPUT || !in_state) &&
           (node->op != GRSN_STATE || in_state) && node->at >= begin && node->at <= end &&
           bytes_of(node) <= end - node->at;
}

/* Whether the node may write where an operand lies: element by element, each after it was read. */
static int in_place(const proof_t *proof, uint32_t other)
{
    const grsn_node_t *node = proof->node, *old = proof->nodes + other;
    if (old->last > proof->index || old->at != node->at || old->type != node->type) {
        return 0;
    }
    if (node->op == GRSN_APPEND) {
        return node->args[0] == other && node->args[1] != other;
    }
    return forms[node->op].length != FREE && node->start == 0 && old->n == node->n;
}

/* Whether the node leaves alone every value that is still to be read. */
static int spares_others(const proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    const int given = proof->index < proof->header->sources;
    for (uint32_t k = 0; node->op != GRSN_CONST && k < proof->index; k++) {
        const grsn_node_t *old = proof->nodes + k;
        if (old->space == node->space && (given || old->last >= proof->index) &&
            overlaps(old->at, bytes_of(old), node->at, bytes_of(node)) &&
            !(!given && in_place(proof, k))) {
            return 0;
        }
    }
    return 1;
}

/* Operands: computed before, kept until now, of the right storage and length. */
static int fits_operands(const proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    const form_t form = forms[node->op];
    for (uint32_t k = 0; k < form.operands; k++) {
        const uint32_t index = node->args[k];
        const grsn_node_t *operand = proof->nodes + index;
        if (index >= proof->index || operand->last < proof->index ||
            !(form.reads >> operand->type & 1) ||
            (form.length == SAME && operand->n != node->n) ||
            (form.length == PART &&
             (node->start > operand->n || node->n > operand->n - node->start))) {
            return 0;
        }
    }
    /* The machine takes the address of every operand, whether it reads it or not. */
    return node->args[0] < proof->index && node->args[1] < proof->index &&
           node->args[2] < proof->index && node->args[3] < proof->index;
}

/* Constants and lengths that only this operation has. */
static int fits_operation(const proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    const grsn_node_t *x = proof->nodes + node->args[0], *y = proof->nodes + node->args[1];
    const uint32_t at = (uint32_t)node->p;
    const int shifts = node->op == GRSN_SHIFT || node->op == GRSN_MUL_SHR ||
                       node->op == GRSN_MAC_SHR || node->op == GRSN_BLEND;
    if (node->shift > 30 || (shifts && node->shift == 0) ||
        (node->flags & GRSN_CLIPPED && node->clip_lo > node->clip_hi)) {
        return 0;
    }
    switch (node->op) {
    case GRSN_EVENT:
        if (((x->n + 3u) & ~3u) * 2u > proof->header->workspace) {
            return 0;
        }
        /* fall through */
    case GRSN_GATE:
    case GRSN_COLUMNS:
    case GRSN_ROWS: {
        const uint64_t weights = (uint64_t)node->n * x->n;
        return weights <= GRSN_MAX_WEIGHTS && in_data(proof, at, weights) &&
               in_data(proof, (uint32_t)node->q, bytes_of(node));
    }
    case GRSN_APPEND:
        return x->n + y->n == node->n;
    case GRSN_ARGMAX:
        return node->n == 1;
    case GRSN_LUT:
        return in_data(proof, at, 512);
    case GRSN_RESET:
        return y->op == GRSN_CONST;
    default:
        return 1;
    }
}

/* Whether the derived interval of every element lies in its claim, and the claim in its storage. */
static int is_proven(proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    const int64_t limit = (int64_t)1 << ((8u << node->type) - 1u);
    const int spikes = node->op == GRSN_EVENT || node->op == GRSN_GATE;
    for (uint32_t j = 0; spikes && j < proof->nodes[node->args[0]].n; j++) {
        const span_t x = claim(proof, 0, j);
        proof->fails |= x.lo < 0 || x.hi > 1;
    }
    for (uint32_t i = 0; i < node->n && !proof->fails; i++) {
        const grsn_bounds_t bounds = grsn_bounds(proof->image, node, i);
        proof->fails |= bounds.lo > bounds.hi || bounds.lo < -limit || bounds.hi >= limit;
        if (proof->index >= proof->header->sources) {
            const span_t result = derived(proof, i);
            proof->fails |= result.lo < bounds.lo || result.hi > bounds.hi;
        }
        proof->fails |= node->op == GRSN_RESET && claim(proof, 1, i).lo < 0;
    }
    return !proof->fails;
}

/* ---- the program ------------------------------------------------------------------------------ */

/* A state's initial value lies in its range, and so does its next value, which is where it was. */
static grsn_status_t check_state(const proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    if (node->args[0] >= proof->header->nodes || node->saved > node->type) {
        return GRSN_ERROR_FORMAT;
    }
    const grsn_node_t *next = proof->nodes + node->args[0];
    const int64_t limit = (int64_t)1 << ((8u << node->saved) - 1u);
    if (next->space != GRSN_IN_STATE || next->at != node->at || next->type != node->type ||
        next->n != node->n || next->last != proof->header->nodes ||
        !(node->flags & GRSN_UNIFORM || in_data(proof, (uint32_t)node->p, bytes_of(node)))) {
        return GRSN_ERROR_FORMAT;
    }
    for (uint32_t i = 0; i < node->n; i++) {
        const grsn_bounds_t range = grsn_bounds(proof->image, node, i);
        const grsn_bounds_t reached = grsn_bounds(proof->image, next, i);
        const int32_t init = node->flags & GRSN_UNIFORM
                                 ? node->p
                                 : grsn_load(proof->image + node->p, node->type, i);
        if (init < range.lo || init > range.hi || reached.lo < range.lo || reached.hi > range.hi ||
            range.lo < -limit || range.hi >= limit) {
            return GRSN_ERROR_PROOF;
        }
    }
    return GRSN_OK;
}

static grsn_status_t check_node(proof_t *proof)
{
    const uint32_t k = proof->index;
    const grsn_header_t *header = proof->header;
    const uint32_t op = proof->node->op;
    const uint32_t expected = k < header->inputs                    ? GRSN_INPUT
                              : k < header->inputs + header->states ? GRSN_STATE
                                                                    : GRSN_CONST;
    if (!is_placed(proof) || (k < header->sources ? op != expected : op <= GRSN_CONST) ||
        !spares_others(proof)) {
        return GRSN_ERROR_FORMAT;
    }
    if (k >= header->sources && !(fits_operands(proof) && fits_operation(proof))) {
        return GRSN_ERROR_FORMAT;
    }
    return is_proven(proof) ? GRSN_OK : GRSN_ERROR_PROOF;
}

/* The sums in the header are those of the nodes. */
static grsn_status_t check_sums(const proof_t *proof)
{
    const grsn_header_t *header = proof->header;
    uint32_t observation_n = 0, saved = 0, action_n = 0;
    for (uint32_t k = 0; k < header->inputs; k++) {
        observation_n += proof->nodes[k].n;
    }
    for (uint32_t k = header->inputs; k < (uint32_t)header->inputs + header->states; k++) {
        saved += proof->nodes[k].n << proof->nodes[k].saved;
    }
    for (uint32_t k = 0; k < header->outputs; k++) {
        const uint32_t index = grsn_outputs(proof->image)[k];
        if (index >= header->nodes || proof->nodes[index].last != header->nodes) {
            return GRSN_ERROR_FORMAT;
        }
        action_n += proof->nodes[index].n;
    }
    return observation_n == header->observation_n && saved == header->saved_size &&
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
    grsn_status_t status = GRSN_OK;
    if (header->nodes == 0 || header->nodes > GRSN_MAX_NODES || given > header->sources ||
        header->sources > header->nodes || header->workspace % 4u != 0 ||
        header->workspace > header->scratch_size) {
        return GRSN_ERROR_FORMAT;
    }
    for (uint32_t k = 0; k < header->nodes && status == GRSN_OK; k++) {
        proof.node = proof.nodes + k;
        proof.index = k;
        status = check_node(&proof);
    }
    for (uint32_t k = header->inputs; k < given && status == GRSN_OK; k++) {
        proof.node = proof.nodes + k;
        status = check_state(&proof);
    }
    return status == GRSN_OK ? check_sums(&proof) : status;
}
