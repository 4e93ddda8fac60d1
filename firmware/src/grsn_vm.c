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

#include "grsn_format.h"
#include "grsn_primitives.h"

/* Element-wise loops may write an operand in place, at the index that they read. */
#if !GRSN_VM_FAST
#define GRSN_ELEMENTWISE
#elif defined(__clang__)
#define GRSN_ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__) && UINTPTR_MAX > 0xffffffffu
#define GRSN_ELEMENTWISE _Pragma("GCC ivdep")
#elif defined(__GNUC__)
#define GRSN_ELEMENTWISE _Pragma("GCC unroll 4")
#else
#define GRSN_ELEMENTWISE
#endif

#define EACH(target, value)                                                                       \
    do {                                                                                          \
        GRSN_ELEMENTWISE                                                                          \
        for (int32_t i = 0; i < n; i++) {                                                         \
            (target)[i] = (value);                                                                \
        }                                                                                         \
    } while (0)

/* Clipped or not, in two loops rather than one with a test; to 16 bits, which is one instruction of
 * many processors, in a third. */
#if GRSN_VM_FAST && defined(__ARM_FEATURE_SAT)
#define EACH_CLIPPED(target, value)                                                               \
    do {                                                                                          \
        if (!(node->flags & GRSN_CLIPPED)) {                                                      \
            EACH(target, value);                                                                  \
        } else if (lo == INT16_MIN && hi == INT16_MAX) {                                          \
            EACH(target, grsn_clip((value), INT16_MIN, INT16_MAX));                               \
        } else if (lo == 0 && hi == INT16_MAX) {                                                  \
            EACH(target, grsn_clip((value), 0, INT16_MAX));                                       \
        } else {                                                                                  \
            EACH(target, grsn_clip((value), lo, hi));                                             \
        }                                                                                         \
    } while (0)
#else
#define EACH_CLIPPED(target, value)                                                               \
    do {                                                                                          \
        if (node->flags & GRSN_CLIPPED) {                                                         \
            EACH(target, grsn_clip((value), lo, hi));                                             \
        } else {                                                                                  \
            EACH(target, value);                                                                  \
        }                                                                                         \
    } while (0)
#endif

static void copy(void *to, uint32_t to_type, const void *from, uint32_t from_type, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        grsn_store(to, to_type, i, grsn_load(from, from_type, i));
    }
}

#include "grsn_products.h"

/* The three memories, in the order of their numbers; the image is not written. */
typedef struct memory {
    uint8_t *base[3];
    const grsn_node_t *nodes;
} memory_t;

static memory_t memory_of(const grsn_model_t *model, void *state, void *scratch)
{
    const memory_t memory = {{(uint8_t *)(uintptr_t)model->image, state, scratch},
                             grsn_nodes(model->image)};
    return memory;
}

static void *place(const memory_t *memory, const grsn_node_t *node)
{
    return memory->base[node->space] + node->at;
}

/* The memory of operand k. */
static void *operand(const memory_t *memory, const grsn_node_t *node, uint32_t k)
{
    return place(memory, memory->nodes + node->args[k]);
}

static const void *element(const void *values, uint32_t type, uint32_t i)
{
    return (const uint8_t *)values + ((size_t)i << type);
}

/* ---- operations of one operand, from node->start on ------------------------------------------ */

/* Entries of a table: in two loops, of which vectors take the first, or in one. */
#if GRSN_VM_FAST && UINTPTR_MAX > 0xffffffffu
#define EACH_ENTRY(y, table, index)                                                               \
    do {                                                                                          \
        EACH(y, index);                                                                           \
        EACH(y, (table)[y[i]]);                                                                   \
    } while (0)
#else
#define EACH_ENTRY(y, table, index) EACH(y, (table)[index])
#endif

