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

#include "grsn_elementwise.h"
#include "grsn_products.h"

static void copy(void *to, uint32_t to_type, const void *from, uint32_t from_type, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        grsn_store(to, to_type, i, grsn_load(from, from_type, i));
    }
}

static const void *element(const void *values, uint32_t type, uint32_t i)
{
    return (const uint8_t *)values + ((size_t)i << type);
}

static void product(const memory_t *memory, const grsn_node_t *node, const grsn_node_t *first,
                    const void *x, void *to)
{
    const uint8_t *data = memory->base[GRSN_IN_DATA];
    const product_t product = {node, (const int8_t *)(data + node->p), data + node->q, x,
                               first->type, (int32_t)first->n,
                               (uint16_t *)(void *)memory->base[GRSN_IN_SCRATCH]};
    multiply(&product, to);
}

static void append(const grsn_node_t *node, const grsn_node_t *first, const grsn_node_t *second,
                   void *to, const void *x, const void *y)
{
    uint8_t *behind = (uint8_t *)to + ((size_t)first->n << node->type);
    if (to != x) {
        copy(to, node->type, x, first->type, first->n);
    }
    copy(behind, node->type, y, second->type, second->n);
}

/* Computes a value, or the two of a pair; how many. */
static uint32_t compute(const memory_t *memory, const grsn_node_t *node, const grsn_node_t *end)
{
    const grsn_node_t *first = memory->nodes + node->args[0];
    const void *x = place(memory, first), *part = element(x, first->type, node->start);
    void *to = place(memory, node);
    switch (node->op) {
    case GRSN_EVENT:
    case GRSN_GATE:
    case GRSN_DENSE:
        product(memory, node, first, x, to);
        break;
    case GRSN_SCALE:
    case GRSN_SHIFT:
    case GRSN_LUT:
        unary(memory, node, first->type, part, to);
        break;
    case GRSN_MOVE:
        copy(to, node->type, part, first->type, node->n);
        break;
    case GRSN_FILL:
        for (uint32_t i = 0; i < node->n; i++) {
            ((int32_t *)to)[i] = *(const int32_t *)x;
        }
        break;
    case GRSN_APPEND:
        append(node, first, memory->nodes + node->args[1], to, x, operand(memory, node, 1));
        break;
    case GRSN_ARGMAX:
        *(int32_t *)to = grsn_argmax_i32(x, (int32_t)first->n);
        break;
    case GRSN_GE:
        if (GRSN_VM_FAST && fires(memory, node, end)) {
            fire(memory, node);
            return 2;
        }
        elementwise(memory, node, x, to);
        break;
    default:
        elementwise(memory, node, x, to);
        break;
    }
    return 1;
}

/* ---- the step ----------------------------------------------------------------------------- */

/* Inputs, each in its range. */
static void take(const memory_t *memory, uint32_t inputs, const int32_t *observation)
{
    const grsn_node_t *node = memory->nodes;
    const uint8_t *data = memory->base[GRSN_IN_DATA];
    for (; inputs != 0; inputs--, node++) {
        const int each = node->flags & GRSN_PER_ELEMENT;
        const grsn_i32_t *lo = each ? (const grsn_i32_t *)(data + node->lo) : &node->lo;
        const grsn_i32_t *hi = each ? (const grsn_i32_t *)(data + node->hi) : &node->hi;
        void *to = place(memory, node);
        for (uint32_t i = 0; i < node->n; i++, lo += each, hi += each) {
            const int32_t value = grsn_clip(*observation++, *lo, *hi);
            if (node->type == GRSN_INT8) {
                ((int8_t *)to)[i] = (int8_t)value;
            } else {
                ((int32_t *)to)[i] = value;
            }
        }
    }
}

void grsn_step(const grsn_model_t *model, void *state, void *scratch, const int32_t *observation,
               int32_t *action)
{
    const grsn_header_t *header = grsn_header(model->image);
    const grsn_u16_t *outputs = grsn_outputs(model->image);
    const memory_t memory = memory_of(model, state, scratch);
    take(&memory, header->inputs, observation);
    const grsn_node_t *end = memory.nodes + header->nodes;
    for (const grsn_node_t *node = memory.nodes + header->sources; node < end;) {
        node += compute(&memory, node, end);
    }
    for (uint32_t k = 0; k < header->outputs; k++) {
        const grsn_node_t *node = memory.nodes + outputs[k];
        copy(action, GRSN_INT32, place(&memory, node), node->type, node->n);
        action += node->n;
    }
}

/* ---- states ------------------------------------------------------------------------------- */

static int32_t unsaved(const uint8_t *saved, uint32_t type)
{
    uint32_t value = 0;
    for (uint32_t byte = 0; byte < 1u << type; byte++) {
        value |= (uint32_t)saved[byte] << 8u * byte;
    }
    return type == GRSN_INT8 ? (int8_t)value : type == GRSN_INT16 ? (int16_t)value : (int32_t)value;
}

enum { BEGIN, SAVE, CHECK, RESTORE, COMPARE };

/* What is done with every integer of a state: set to its initial value; written to what is saved;
 * or what is saved checked against its range, taken, or compared.  Whether none was refused. */
static int visit(const grsn_model_t *model, void *state, uint8_t *saved, int task)
{
    const grsn_header_t *header = grsn_header(model->image);
    const grsn_node_t *node = grsn_nodes(model->image) + header->inputs;
    for (const grsn_node_t *end = node + header->states; node < end; node++) {
        uint8_t *values = (uint8_t *)state + node->at;
        for (uint32_t i = 0; i < node->n; i++) {
            if (task == BEGIN) {
                grsn_store(values, node->type, i, grsn_initial(model->image, node, i));
                continue;
            }
            if (task == SAVE) {
                const uint32_t value = (uint32_t)grsn_load(values, node->type, i);
                for (uint32_t byte = 0; byte < 1u << node->saved; byte++) {
                    *saved++ = (uint8_t)(value >> 8u * byte);
                }
                continue;
            }
            const int32_t value = unsaved(saved, node->saved);
            saved += 1u << node->saved;
            if (task == RESTORE) {
                grsn_store(values, node->type, i, value);
                continue;
            }
            const grsn_bounds_t range = grsn_bounds(model->image, node, i);
            if (task == CHECK ? value < range.lo || value > range.hi
                              : value != grsn_load(values, node->type, i)) {
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
    const uint32_t steps = model->golden_steps;
    const grsn_i32_t *codes = grsn_section(model, GRSN_SECTION_GOLDEN, NULL);
    if (codes == NULL) {
        return -1;
    }
    const grsn_i32_t *expected = codes + (size_t)steps * model->observation_n;
    int32_t *action = scratch; /* the workspace, which is free when outputs are written */
    grsn_reset(model, state);
    for (uint32_t t = 0; t < steps; t++) {
        grsn_step(model, state, scratch, (const int32_t *)codes, action);
        for (uint32_t i = 0; i < model->action_n; i++) {
            if (action[i] != *expected++) {
                return (int32_t)t;
            }
        }
        codes += model->observation_n;
    }
    return visit(model, state, (uint8_t *)(uintptr_t)expected, COMPARE) ? -1 : (int32_t)steps;
}
