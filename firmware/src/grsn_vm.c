/* grsn_vm.c: the step of an opened image, and what belongs to its state.
 *
 * grsn_open has proven that every access below is in bounds, that no operand is overwritten before
 * its last reader, and that no sum or product leaves int32; so nothing is checked here.
 */
/* For speed (a host) or for few bytes of code (a microcontroller); the integers are the same. */
#ifndef GRSN_VM_FAST
#if defined(__OPTIMIZE_SIZE__)
#define GRSN_VM_FAST 0
#else
#define GRSN_VM_FAST 1
#endif
#endif

#if GRSN_VM_FAST && defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
/* Vectors also at -O2; a copy is a loop, because there need be no C library. */
#pragma GCC optimize("O3", "no-tree-loop-distribute-patterns")
#endif

#if GRSN_VM_FAST
#include "grsn_elementwise.h"
#include "grsn_products.h"
#else
#include "grsn_small.h"
#endif

/* ---- the step ----------------------------------------------------------------------------- */

/* `n` numbers, one after the other, from one storage to another. */
GRSN_SHARED void copy(void *to, uint32_t to_type, const void *from, uint32_t from_type, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        grsn_store(to, to_type, i, grsn_load(from, from_type, i));
    }
}

/* An input, each number in its range. */
static void take(memory_t *memory, const grsn_node_t *node, void *to)
{
    for (uint32_t i = 0; i < node->n; i++) {
        int32_t bounds[2];
        grsn_bounds(memory->base[GRSN_IN_DATA], node, i, bounds);
        grsn_store(to, node->type, i, grsn_clip(*memory->observation++, bounds[0], bounds[1]));
    }
}

/* Computes a value, or the two of a pair; how many. */
static uint32_t compute(memory_t *memory, const grsn_node_t *node, const grsn_node_t *end)
{
    uint8_t *to = place(memory, node);
    if (node->op <= GRSN_CONST) { /* which has no operands */
        if (node->op == GRSN_INPUT) {
            take(memory, node, to);
        }
        return 1;
    }
    const grsn_node_t *first = operand(memory, node, 0), *second = operand(memory, node, 1);
    const uint8_t *x = place(memory, first) + (node->start << first->type);
    if (node->op <= GRSN_DENSE) {
        product(memory, node, first, x, to);
    } else if (node->op == GRSN_ARGMAX) {
        *(int32_t *)(void *)to =
            grsn_argmax_i32((const int32_t *)(const void *)x, (int32_t)first->n);
    } else if (node->op <= GRSN_MOVE) {
        uint32_t n = node->n;
        if (node->op == GRSN_APPEND) {
            n = first->n;
            copy(to + 4u * n, GRSN_INT32, place(memory, second), second->type, second->n);
        }
        copy(to, node->type, x, first->type, n);
    } else {
        return elementwise(memory, node, end);
    }
    return 1;
}

void grsn_step(const grsn_model_t *model, void *state, void *scratch, const int32_t *observation,
               int32_t *action)
{
    uint8_t *image = (uint8_t *)(uintptr_t)model->image; /* not written */
    memory_t memory = {{image, state, scratch, (uint8_t *)action}, grsn_nodes(image), observation};
    const grsn_node_t *node = memory.nodes, *end = node + grsn_header(image)->nodes;
    while (node < end) {
        node += compute(&memory, node, end);
    }
}

/* ---- states ------------------------------------------------------------------------------- */

enum { SAVE, CHECK, COMPARE, BEGIN, RESTORE };

/* What is done with every integer of a state: written to what is saved; or set to its initial value;
 * or what is saved checked against its range, compared, or taken.  Whether none was refused. */
static int visit(const grsn_model_t *model, void *state, uint8_t *saved, int task)
{
    const grsn_node_t *node = grsn_nodes(model->image);
    for (; node->op <= GRSN_STATE; node++) { /* the last node is another one */
        uint8_t *values = (uint8_t *)state + node->at;
        for (uint32_t i = 0; node->op == GRSN_STATE && i < node->n; i++) {
            int32_t value = grsn_load(values, node->type, i), bounds[2] = {value, value};
            uint32_t bits = 0;
            for (uint32_t bytes = task == BEGIN ? 0 : 1u << node->saved; bytes != 0; bytes--) {
                if (task == SAVE) {
                    *saved = (uint8_t)value;
                    value >>= 8;
                }
                bits = bits >> 8 | (uint32_t)*saved++ << 24;
            }
            value = (int32_t)bits >> (32u - (8u << node->saved));
            if (task >= BEGIN) {
                if (task == BEGIN) {
                    value = grsn_pick(model->image, &node->p, node->flags & GRSN_INITIALS, i);
                }
                grsn_store(values, node->type, i, value);
                continue;
            }
            if (task == CHECK) {
                grsn_bounds(model->image, node, i, bounds);
            }
            if (value < bounds[0] || value > bounds[1]) {
                return 0;
            }
        }
    }
    return 1;
}

void grsn_reset(const grsn_model_t *model, void *state)
{
    visit(model, state, NULL, BEGIN);
}

void grsn_state_get(const grsn_model_t *model, const void *state, uint8_t *saved)
{
    visit(model, (void *)(uintptr_t)state, saved, SAVE);
}

grsn_status_t grsn_state_set(const grsn_model_t *model, void *state, const uint8_t *saved,
                             size_t size)
{
    uint8_t *from = (uint8_t *)(uintptr_t)saved; /* not written by these tasks */
    if (size != model->saved_size || !visit(model, state, from, CHECK)) {
        return GRSN_ERROR_STATE;
    }
    visit(model, state, from, RESTORE);
    return GRSN_OK;
}

/* ---- self-test ---------------------------------------------------------------------------- */

int32_t grsn_selftest(const grsn_model_t *model, void *state, void *scratch)
{
    const grsn_i32_t *next = grsn_section(model, GRSN_SECTION_GOLDEN, NULL);
    const uint32_t steps = model->golden_steps;
    int32_t *action = (int32_t *)scratch + (model->scratch_size / 4u - model->action_n);
    if (steps == 0) {
        return -1;
    }
    grsn_reset(model, state);
    for (uint32_t t = 0; t < steps; t++) {
        grsn_step(model, state, scratch, (const int32_t *)next, action);
        next += model->observation_n;
        for (uint32_t i = 0; i < model->action_n; i++) {
            if (action[i] != *next++) {
                return (int32_t)t;
            }
        }
    }
    return visit(model, state, (uint8_t *)(uintptr_t)next, COMPARE) ? -1 : (int32_t)steps;
}
