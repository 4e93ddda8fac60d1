/* grsn_format.h: the bytes of a policy image as C sees them; docs/SPEC.md §9.  Internal. */
#ifndef GRSN_FORMAT_H
#define GRSN_FORMAT_H

#include "grsn.h"

/* An image is read through these types, whatever its caller declared it as. */
#if defined(__GNUC__)
#define GRSN_IN_IMAGE __attribute__((may_alias))
#else
#define GRSN_IN_IMAGE
#endif

enum {
    GRSN_MAGIC = 0x49535247, /* "GRSI" in little-endian order */
    GRSN_VERSION = 1,
    GRSN_MAX_NODES = 4096,
    GRSN_MAX_ELEMENTS = 65536,
    GRSN_MAX_WEIGHTS = 1 << 22
};

/* The first bytes of an image.  After it: sections, nodes, outputs, data, the sections' content,
 * and 4 bytes of CRC-32C over all before. */
typedef struct GRSN_IN_IMAGE grsn_header {
    uint32_t magic;
    uint16_t version;
    uint16_t sections;
    uint32_t size;
    uint8_t hash[GRSN_HASH_SIZE];
    uint32_t observation_n;
    uint32_t action_n;
    uint32_t state_size;
    uint32_t scratch_size;
    uint32_t saved_size;
    uint32_t period_us;
    uint32_t golden_steps;
    uint32_t workspace; /* bytes at the start of scratch memory that hold no value */
    uint16_t inputs;    /* nodes that are inputs: the first ones */
    uint16_t states;    /* then states */
    uint16_t sources;   /* nodes that are not computed: inputs, states, constants */
    uint16_t nodes;
    uint16_t outputs;
    uint16_t reserved;
    uint32_t data_end; /* offset of the end of the data */
} grsn_header_t;

typedef struct GRSN_IN_IMAGE grsn_section {
    uint16_t kind;
    uint16_t flags;
    uint32_t offset;
    uint32_t size;
} grsn_section_t;

enum { GRSN_IGNORABLE = 1 }; /* a section's flag: a reader that does not know it may go on */

/* Where a value is. */
enum { GRSN_IN_DATA = 0, GRSN_IN_STATE = 1, GRSN_IN_SCRATCH = 2 };

/* How an element is stored: the logarithm of its bytes. */
enum { GRSN_INT8 = 0, GRSN_INT16 = 1, GRSN_INT32 = 2 };

enum {
    GRSN_PER_ELEMENT = 1, /* lo and hi are offsets of arrays, else the bounds of every element */
    GRSN_CLIPPED = 2,     /* the result is clipped to [clip_lo, clip_hi] */
    GRSN_UNIFORM = 4      /* of a state: p is the initial value, else the offset of an array */
};

/* A node is a value and the operation that computes it.  x, y, z, w are its operands' elements,
 * s is `shift`; operands are vectors of the node's own length where nothing else is said. */
typedef enum grsn_op {
    GRSN_INPUT,
    GRSN_STATE,   /* next value: args[0] */
    GRSN_CONST,
    GRSN_EVENT,   /* matvec of spikes; weights at p column by column, bias at q */
    GRSN_GATE,    /* matvec of spikes; weights row by row */
    GRSN_DENSE,   /* matvec; weights of four columns at a time, row by row */
    GRSN_MOVE,    /* x[start + i], of any storage to any storage that holds it */
    GRSN_FILL,    /* x[0] */
    GRSN_APPEND,  /* x, then y */
    GRSN_ARGMAX,
    GRSN_SCALE,   /* clip(x[start + i] * p + q) */
    GRSN_SHIFT,   /* clip(shr(x[start + i], s)) */
    GRSN_LUT,     /* table at p, of 128 + clip(shr(x[start + i], s)); no shift where s is 0 */
    GRSN_ADD,     /* clip(x + y) */
    GRSN_ADD_SHR, /* clip(x + shr(y, s)) */
    GRSN_SUB,
    GRSN_MUL,
    GRSN_MUL_SHR, /* clip(shr(x * y, s)) */
    GRSN_MAC_SHR, /* shr(x * y + z * w, s) */
    GRSN_BLEND,   /* y + shr(z * (x - y), s): between y and x where z is in [0, 2^s] */
    GRSN_GE,
    GRSN_RESET,   /* x - y * (x >= y), y a constant of no negative element */
    GRSN_OPS
} grsn_op_t;

