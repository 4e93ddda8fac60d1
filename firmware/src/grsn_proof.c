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

/* Whether `size` bytes at a multiple of 4 lie in a space, of which more is then in use. */
GRSN_SHARED int lies_in(proof_t *proof, uint32_t space, uint32_t at, uint32_t size)
{
    const grsn_header_t *header = grsn_header(proof->image);
    const uint32_t end = space == GRSN_IN_DATA ? header->data_end : GRSN_MAX_MEMORY;
    if (at % 4u != 0 || at < proof->begin[space] || at > end || size > end - at) {
        return 0;
    }
    if (proof->top[space] < at + size) {
        proof->top[space] = at + size;
    }
    return 1;
}

static int in_data(proof_t *proof, int32_t at, uint32_t size)
{
    return lies_in(proof, GRSN_IN_DATA, (uint32_t)at, size);
}

/* Whether the node's memory is where values of its kind may lie: inputs in scratch memory, states in
 * the state, constants, which are their own claims, in the data.  An action is written without a
 * gap. */
static int is_placed(proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    if (node->op <= GRSN_CONST ? node->space + node->op != GRSN_CONST
                               : node->space == GRSN_IN_DATA) {
        return 0;
    }
    if (node->op == GRSN_CONST &&
        (node->lo != (int32_t)node->at || !(node->flags & GRSN_PER_ELEMENT))) {
        return 0;
    }
    if (node->space == GRSN_IN_ACTION &&
        (node->type != GRSN_INT32 || node->at != proof->top[GRSN_IN_ACTION])) {
        return 0;
    }
    return lies_in(proof, node->space, node->at, bytes_of(node));
}

/* Whether the node leaves alone every value that is still to be read: states are all there before
 * the step.  Element by element it may overwrite an operand, each after it was read. */
static int spares_others(const proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    for (const grsn_node_t *old = proof->nodes; old < node; old++) {
        if (old->space == node->space && node->op != GRSN_CONST &&
            (old->last >= proof->index || node->op == GRSN_STATE) &&
            old->at < node->at + bytes_of(node) && node->at < old->at + bytes_of(old) &&
            !(is_elementwise(node) && node->start == 0 && old->last == proof->index &&
              old->at == node->at && old->type == node->type)) {
            return 0;
        }
    }
    return 1;
}

/* ---- one node ----------------------------------------------------------------------------------- */

/* Operands, all four: computed before, kept until now, of the right storage and length. */
static int fits_operands(const proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    for (uint32_t k = 0; k < 4; k++) {
        const uint32_t index = node->args[k];
        const grsn_node_t *operand = proof->nodes + index;
        if (index >= proof->index || operand->last < proof->index ||
            !(forms[node->op] >> (4u + operand->type) & 1u) ||
            (is_elementwise(node) &&
             (node->start > operand->n || node->n > operand->n - node->start))) {
            return 0;
        }
    }
    return is_elementwise(node) || node->start == 0;
}

/* Constants and lengths that only this operation has. */
static int fits_operation(proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    const grsn_node_t *x = proof->nodes + node->args[0], *y = proof->nodes + node->args[1];
    if (node->op <= GRSN_DENSE) {
        const uint32_t filled = (x->n + 3u) & ~3u;
        const uint64_t weights = (uint64_t)node->n * (node->op == GRSN_DENSE ? filled : x->n);
        return weights <= GRSN_MAX_WEIGHTS && in_data(proof, node->p, (uint32_t)weights) &&
               in_data(proof, node->q, bytes_of(node)) &&
               (node->op == GRSN_DENSE || filled * 2u <= proof->begin[GRSN_IN_SCRATCH]);
    }
    if (node->op == GRSN_APPEND) {
        return x->n + y->n == node->n;
    }
    return node->op == GRSN_ARGMAX ? node->n == 1
                                   : node->op != GRSN_LUT || in_data(proof, node->p, 512);
}

