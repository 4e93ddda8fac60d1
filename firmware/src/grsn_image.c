/* grsn_image.c: opens a policy image: sizes, checksum, the proof, and then the sections. */
#include "grsn_crc.h"
#include "grsn_format.h"

/* Whether grsn_codec.c is there, which relies on the sections that it reads. */
#ifndef GRSN_CODEC
#define GRSN_CODEC 1
#endif

/* Magic, version, length and checksum: whether these are the bytes that were written. */
static grsn_status_t check_bytes(const uint8_t *image, size_t size)
{
    if ((uintptr_t)image % GRSN_ALIGNMENT != 0) {
        return GRSN_ERROR_ALIGNMENT;
    }
    if (size < sizeof(grsn_header_t)) {
        return GRSN_ERROR_TRUNCATED;
    }
    const grsn_header_t *header = grsn_header(image);
    if (header->magic != GRSN_MAGIC) {
        return header->magic == GRSN_MAGIC_OF_OTHER_ORDER ? GRSN_ERROR_ORDER : GRSN_ERROR_MAGIC;
    }
    if (header->version != GRSN_VERSION) {
        return GRSN_ERROR_VERSION;
    }
    if (header->size > size) {
        return GRSN_ERROR_TRUNCATED;
    }
    if (header->size % 4u != 0 || header->data_end % 4u != 0 || header->data_end >= header->size ||
        header->nodes > GRSN_MAX_NODES ||
        header->data_end < sizeof(grsn_header_t) + header->nodes * sizeof(grsn_node_t)) {
        return GRSN_ERROR_FORMAT;
    }
    const uint32_t end = header->size - 4u;
    const uint32_t crc = *(const grsn_u32_t *)(image + end);
    return grsn_crc32c(0, image, end) == crc ? GRSN_OK : GRSN_ERROR_CHECKSUM;
}

/* Golden vectors: codes and actions, step after step, and a saved state. */
static int is_golden(grsn_model_t *model, uint32_t size)
{
    const uint32_t step = (model->observation_n + model->action_n) * 4u;
    model->golden_steps = (size - model->saved_size) / step;
    return size > model->saved_size && model->golden_steps * step == size - model->saved_size;
}

#if GRSN_CODEC

/* An encoder or a decoder: their n, kind and option, and 2 n finite numbers in IEEE 754. */
static int is_codec(const grsn_u32_t *words, uint32_t size, uint32_t n, uint32_t kinds)
{
    if (size != 12u + n * 8u || words[0] != n || words[1] > kinds || words[2] > 1) {
        return 0;
    }
    for (uint32_t i = 3; i < size / 4u; i++) {
        if (words[i] << 1 >= 0xff000000u) {
            return 0;
        }
    }
    return 1;
}

#endif

/* What this library reads of a section; those of other modules are theirs to check. */
static int fits_program(grsn_model_t *model, const grsn_section_t *section)
{
    if (section->kind == GRSN_SECTION_GOLDEN) {
        return is_golden(model, section->size);
    }
#if GRSN_CODEC
    const grsn_u32_t *words = (const grsn_u32_t *)(section + 1);
    if (section->kind == GRSN_SECTION_ENCODER) {
        return is_codec(words, section->size, model->observation_n, 1);
    }
    if (section->kind == GRSN_SECTION_DECODER) { /* an argmax is one number */
        return is_codec(words, section->size, model->action_n, 2) &&
               (words[1] != 0 || model->action_n == 1);
    }
#endif
    return section->kind <= GRSN_SECTION_LAST || section->flags & GRSN_IGNORABLE;
}

static const grsn_section_t *first_of(const grsn_model_t *model)
{
    return (const grsn_section_t *)(model->image + grsn_header(model->image)->data_end);
}

static const grsn_section_t *next_of(const grsn_section_t *section)
{
    const uint32_t size = (section->size + 3u) & ~3u;
    return (const grsn_section_t *)((const uint8_t *)(section + 1) + size);
}

static const uint8_t *end_of(const grsn_model_t *model)
{
    return model->image + model->image_size - 4u;
}

/* Sections follow each other without a gap, and the last one ends at the checksum. */
static grsn_status_t check_sections(grsn_model_t *model)
{
    const grsn_section_t *section = first_of(model);
    uint32_t left, kind = 0;
    while ((left = (uint32_t)(end_of(model) - (const uint8_t *)section)) != 0) {
        if (left < sizeof *section || section->size > left - sizeof *section ||
            section->kind <= kind || !fits_program(model, section)) {
            return GRSN_ERROR_FORMAT;
        }
        kind = section->kind;
        section = next_of(section);
    }
    return GRSN_OK;
}

grsn_status_t grsn_open(grsn_model_t *model, const void *image, size_t size)
{
    const grsn_header_t *header = image;
    const grsn_status_t status = check_bytes(image, size);
    if (status != GRSN_OK) {
        return status;
    }
    const grsn_model_t opened = {.image = image, .image_size = header->size,
                                 .period_us = header->period_us};
    *model = opened;
    const grsn_status_t proven = grsn_prove(model);
    return proven == GRSN_OK ? check_sections(model) : proven;
}

const void *grsn_section(const grsn_model_t *model, uint32_t kind, uint32_t *size)
{
    const grsn_section_t *section = first_of(model);
    for (; (const uint8_t *)section != end_of(model); section = next_of(section)) {
        if (section->kind == kind) {
            if (size != NULL) {
                *size = section->size;
            }
            return section + 1;
        }
    }
    return NULL;
}

const uint8_t *grsn_model_hash(const grsn_model_t *model)
{
    return grsn_header(model->image)->hash;
}
