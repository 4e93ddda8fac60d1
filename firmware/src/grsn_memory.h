/* grsn_memory.h: where the virtual machine finds values.  Internal to grsn_vm.c. */
#ifndef GRSN_MEMORY_H
#define GRSN_MEMORY_H

#include "grsn_format.h"
#include "grsn_primitives.h"

/* The memories, in the order of their numbers; the image is not written. */
typedef struct memory {
    uint8_t *base[GRSN_SPACES];
    const grsn_node_t *nodes;
    const int32_t *observation; /* what of it is not taken yet */
} memory_t;

static uint8_t *place(const memory_t *memory, const grsn_node_t *node)
{
    return memory->base[node->space] + node->at;
}

/* The node of operand k. */
static const grsn_node_t *operand(const memory_t *memory, const grsn_node_t *node, uint32_t k)
{
    return memory->nodes + node->args[k];
}

/* A constant in the data. */
static const void *data(const memory_t *memory, int32_t at)
{
    return memory->base[GRSN_IN_DATA] + at;
}

#endif