typedef struct GRSN_IN_IMAGE grsn_node {
    uint8_t op;
    uint8_t type;
    uint8_t space;
    uint8_t flags;
    uint32_t n;
    uint32_t at; /* offset in its space: the image, the state or scratch memory */
    int32_t lo;  /* claimed interval */
    int32_t hi;
    int32_t p;
    int32_t q;
    int32_t clip_lo;
    int32_t clip_hi;
    uint32_t start;
    uint16_t args[4];
    uint16_t last; /* the last node that reads it; the number of nodes: needed after the step */
    uint8_t shift;
    uint8_t saved; /* of a state: the storage type in a saved state */
} grsn_node_t;

typedef int8_t GRSN_IN_IMAGE grsn_i8_t;
typedef int16_t GRSN_IN_IMAGE grsn_i16_t;
typedef int32_t GRSN_IN_IMAGE grsn_i32_t;
typedef uint16_t GRSN_IN_IMAGE grsn_u16_t;
typedef uint32_t GRSN_IN_IMAGE grsn_u32_t;

static inline const grsn_header_t *grsn_header(const uint8_t *image)
{
    return (const grsn_header_t *)image;
}

static inline const grsn_section_t *grsn_sections(const uint8_t *image)
{
    return (const grsn_section_t *)(image + sizeof(grsn_header_t));
}

static inline const grsn_node_t *grsn_nodes(const uint8_t *image)
{
    return (const grsn_node_t *)(grsn_sections(image) + grsn_header(image)->sections);
}

/* Indices of the nodes that are outputs. */
static inline const grsn_u16_t *grsn_outputs(const uint8_t *image)
{
    return (const grsn_u16_t *)(grsn_nodes(image) + grsn_header(image)->nodes);
}

static inline int32_t grsn_load(const void *values, uint32_t type, uint32_t i)
{
    if (type == GRSN_INT8) {
        return ((const grsn_i8_t *)values)[i];
    }
    if (type == GRSN_INT16) {
        return ((const grsn_i16_t *)values)[i];
    }
    return ((const grsn_i32_t *)values)[i];
}

static inline void grsn_store(void *values, uint32_t type, uint32_t i, int32_t value)
{
    if (type == GRSN_INT8) {
        ((grsn_i8_t *)values)[i] = (int8_t)value;
    } else if (type == GRSN_INT16) {
        ((grsn_i16_t *)values)[i] = (int16_t)value;
    } else {
        ((grsn_i32_t *)values)[i] = value;
    }
}

/* Whether the 2nd and 3rd of every four rows of an event's columns change places. */
static inline int grsn_by_halves(const grsn_node_t *node)
{
    return node->op == GRSN_EVENT && node->type == GRSN_INT16 && node->n % 4u == 0;
}

/* The place of weight (i, j) of a product of n elements. */
static inline uint32_t grsn_weight(const grsn_node_t *node, uint32_t n, uint32_t i, uint32_t j)
{
    if (node->op == GRSN_GATE) {
        return i * n + j;
    }
    if (node->op == GRSN_DENSE) {
        return (j / 4u * node->n + i) * 4u + j % 4u;
    }
    return j * node->n + (grsn_by_halves(node) && (i + 1u) & 2u ? i ^ 3u : i);
}

/* The claimed interval of one element; of a constant, the element itself. */
typedef struct grsn_bounds {
    int32_t lo;
    int32_t hi;
} grsn_bounds_t;

static inline grsn_bounds_t grsn_bounds(const uint8_t *image, const grsn_node_t *node, uint32_t i)
{
    grsn_bounds_t bounds = {node->lo, node->hi};
    if (node->op == GRSN_CONST) {
        bounds.lo = bounds.hi = grsn_load(image + node->at, node->type, i);
    } else if (node->flags & GRSN_PER_ELEMENT) {
        bounds.lo = ((const grsn_i32_t *)(image + (uint32_t)node->lo))[i];
        bounds.hi = ((const grsn_i32_t *)(image + (uint32_t)node->hi))[i];
    }
    return bounds;
}

/* What a state's element is before the first step. */
static inline int32_t grsn_initial(const uint8_t *image, const grsn_node_t *node, uint32_t i)
{
    return node->flags & GRSN_UNIFORM ? node->p : grsn_load(image + node->p, node->type, i);
}

/* Whether every claim of an image follows from the claims of what it is computed from.
 * GRSN_OK, GRSN_ERROR_FORMAT or GRSN_ERROR_PROOF. */
grsn_status_t grsn_prove(const uint8_t *image);

#endif