static int fits(proof_t *proof)
{
    const grsn_node_t *node = proof->node;
    if (node->op >= GRSN_OPS || node->type > GRSN_INT32 || node->saved > GRSN_INT32 ||
        node->space >= GRSN_SPACES || node->shift > 30 || node->n - 1u >= GRSN_MAX_ELEMENTS ||
        !(forms[node->op] >> node->type & 1u) ||
        (node->type == GRSN_INT16 && node->n % 4u != 0) || !is_placed(proof) || !spares_others(proof) ||
        (node->flags & GRSN_PER_ELEMENT && node->op != GRSN_CONST &&
         !in_data(proof, node->lo, node->n * 8u))) {
        return 0;
    }
    if (node->op > GRSN_CONST) {
        return fits_operands(proof) && fits_operation(proof);
    }
    return proof->index == 0 || node[-1].op <= node->op;
}

/* A state's next value lies where the state does, and is kept. */
static int fits_next(proof_t *proof)
{
    const grsn_node_t *node = proof->node, *next = proof->nodes + node->args[0];
    const uint32_t nodes = grsn_header(proof->image)->nodes;
    return node->args[0] < nodes && next->space == GRSN_IN_STATE && next->at == node->at &&
           next->type == node->type && next->n == node->n && next->last >= nodes &&
           (!(node->flags & GRSN_INITIALS) || in_data(proof, node->p, node->n * 4u));
}

/* The claim of every element holds what it is computed from; that of a state, after all others, its
 * initial and its next value. */
static void check_claims(proof_t *proof, uint32_t type, const grsn_node_t *next)
{
    const grsn_node_t *node = proof->node;
    for (uint32_t i = 0; i < node->n && !proof->fails; i++) {
        int32_t claimed[2], result[2];
        claim(proof, node, i, claimed);
        result[LO] = result[HI] = claimed[LO];
        if (next != NULL) {
            const int32_t first =
                grsn_pick(proof->image, &node->p, node->flags & GRSN_INITIALS, i);
            claim(proof, next, i, result);
            widen(result, first, first);
        } else if (node->op > GRSN_CONST) {
            derive(proof, i, result);
        }
        must_fit(proof, claimed, type);
        must_lie(proof, result, claimed[LO], claimed[HI]);
    }
}

/* ---- all of them -------------------------------------------------------------------------------- */

grsn_status_t grsn_prove(grsn_model_t *model)
{
    const uint8_t *image = model->image;
    const grsn_header_t *header = grsn_header(image);
    const grsn_node_t *nodes = grsn_nodes(image), *end = nodes + header->nodes;
    const uint32_t begin = (uint32_t)((const uint8_t *)end - image);
    proof_t proof = {image, nodes, nodes, 0, {begin, 0, header->workspace, 0},
                     {begin, 0, header->workspace, 0}, 0};
    for (; proof.node < end; proof.node++, proof.index++) {
        if (!fits(&proof)) {
            return GRSN_ERROR_FORMAT;
        }
        check_claims(&proof, proof.node->type, NULL);
    }
    model->action_n = proof.top[GRSN_IN_ACTION] / 4u;
    if (model->action_n == 0) {
        return GRSN_ERROR_FORMAT;
    }
    model->state_size = (proof.top[GRSN_IN_STATE] + 3u) & ~3u;
    model->scratch_size = ((proof.top[GRSN_IN_SCRATCH] + 3u) & ~3u) + proof.top[GRSN_IN_ACTION];
    for (proof.node = nodes; proof.node->op <= GRSN_STATE; proof.node++) {
        if (proof.node->op == GRSN_INPUT) {
            model->observation_n += proof.node->n;
            continue;
        }
        if (!fits_next(&proof)) {
            return GRSN_ERROR_FORMAT;
        }
        model->saved_size += proof.node->n << proof.node->saved;
        check_claims(&proof, proof.node->saved, nodes + proof.node->args[0]);
    }
    return proof.fails ? GRSN_ERROR_PROOF : GRSN_OK;
}
