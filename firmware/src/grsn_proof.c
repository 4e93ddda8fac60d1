/* grsn_proof.c: why a step of an opened image cannot fail.
 *
 * An image claims an interval for every value, and says where each value lies.  Node by node it is
 * checked here that the claim follows from the claims of the operands, with every partial result
 * inside int32; that the operands still lie where they were written; and that every access is in
 * bounds.  A next value's claim lies inside its state's: so all of it is an induction over steps.
 * It needs no memory, in exchange for looking at nodes again and again.
 */
#include "grsn_intervals.h"

/* ---- memory ------------------------------------------------------------------------------------- */

static uint32_t bytes_of(const grsn_node_t *node)
{
    return node->n << node->type;
}

/* Whether `size` bytes at a multiple of 4 lie in [begin, end). */
static GRSN_OUT_OF_LINE int lies_in(uint32_t at, uint32_t size, uint32_t begin, uint32_t end)
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
static GRSN_OUT_OF_LINE int is_placed(const proof_t *proof)
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
static GRSN_OUT_OF_LINE int fits_operands(const proof_t *proof)
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
static GRSN_OUT_OF_LINE int fits_operation(const proof_t *proof)
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
    const int32_t limit = greatest_of(node->type);
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
    const int32_t limit = greatest_of(node->saved);
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
