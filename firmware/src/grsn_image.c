/* grsn_image.c: opens a policy image: sizes, checksum, sections, and then the proof. */
#include "grsn_crc.h"
#include "grsn_format.h"

static uint32_t rounded(uint32_t size)
{
    return (size + 3u) & ~3u;
}

static uint32_t swapped(uint32_t x)
{
    return x >> 24 | (x >> 8 & 0xff00u) | (x << 8 & 0xff0000u) | x << 24;
}

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
        return swapped(header->magic) == GRSN_MAGIC ? GRSN_ERROR_ORDER : GRSN_ERROR_MAGIC;
    }
    if (header->version != GRSN_VERSION) {
        return GRSN_ERROR_VERSION;
    }
    if (header->size > size) {
        return GRSN_ERROR_TRUNCATED;
    }
    if (header->size < sizeof(grsn_header_t) + 4u || header->size % 4u != 0) {
        return GRSN_ERROR_FORMAT;
    }
    const uint32_t end = header->size - 4u;
    const uint32_t crc = *(const grsn_u32_t *)(image + end);
    return grsn_crc32c(0, image, end) == crc ? GRSN_OK : GRSN_ERROR_CHECKSUM;
}

/* The parts of an image follow each other without a gap, and the last ends at the checksum. */
static grsn_status_t check_layout(const uint8_t *image)
{
    const grsn_header_t *header = grsn_header(image);
    const uint32_t end = header->size - 4u;
    uint32_t at = (uint32_t)sizeof(grsn_header_t) +
                  header->sections * (uint32_t)sizeof(grsn_section_t) +
                  header->nodes * (uint32_t)sizeof(grsn_node_t) + rounded(header->outputs * 2u);
    if (at > header->data_end || header->data_end > end || header->data_end % 4u != 0) {
        return GRSN_ERROR_FORMAT;
    }
    at = header->data_end;
    uint32_t kind = 0;
    for (uint32_t k = 0; k < header->sections; k++) {
        const grsn_section_t *section = grsn_sections(image) + k;
        if (section->offset != at || section->size > end - at || section->kind <= kind ||
            (section->kind > GRSN_SECTION_LAST && !(section->flags & GRSN_IGNORABLE))) {
            return GRSN_ERROR_FORMAT;
        }
        kind = section->kind;
        at = rounded(at + section->size);
    }
    return at == end ? GRSN_OK : GRSN_ERROR_FORMAT;
}

/* Whether every one of some IEEE 754 numbers is finite. */
static int are_finite(const grsn_u32_t *bits, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if ((bits[i] & 0x7f800000u) == 0x7f800000u) {
            return 0;
        }
    }
    return 1;
}

/* The content of a section that this library reads; those of other modules are theirs to check. */
static int fits_program(const grsn_header_t *header, const grsn_section_t *section,
                        const grsn_u32_t *content)
{
    const uint64_t step = ((uint64_t)header->observation_n + header->action_n) * 4u;
    uint32_t n = header->observation_n, before = 3; /* words before the floats */
    if (section->kind == GRSN_SECTION_GOLDEN) {
        return header->golden_steps != 0 &&
               step * header->golden_steps + header->saved_size == section->size;
    }
    if (section->kind != GRSN_SECTION_ENCODER && section->kind != GRSN_SECTION_DECODER) {
        return 1;
    }
    if (section->kind == GRSN_SECTION_DECODER) {
        n = header->action_n;
        before = 2;
    }
    if (section->size != before * 4u + (uint64_t)n * 8u || content[0] != n ||
        !are_finite(content + before, 2u * n)) {
        return 0;
    }
    return before == 2 ? content[1] <= 2 && (content[1] != 0 || n == 1)
                       : (content[1] == 127 || content[1] == 32512) && content[2] <= 1;
}

static grsn_status_t check_sections(const uint8_t *image)
{
    const grsn_header_t *header = grsn_header(image);
    uint32_t trajectories = 0;
    for (uint32_t k = 0; k < header->sections; k++) {
        const grsn_section_t *section = grsn_sections(image) + k;
        const grsn_u32_t *content = (const grsn_u32_t *)(image + section->offset);
        if (!fits_program(header, section, content)) {
            return GRSN_ERROR_FORMAT;
        }
        trajectories += section->kind == GRSN_SECTION_GOLDEN;
    }
    return header->golden_steps == 0 || trajectories != 0 ? GRSN_OK : GRSN_ERROR_FORMAT;
}

grsn_status_t grsn_open(grsn_model_t *model, const void *image, size_t size)
{
    grsn_status_t status = check_bytes(image, size);
    if (status == GRSN_OK) {
        status = check_layout(image);
    }
    if (status == GRSN_OK) {
        status = grsn_prove(image);
    }
    if (status == GRSN_OK) {
        status = check_sections(image);
    }
    if (status != GRSN_OK) {
        return status;
    }
    const grsn_header_t *header = grsn_header(image);
    model->image = image;
    model->image_size = header->size;
    model->observation_n = header->observation_n;
    model->action_n = header->action_n;
    model->state_size = header->state_size;
    model->scratch_size = header->scratch_size;
    model->saved_size = header->saved_size;
    model->period_us = header->period_us;
    model->golden_steps = header->golden_steps;
    return GRSN_OK;
}

const void *grsn_section(const grsn_model_t *model, uint32_t kind, uint32_t *size)
{
    const grsn_section_t *section = grsn_sections(model->image);
    for (uint32_t k = 0; k < grsn_header(model->image)->sections; k++, section++) {
        if (section->kind == kind) {
            if (size != NULL) {
                *size = section->size;
            }
            return model->image + section->offset;
        }
    }
    return NULL;
}

const uint8_t *grsn_model_hash(const grsn_model_t *model)
{
    return grsn_header(model->image)->hash;
}

const char *grsn_strerror(grsn_status_t status)
{
    static const char *const texts[] = {
        "ok",          "not aligned",     "truncated",       "not a policy image",
        "byte order",  "image version",   "damaged (CRC)",   "malformed",
        "not proven",  "state refused",
    };
    const int32_t index = -(int32_t)status;
    return index >= 0 && index < (int32_t)(sizeof texts / sizeof *texts) ? texts[index] : "unknown";
}