#define DEFINE_UNARY(type, suffix)                                                                \
    static void unary_##suffix(const grsn_node_t *node, const type *x, const int16_t *table,      \
                               int32_t *y)                                                        \
    {                                                                                             \
        const int32_t n = (int32_t)node->n, p = node->p, q = node->q;                             \
        const int32_t lo = node->clip_lo, hi = node->clip_hi;                                     \
        const unsigned s = node->shift;                                                           \
        if (node->op == GRSN_SCALE) {                                                             \
            EACH_CLIPPED(y, x[i] * p + q);                                                        \
        } else if (node->op == GRSN_SHIFT) {                                                      \
            EACH_CLIPPED(y, grsn_shr(x[i], s));                                                   \
        } else { /* a table, from its middle; nothing is added where s is 0 */                    \
            const int32_t half = (int32_t)((1u << s) >> 1);                                       \
            table += 128;                                                                         \
            if (node->flags & GRSN_CLIPPED) {                                                     \
                EACH_ENTRY(y, table, grsn_clip((x[i] + half) >> s, lo, hi));                      \
            } else {                                                                              \
                EACH_ENTRY(y, table, (x[i] + half) >> s);                                         \
            }                                                                                     \
        }                                                                                         \
    }

DEFINE_UNARY(int16_t, i16)
DEFINE_UNARY(int32_t, i32)

