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
    GRSN_MAGIC_OF_OTHER_ORDER = 0x47525349,
    GRSN_VERSION = 2,
    GRSN_MAX_NODES = 4096,
    GRSN_MAX_ELEMENTS = 65536,
    GRSN_MAX_WEIGHTS = 1 << 22,
    GRSN_MAX_MEMORY = 1 << 30
};

/* The first bytes of an image.  After it: nodes, data, sections, and 4 bytes of CRC-32C over all
 * before. */
typedef struct GRSN_IN_IMAGE grsn_header {
    uint32_t magic;
    uint16_t version;
    uint16_t nodes;
    uint32_t size;
    uint8_t hash[GRSN_HASH_SIZE];
    uint32_t period_us;
    uint32_t workspace; /* bytes at the start of scratch memory that hold no value */
    uint32_t data_end;  /* offset of the end of the data, where sections begin */
} grsn_header_t;

/* In front of the content of a section. */
typedef struct GRSN_IN_IMAGE grsn_section {
    uint16_t kind;
    uint16_t flags;
    uint32_t size; /* of the content; the next section begins at a multiple of 4 */
} grsn_section_t;

enum { GRSN_IGNORABLE = 1 }; /* a section's flag: a reader that does not know it may go on */

/* Where a value is. */
enum { GRSN_IN_DATA, GRSN_IN_STATE, GRSN_IN_SCRATCH, GRSN_IN_ACTION, GRSN_SPACES };

/* How an element is stored: the logarithm of its bytes. */
enum { GRSN_INT8 = 0, GRSN_INT16 = 1, GRSN_INT32 = 2 };

enum {
    GRSN_PER_ELEMENT = 1, /* lo is the offset of the bounds of each element, pairs */
    GRSN_CLIPPED = 2,     /* the result (of a look-up: the index) is clipped */
    GRSN_INITIALS = 4     /* of a state: p is the offset of an array, else every initial value */
};

/* A node is a value and the operation that computes it.  x, y, z, w are its operands' elements,
 * from `start` on; a >> s is floor(a / 2^s), s = `shift`; every rounding is in q. */
typedef enum grsn_op {
    GRSN_INPUT,
    GRSN_STATE,  /* next value: args[0] */
    GRSN_CONST,
    GRSN_EVENT,  /* matvec of spikes; weights at p column by column, bias at q */
    GRSN_GATE,   /* matvec of spikes; weights row by row */
    GRSN_DENSE,  /* matvec; weights of four columns at a time, row by row */
    GRSN_ARGMAX,
    GRSN_APPEND, /* x, then y */
    GRSN_MOVE,   /* x, of any storage to any storage that holds it */
    GRSN_SCALE,  /* (x * p + q) >> s */
    GRSN_LUT,    /* table at p, of 128 + ((x + q) >> s) */
    GRSN_ADD,    /* x + ((y * p + q) >> s) */
    GRSN_MUL,    /* (x * y + q) >> s */
    GRSN_MAC,    /* (x * y + z * w + q) >> s */
    GRSN_BLEND,  /* y + ((z * (x - y) + q) >> s) */
    GRSN_GE,
    GRSN_RESET,  /* x - y * (x >= y), y a constant */
    GRSN_OPS
} grsn_op_t;

typedef struct GRSN_IN_IMAGE grsn_node {
    uint8_t op;
    uint8_t type;
    uint8_t space;
    uint8_t flags;
    uint32_t n;
    uint32_t at; /* offset in its space */
    int32_t lo;  /* claimed interval */
    int32_t hi;
    int32_t p;
    int32_t q;
    int32_t clip_lo;
    int32_t clip_hi;
    uint32_t start;
    uint16_t args[4];
    uint16_t last; /* the last node that reads it; not less than the number of nodes: it is kept */
    uint8_t shift;
    uint8_t saved; /* of a state: the storage type in a saved state */
} grsn_node_t;

typedef int8_t GRSN_IN_IMAGE grsn_i8_t;
typedef int16_t GRSN_IN_IMAGE grsn_i16_t;
typedef int32_t GRSN_IN_IMAGE grsn_i32_t;
typedef uint32_t GRSN_IN_IMAGE grsn_u32_t;

/* Where few bytes of code matter, what is used often is one function. */
#if defined(__GNUC__) && defined(__OPTIMIZE_SIZE__)
#define GRSN_SHARED __attribute__((noinline)) static
#else
#define GRSN_SHARED static inline
#endif

static inline const grsn_header_t *grsn_header(const uint8_t *image)
{
    return (const grsn_header_t *)image;
}

static inline const grsn_node_t *grsn_nodes(const uint8_t *image)
{
    return (const grsn_node_t *)(image + sizeof(grsn_header_t));
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

/* The place of weight (i, j) of a product of n elements.  The sums of an event that are stored in 16
 * bits are a multiple of 4; the 2nd and 3rd of every four rows of its columns change places. */
static inline uint32_t grsn_weight(const grsn_node_t *node, uint32_t n, uint32_t i, uint32_t j)
{
    if (node->op == GRSN_GATE) {
        return i * n + j;
    }
    if (node->op == GRSN_DENSE) {
        return (j / 4u * node->n + i) * 4u + j % 4u;
    }
    return j * node->n + (node->type == GRSN_INT16 && (i + 1u) & 2u ? i ^ 3u : i);
}

/* A number of a node; of element i, where the field is the offset of an array. */
static inline int32_t grsn_pick(const uint8_t *image, const grsn_i32_t *field, uint32_t each,
                                uint32_t i)
{
    return each ? ((const grsn_i32_t *)(image + (uint32_t)*field))[i] : *field;
}

/* The claimed interval of one element: the least and the greatest that it can be; of a constant, what
 * it is. */
static inline void grsn_bounds(const uint8_t *image, const grsn_node_t *node, uint32_t i,
                               int32_t *bounds)
{
    const grsn_i32_t *ends = &node->lo;
    uint32_t next = 1;
    if (node->flags & GRSN_PER_ELEMENT) {
        next = node->op != GRSN_CONST;
        ends = (const grsn_i32_t *)(image + (uint32_t)node->lo) + (i << next);
    }
    bounds[0] = ends[0];
    bounds[1] = ends[next];
}

/* Whether every claim of an image follows from the claims of what it is computed from: GRSN_OK,
 * GRSN_ERROR_FORMAT or GRSN_ERROR_PROOF.  Fills the sizes of the model. */
grsn_status_t grsn_prove(grsn_model_t *model);

#endif
