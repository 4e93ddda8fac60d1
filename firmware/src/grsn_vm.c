/* grsn_vm.c: the step of an opened image, and what belongs to its state.
 *
 * grsn_open has proven that every access below is in bounds, that no operand is overwritten before
 * its last reader, and that no sum or product leaves int32; so nothing is checked here.
 */
#include "grsn_format.h"
#include "grsn_kernels.h"
#include "grsn_primitives.h"

/* Element-wise loops may write an operand in place, at the index that they read. */
#if defined(__clang__)
#define GRSN_ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define GRSN_ELEMENTWISE _Pragma("GCC ivdep")
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

/* Clipped or not, in two loops rather than one with a test. */
#define EACH_CLIPPED(target, value)                                                               \
    do {                                                                                          \
        if (node->flags & GRSN_CLIPPED) {                                                         \
            EACH(target, grsn_clip((value), lo, hi));                                             \
        } else {                                                                                  \
            EACH(target, value);                                                                  \
        }                                                                                         \
    } while (0)

/* The three memories; the image is not written. */
typedef struct memory {
    const grsn_node_t *nodes;
    uint8_t *base[3];
} memory_t;

static memory_t memory_of(const grsn_model_t *model, void *state, void *scratch)
{
    const memory_t memory = {grsn_nodes(model->image),
                             {(uint8_t *)(uintptr_t)model->image, state, scratch}};
    return memory;
}

static void *place(const memory_t *memory, uint32_t index)
{
    const grsn_node_t *node = memory->nodes + index;
    return memory->base[node->space] + node->at;
}

static void copy(void *to, uint32_t to_type, const void *from, uint32_t from_type, uint32_t start,
                 uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        grsn_store(to, to_type, i, grsn_load(from, from_type, start + i));
    }
}

/* ---- matrix-vector products --------------------------------------------------------------- */

static void product(const memory_t *memory, const grsn_node_t *node, const grsn_node_t *operand,
                    void *acc, const void *x)
{
    const int8_t *weights = (const int8_t *)(memory->base[GRSN_IN_DATA] + node->p);
    const int32_t rows = (int32_t)node->n, n = (int32_t)operand->n;
    copy(acc, node->type, memory->base[GRSN_IN_DATA] + node->q, node->type, 0, node->n);
    if (node->op == GRSN_EVENT) {
        uint16_t *active = (uint16_t *)memory->base[GRSN_IN_SCRATCH];
        const int32_t count = grsn_active(x, n, active);
        if (node->type == GRSN_INT16) {
            grsn_add_columns_i16(acc, weights, rows, active, count);
        } else {
            grsn_add_columns_i32(acc, weights, rows, active, count);
        }
    } else if (node->op == GRSN_GATE) {
        if (node->type == GRSN_INT16) {
            grsn_gate_rows_i16(acc, weights, rows, x, n);
        } else {
            grsn_gate_rows_i32(acc, weights, rows, x, n);
        }
    } else if (node->op == GRSN_COLUMNS) {
        if (operand->type == GRSN_INT8) {
            grsn_by_columns_i8(acc, weights, rows, x, n);
        } else if (operand->type == GRSN_INT16) {
            grsn_by_columns_i16(acc, weights, rows, x, n);
        } else {
            grsn_by_columns_i32(acc, weights, rows, x, n);
        }
    } else if (operand->type == GRSN_INT8) {
        grsn_by_rows_i8(acc, weights, rows, x, n);
    } else if (operand->type == GRSN_INT16) {
        grsn_by_rows_i16(acc, weights, rows, x, n);
    } else {
        grsn_by_rows_i32(acc, weights, rows, x, n);
    }
}

static int32_t argmax(const void *x, uint32_t type, int32_t n)
{
    if (type == GRSN_INT8) {
        return grsn_argmax_i8(x, n);
    }
    if (type == GRSN_INT16) {
        return grsn_argmax_i16(x, n);
    }
    return grsn_argmax_i32(x, n);
}

/* ---- operations --------------------------------------------------------------------------- */

static int32_t index_of(int32_t x, const grsn_node_t *node)
{
    return (node->flags & GRSN_CLIPPED ? grsn_clip(x, node->clip_lo, node->clip_hi) : x) + 128;
}

static void look_up(const grsn_node_t *node, const int16_t *table, const void *x, uint32_t type,
                    int32_t *y)
{
    for (uint32_t i = 0; i < node->n; i++) {
        int32_t value = grsn_load(x, type, node->start + i);
        if (node->shift != 0) {
            value = grsn_shr(value, node->shift);
        }
        y[i] = table[index_of(value, node)];
    }
}

static void scale(const grsn_node_t *node, const void *x, uint32_t type, int32_t *y)
{
    const int32_t n = (int32_t)node->n, p = node->p, q = node->q;
    const int32_t lo = node->clip_lo, hi = node->clip_hi;
    if (type == GRSN_INT16) {
        const int16_t *from = (const int16_t *)x + node->start;
        EACH_CLIPPED(y, from[i] * p + q);
    } else {
        const int32_t *from = (const int32_t *)x + node->start;
        EACH_CLIPPED(y, from[i] * p + q);
    }
}