static void unary(const memory_t *memory, const grsn_node_t *node, uint32_t type, const void *x,
                  int32_t *to)
{
    const int16_t *table = (const int16_t *)(void *)(memory->base[GRSN_IN_DATA] + node->p);
    if (type == GRSN_INT16) {
        unary_i16(node, x, table, to);
    } else {
        unary_i32(node, x, table, to);
    }
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

/* ---- operations on vectors of the node's own length ------------------------------------------- */

static void elementwise(const memory_t *memory, const grsn_node_t *node, const int32_t *x,
                        int32_t *to)
{
    const int32_t *y = operand(memory, node, 1);
    const int32_t *z, *w;
    const int32_t n = (int32_t)node->n, lo = node->clip_lo, hi = node->clip_hi;
    const unsigned s = node->shift;
    int8_t *spikes = (int8_t *)to;
    switch (node->op) {
    case GRSN_ADD:
        EACH_CLIPPED(to, x[i] + y[i]);
        break;
    case GRSN_ADD_SHR:
        EACH_CLIPPED(to, x[i] + grsn_shr(y[i], s));
        break;
    case GRSN_SUB:
        EACH(to, x[i] - y[i]);
        break;
    case GRSN_MUL:
        EACH(to, x[i] * y[i]);
        break;
    case GRSN_MUL_SHR:
        EACH_CLIPPED(to, grsn_shr(x[i] * y[i], s));
        break;
    case GRSN_MAC_SHR:
        z = operand(memory, node, 2);
        w = operand(memory, node, 3);
        EACH(to, grsn_shr(x[i] * y[i] + z[i] * w[i], s));
        break;
    case GRSN_BLEND:
        z = operand(memory, node, 2);
        EACH(to, y[i] + grsn_shr(z[i] * (x[i] - y[i]), s));
        break;
    case GRSN_GE:
        EACH(spikes, (int8_t)grsn_ge(x[i], y[i]));
        break;
    default: /* GRSN_RESET */
        EACH(to, x[i] - (grsn_ge(x[i], y[i]) ? y[i] : 0));
        break;
    }
}

/* A comparison and the reset of what it compared, as they come in pairs, in one loop; the spikes are
 * still needed, so that the reset is not written over them. */
static int fires(const memory_t *memory, const grsn_node_t *node, const grsn_node_t *end)
{
    const grsn_node_t *next = node + 1;
    return next < end && next->op == GRSN_RESET && next->n == node->n &&
           next->args[0] == node->args[0] && next->args[1] == node->args[1] &&
           node->last > (uint32_t)(next - memory->nodes);
}

static void fire(const memory_t *memory, const grsn_node_t *node)
{
    const int32_t *x = operand(memory, node, 0), *y = operand(memory, node, 1);
    const int32_t n = (int32_t)node->n;
    int8_t *spikes = place(memory, node);
    int32_t *to = place(memory, node + 1);
    GRSN_ELEMENTWISE
    for (int32_t i = 0; i < n; i++) {
        const int32_t spike = grsn_ge(x[i], y[i]);
        to[i] = x[i] - grsn_gate(y[i], spike);
        spikes[i] = (int8_t)spike;
    }
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
        if (fires(memory, node, end)) {
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

void grsn_reset(const grsn_model_t *model, void *state)
{
    const grsn_header_t *header = grsn_header(model->image);
    const grsn_node_t *node = grsn_nodes(model->image) + header->inputs;
    for (uint32_t k = 0; k < header->states; k++, node++) {
        for (uint32_t i = 0; i < node->n; i++) {
            grsn_store((uint8_t *)state + node->at, node->type, i,
                       grsn_initial(model->image, node, i));
        }
    }
}

/* What saved states are written, compared and checked with: the integers one after the other. */
typedef struct cursor {
    const grsn_node_t *node;
    uint32_t left; /* states, `node` included */
    uint32_t i;
} cursor_t;

static cursor_t first_integer(const grsn_model_t *model)
{
    const grsn_header_t *header = grsn_header(model->image);
    const cursor_t cursor = {grsn_nodes(model->image) + header->inputs, header->states, 0};
    return cursor;
}

static int has_integer(const cursor_t *cursor)
{
    return cursor->left != 0;
}

static void advance(cursor_t *cursor)
{
    if (++cursor->i == cursor->node->n) {
        cursor->i = 0;
        cursor->node++;
        cursor->left--;
    }
}

static int32_t unsaved(const uint8_t **saved, uint32_t type)
{
    uint32_t value = 0;
    const uint32_t bits = 8u << type;
    for (uint32_t bit = 0; bit < bits; bit += 8) {
        value |= (uint32_t)*(*saved)++ << bit;
    }
    return type == GRSN_INT8 ? (int8_t)value : type == GRSN_INT16 ? (int16_t)value : (int32_t)value;
}

void grsn_state_get(const grsn_model_t *model, const void *state, uint8_t *saved)
{
    for (cursor_t c = first_integer(model); has_integer(&c); advance(&c)) {
        uint32_t value =
            (uint32_t)grsn_load((const uint8_t *)state + c.node->at, c.node->type, c.i);
        for (uint32_t byte = 0; byte < 1u << c.node->saved; byte++, value >>= 8) {
            *saved++ = (uint8_t)value;
        }
    }
}

grsn_status_t grsn_state_set(const grsn_model_t *model, void *state, const uint8_t *saved,
                             size_t size)
{
    if (size != model->saved_size) {
        return GRSN_ERROR_STATE;
    }
    const uint8_t *next = saved;
    for (cursor_t c = first_integer(model); has_integer(&c); advance(&c)) {
        const grsn_bounds_t range = grsn_bounds(model->image, c.node, c.i);
        const int32_t value = unsaved(&next, c.node->saved);
        if (value < range.lo || value > range.hi) {
            return GRSN_ERROR_STATE;
        }
    }
    for (cursor_t c = first_integer(model); has_integer(&c); advance(&c)) {
        grsn_store((uint8_t *)state + c.node->at, c.node->type, c.i,
                   unsaved(&saved, c.node->saved));
    }
    return GRSN_OK;
}

/* ---- self-test ---------------------------------------------------------------------------- */

static int same_state(const grsn_model_t *model, const void *state, const uint8_t *saved)
{
    for (cursor_t c = first_integer(model); has_integer(&c); advance(&c)) {
        if (grsn_load((const uint8_t *)state + c.node->at, c.node->type, c.i) !=
            unsaved(&saved, c.node->saved)) {
            return 0;
        }
    }
    return 1;
}

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
    return same_state(model, state, (const uint8_t *)expected) ? -1 : (int32_t)steps;
}
