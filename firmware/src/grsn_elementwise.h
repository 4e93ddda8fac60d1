/* grsn_elementwise.h: where values are, and the operations of the virtual machine that go through
 * them element by element.  Internal to grsn_vm.c.
 */
#ifndef GRSN_ELEMENTWISE_H
#define GRSN_ELEMENTWISE_H

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
#elif !GRSN_VM_FAST
#define EACH_CLIPPED(target, value) EACH(target, grsn_clip((value), lo, hi))
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

/* ---- operations of one operand, from node->start on ------------------------------------------ */

/* What a result is clipped to: where it is not, to all there is. */
static int32_t least_of(const grsn_node_t *node)
{
    return node->flags & GRSN_CLIPPED ? node->clip_lo : INT32_MIN;
}

static int32_t greatest_of(const grsn_node_t *node)
{
    return node->flags & GRSN_CLIPPED ? node->clip_hi : INT32_MAX;
}

/* Entries of a table: in two loops, of which vectors take the first, or in one. */
#if GRSN_VM_FAST && UINTPTR_MAX > 0xffffffffu
#define EACH_ENTRY(y, table, index)                                                               \
    do {                                                                                          \
        EACH_CLIPPED(y, index);                                                                   \
        EACH(y, (table)[y[i]]);                                                                   \
    } while (0)
#elif GRSN_VM_FAST
#define EACH_ENTRY(y, table, index)                                                               \
    do {                                                                                          \
        if (node->flags & GRSN_CLIPPED) {                                                         \
            EACH(y, (table)[grsn_clip((index), lo, hi)]);                                         \
        } else {                                                                                  \
            EACH(y, (table)[index]);                                                              \
        }                                                                                         \
    } while (0)
#else
#define EACH_ENTRY(y, table, index) EACH(y, (table)[grsn_clip((index), lo, hi)])
#endif

/* x[i] stands for the operand's elements. */
#define UNARY(x)                                                                                  \
    do {                                                                                          \
        const int32_t n = (int32_t)node->n, p = node->p, q = node->q;                             \
        const int32_t lo = least_of(node), hi = greatest_of(node);                                \
        const unsigned s = node->shift;                                                           \
        if (node->op == GRSN_SCALE) {                                                             \
            EACH_CLIPPED(to, x * p + q);                                                          \
        } else if (node->op == GRSN_SHIFT) {                                                      \
            EACH_CLIPPED(to, grsn_shr(x, s));                                                     \
        } else { /* a table, from its middle; nothing is added where s is 0 */                    \
            const int16_t *middle = table + 128;                                                  \
            const int32_t half = (int32_t)((1u << s) >> 1);                                       \
            EACH_ENTRY(to, middle, (x + half) >> s);                                              \
        }                                                                                         \
    } while (0)

static void unary(const memory_t *memory, const grsn_node_t *node, uint32_t type, const void *x,
                  int32_t *to)
{
    const int16_t *table = (const int16_t *)(void *)(memory->base[GRSN_IN_DATA] + node->p);
#if GRSN_VM_FAST
    const int16_t *halves = x;
    const int32_t *words = x;
    if (type == GRSN_INT16) {
        UNARY(halves[i]);
    } else {
        UNARY(words[i]);
    }
#else
    UNARY(grsn_load(x, type, (uint32_t)i));
#endif
}

/* ---- operations on vectors of the node's own length ------------------------------------------- */

static void elementwise(const memory_t *memory, const grsn_node_t *node, const int32_t *x,
                        int32_t *to)
{
    const int32_t *y = operand(memory, node, 1);
    const int32_t *z, *w;
    const int32_t n = (int32_t)node->n, lo = least_of(node), hi = greatest_of(node);
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

#endif