static void shift(const grsn_node_t *node, const void *x, uint32_t type, int32_t *y)
{
    const int32_t n = (int32_t)node->n, lo = node->clip_lo, hi = node->clip_hi;
    const unsigned s = node->shift;
    if (type == GRSN_INT16) {
        const int16_t *from = (const int16_t *)x + node->start;
        EACH_CLIPPED(y, grsn_shr(from[i], s));
    } else {
        const int32_t *from = (const int32_t *)x + node->start;
        EACH_CLIPPED(y, grsn_shr(from[i], s));
    }
}

static void append(const grsn_node_t *node, const grsn_node_t *first, const grsn_node_t *second,
                   uint8_t *to, const void *x, const void *y)
{
    if (to != x) {
        copy(to, node->type, x, first->type, 0, first->n);
    }
    copy(to + ((size_t)first->n << node->type), node->type, y, second->type, 0, second->n);
}

/* Operations on int32 vectors of the node's own length. */
static void elementwise(const memory_t *memory, const grsn_node_t *node, void *result)
{
    const int32_t *x = place(memory, node->args[0]), *y = place(memory, node->args[1]);
    const int32_t *z = place(memory, node->args[2]), *w = place(memory, node->args[3]);
    const int32_t n = (int32_t)node->n, lo = node->clip_lo, hi = node->clip_hi;
    const unsigned s = node->shift;
    int32_t *to = result;
    int8_t *spikes = result;
    switch (node->op) {
    case GRSN_ADD:
        EACH_CLIPPED(to, x[i] + y[i]);
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
        EACH(to, grsn_shr(x[i] * y[i] + z[i] * w[i], s));
        break;
    case GRSN_BLEND:
        EACH(to, y[i] + grsn_shr(z[i] * (x[i] - y[i]), s));
        break;
    case GRSN_GE:
        if (node->type == GRSN_INT8) {
            EACH(spikes, (int8_t)grsn_ge(x[i], y[i]));
        } else {
            EACH(to, grsn_ge(x[i], y[i]));
        }
        break;
    default: /* GRSN_RESET */
        EACH(to, x[i] - grsn_gate(y[i], grsn_ge(x[i], y[i])));
        break;
    }
}

static void compute(const memory_t *memory, const grsn_node_t *node)
{
    const grsn_node_t *first = memory->nodes + node->args[0];
    const void *x = place(memory, node->args[0]);
    void *y = memory->base[node->space] + node->at;
    switch (node->op) {
    case GRSN_EVENT:
    case GRSN_GATE:
    case GRSN_COLUMNS:
    case GRSN_ROWS:
        product(memory, node, first, y, x);
        break;
    case GRSN_MOVE:
        copy(y, node->type, x, first->type, node->start, node->n);
        break;
    case GRSN_FILL: {
        const int32_t n = (int32_t)node->n, value = grsn_load(x, first->type, 0);
        int32_t *to = y;
        EACH(to, value);
        break;
    }
    case GRSN_APPEND:
        append(node, first, memory->nodes + node->args[1], y, x, place(memory, node->args[1]));
        break;
    case GRSN_ARGMAX:
        grsn_store(y, node->type, 0, argmax(x, first->type, (int32_t)first->n));
        break;
    case GRSN_SCALE:
        scale(node, x, first->type, y);
        break;
    case GRSN_SHIFT:
        shift(node, x, first->type, y);
        break;
    case GRSN_LUT:
        look_up(node, (const int16_t *)(memory->base[GRSN_IN_DATA] + node->p), x, first->type, y);
        break;
    default:
        elementwise(memory, node, y);
        break;
    }
}

/* ---- the step ----------------------------------------------------------------------------- */

static void take(const memory_t *memory, uint32_t inputs, const int32_t *observation)
{
    const uint8_t *image = memory->base[GRSN_IN_DATA];
    for (uint32_t k = 0; k < inputs; k++) {
        const grsn_node_t *node = memory->nodes + k;
        for (uint32_t i = 0; i < node->n; i++) {
            const grsn_bounds_t range = grsn_bounds(image, node, i);
            grsn_store(place(memory, k), node->type, i,
                       grsn_clip(observation[i], range.lo, range.hi));
        }
        observation += node->n;
    }
}

void grsn_step(const grsn_model_t *model, void *state, void *scratch, const int32_t *observation,
               int32_t *action)
{
    const grsn_header_t *header = grsn_header(model->image);
    const grsn_u16_t *outputs = grsn_outputs(model->image);
    const memory_t memory = memory_of(model, state, scratch);
    take(&memory, header->inputs, observation);
    for (uint32_t k = header->sources; k < header->nodes; k++) {
        compute(&memory, memory.nodes + k);
    }
    for (uint32_t k = 0; k < header->outputs; k++) {
        const grsn_node_t *node = memory.nodes + outputs[k];
        copy(action, GRSN_INT32, place(&memory, outputs[k]), node->type, 0, node->n);
        action += node->n;
    }
}

/* ---- states ------------------------------------------------------------------------------- */

static int32_t initial(const uint8_t *image, const grsn_node_t *node, uint32_t i)
{
    return node->flags & GRSN_UNIFORM ? node->p : grsn_load(image + node->p, node->type, i);
}

void grsn_reset(const grsn_model_t *model, void *state)
{
    const grsn_header_t *header = grsn_header(model->image);
    const grsn_node_t *node = grsn_nodes(model->image) + header->inputs;
    for (uint32_t k = 0; k < header->states; k++, node++) {
        for (uint32_t i = 0; i < node->n; i++) {
            grsn_store((uint8_t *)state + node->at, node->type, i,
                       initial(model->image, node, i));
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
