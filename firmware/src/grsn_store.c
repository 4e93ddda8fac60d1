/* grsn_store.c: docs/SPEC.md §12. */
#include "grsn_store.h"

#include <string.h>

#include "grsn_crc.h"
#include "grsn_port.h"

/* What a slot holds, in the order of a policy's life. */
typedef enum stage {
    EMPTY = 0,     /* no header, or a damaged one */
    WRITING = 1,   /* a header; the image may be there in part */
    TRIAL = 2,     /* the image was whole and repeated its golden vectors */
    CONFIRMED = 3, /* it may boot */
    REVOKED = 4    /* it must not */
} stage_t;

enum {
    HEADER_SIZE = 64, /* bytes that mean something; padded to whole write units */
    MARK_SIZE = 8,    /* likewise */
    MARKS = 8,
    LAYOUT = 1,
    AT_SEQUENCE = 8,
    AT_SIZE = 12,
    AT_CRC = 16,
    AT_HASH = 20,
    AT_CHECK = 60
};
static const uint8_t magic[4] = {'G', 'R', 'S', 'L'};

/* ---- sizes and places ------------------------------------------------------------------------ */

static uint32_t get_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static void put_u32(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> 8 * i);
    }
}

static uint32_t round_up(uint32_t size, uint32_t unit)
{
    return (size + unit - 1) & ~(unit - 1);
}

static uint32_t mark_at(uint32_t i)
{
    const uint32_t unit = grsn_board.write_size;
    return round_up(HEADER_SIZE, unit) + i * round_up(MARK_SIZE, unit);
}

static uint32_t image_at(void)
{
    return mark_at(MARKS);
}

uint32_t grsn_store_capacity(void)
{
    const grsn_board_t *board = &grsn_board;
    const uint32_t unit = board->write_size;
    if (board->slots != 2 || unit == 0 || unit > GRSN_STORE_MAX_WRITE || (unit & (unit - 1)) != 0 ||
        board->erase_size == 0 || board->erase_size % unit != 0 ||
        board->slot_size % board->erase_size != 0 || board->slot_size <= image_at()) {
        return 0;
    }
    return board->slot_size - image_at();
}

/* ---- writing --------------------------------------------------------------------------------- */

static int32_t is_blank(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (bytes[i] != 0xff) {
            return 0;
        }
    }
    return 1;
}

/* Write one unit, `count` bytes of it given and the rest ones.  A unit of ones is not touched, so
 * that it may still be written after a resumption. */
static grsn_store_status_t put_unit(uint32_t slot, uint32_t offset, const uint8_t *bytes,
                                    uint32_t count)
{
    uint8_t padded[GRSN_STORE_MAX_WRITE];
    const uint32_t unit = grsn_board.write_size;
    memset(padded, 0xff, sizeof padded);
    memcpy(padded, bytes, (size_t)count);
    if (!is_blank(padded, unit) && grsn_port_slot_write(slot, offset, padded, unit) != 0) {
        return GRSN_STORE_ERROR_FLASH;
    }
    return memcmp(grsn_port_slot(slot) + offset, padded, (size_t)unit) == 0 ? GRSN_STORE_OK
                                                                           : GRSN_STORE_ERROR_FLASH;
}

static grsn_store_status_t put(uint32_t slot, uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    const uint32_t unit = grsn_board.write_size;
    for (uint32_t done = 0; done < count; done += unit) {
        const uint32_t left = count - done;
        const grsn_store_status_t status =
            put_unit(slot, offset + done, bytes + done, left < unit ? left : unit);
        if (status != GRSN_STORE_OK) {
            return status;
        }
    }
    return GRSN_STORE_OK;
}

/* Erase the units that hold bytes `from` (the start of a unit) to `to` of a slot, the first first:
 * with it goes the header. */
static grsn_store_status_t erase(uint32_t slot, uint32_t from, uint32_t to)
{
    for (uint32_t offset = from; offset < to; offset += grsn_board.erase_size) {
        if (grsn_port_slot_erase(slot, offset) != 0 ||
            !is_blank(grsn_port_slot(slot) + offset, grsn_board.erase_size)) {
            return GRSN_STORE_ERROR_FLASH;
        }
    }
    return GRSN_STORE_OK;
}

/* ---- header and marks ------------------------------------------------------------------------ */

static int32_t has_header(uint32_t slot)
{
    const uint8_t *header = grsn_port_slot(slot);
    const uint32_t size = get_u32(header + AT_SIZE);
    return memcmp(header, magic, sizeof magic) == 0 && get_u32(header + 4) == LAYOUT &&
           get_u32(header + AT_CHECK) == grsn_crc32c(0, header, AT_CHECK) && size >= 1 &&
           size <= grsn_store_capacity();
}

/* A mark is the stage and a CRC-32C that binds it to the header. */
static void make_mark(uint32_t slot, uint32_t stage, uint8_t mark[MARK_SIZE])
{
    put_u32(mark, stage);
    put_u32(mark + 4, grsn_crc32c(grsn_crc32c(0, grsn_port_slot(slot), HEADER_SIZE), mark, 4));
}

/* The latest stage that is marked.  Marks that were cut are none. */
static stage_t stage_of(uint32_t slot)
{
    stage_t latest = WRITING;
    if (!has_header(slot)) {
        return EMPTY;
    }
    for (uint32_t i = 0; i < MARKS; i++) {
        const uint8_t *found = grsn_port_slot(slot) + mark_at(i);
        const uint32_t stage = get_u32(found);
        uint8_t mark[MARK_SIZE];
        make_mark(slot, stage, mark);
        if (stage > (uint32_t)latest && stage <= REVOKED && memcmp(found, mark, MARK_SIZE) == 0) {
            latest = (stage_t)stage;
        }
    }
    return latest;
}

static grsn_store_status_t add_mark(uint32_t slot, stage_t stage)
{
    uint8_t mark[MARK_SIZE];
    make_mark(slot, (uint32_t)stage, mark);
    for (uint32_t i = 0; i < MARKS; i++) {
        if (is_blank(grsn_port_slot(slot) + mark_at(i), mark_at(1) - mark_at(0))) {
            return put(slot, mark_at(i), mark, MARK_SIZE);
        }
    }
    return GRSN_STORE_ERROR_WORN;
}

static uint32_t sequence_of(uint32_t slot)
{
    return has_header(slot) ? get_u32(grsn_port_slot(slot) + AT_SEQUENCE) : 0;
}

static uint32_t newer_slot(void)
{
    return sequence_of(1) > sequence_of(0) ? 1 : 0;
}

/* ---- checking an image ----------------------------------------------------------------------- */

static grsn_store_status_t self_test(const grsn_model_t *model, void *work, size_t work_size)
{
    const uint32_t state_size = round_up(model->state_size, GRSN_ALIGNMENT);
    if (work_size < state_size || work_size - state_size < model->scratch_size) {
        return GRSN_STORE_ERROR_MEMORY;
    }
    return grsn_selftest(model, work, (uint8_t *)work + state_size) < 0 ? GRSN_STORE_OK
                                                                        : GRSN_STORE_ERROR_SELFTEST;
}

/* Everything that can be wrong with the image of a slot that has a header. */
static grsn_store_status_t check(uint32_t slot, grsn_model_t *model, void *work, size_t work_size)
{
    const uint8_t *header = grsn_port_slot(slot), *image = header + image_at();
    const uint32_t size = get_u32(header + AT_SIZE);
    if (grsn_crc32c(0, image, (size_t)size) != get_u32(header + AT_CRC)) {
        return GRSN_STORE_ERROR_DAMAGED;
    }
    if (grsn_open(model, image, (size_t)size) != GRSN_OK) {
        return GRSN_STORE_ERROR_IMAGE;
    }
    if (memcmp(grsn_model_hash(model), header + AT_HASH, GRSN_HASH_SIZE) != 0) {
        return GRSN_STORE_ERROR_DAMAGED;
    }
    return self_test(model, work, work_size);
}

/* ---- booting --------------------------------------------------------------------------------- */

static grsn_store_status_t try_slot(grsn_store_t *store, uint32_t slot, grsn_model_t *model,
                                    void *work, size_t work_size)
{
    grsn_model_t found;
    if (stage_of(slot) != CONFIRMED) {
        return GRSN_STORE_ERROR_EMPTY;
    }
    const grsn_store_status_t status = check(slot, &found, work, work_size);
    if (status == GRSN_STORE_OK) {
        *model = found;
        store->active = (int8_t)slot;
    }
    return status;
}

grsn_store_status_t grsn_store_boot(grsn_store_t *store, grsn_model_t *model, void *work,
                                    size_t work_size)
{
    memset(store, 0, sizeof *store);
    store->active = GRSN_STORE_NONE;
    store->target = GRSN_STORE_NONE;
    if (grsn_store_capacity() == 0) {
        return GRSN_STORE_ERROR_BOARD;
    }
    const uint32_t newer = newer_slot();
    const grsn_store_status_t first = try_slot(store, newer, model, work, work_size);
    if (first == GRSN_STORE_OK) {
        return first;
    }
    const grsn_store_status_t second = try_slot(store, 1 - newer, model, work, work_size);
    return second == GRSN_STORE_ERROR_EMPTY ? first : second;
}

/* ---- receiving an image ---------------------------------------------------------------------- */

static void make_header(uint8_t header[HEADER_SIZE], uint32_t sequence, uint32_t size, uint32_t crc,
                        const uint8_t *hash)
{
    memset(header, 0, HEADER_SIZE);
    memcpy(header, magic, sizeof magic);
    put_u32(header + 4, LAYOUT);
    put_u32(header + AT_SEQUENCE, sequence);
    put_u32(header + AT_SIZE, size);
    put_u32(header + AT_CRC, crc);
    memcpy(header + AT_HASH, hash, GRSN_HASH_SIZE);
    put_u32(header + AT_CHECK, grsn_crc32c(0, header, AT_CHECK));
}

/* Whether the slot holds this very image, in part or whole, neither confirmed nor revoked. */
static int32_t is_begun(uint32_t slot, uint32_t size, uint32_t crc, const uint8_t *hash)
{
    const uint8_t *header = grsn_port_slot(slot);
    const stage_t stage = stage_of(slot);
    return (stage == WRITING || stage == TRIAL) && get_u32(header + AT_SIZE) == size &&
           get_u32(header + AT_CRC) == crc &&
           memcmp(header + AT_HASH, hash, GRSN_HASH_SIZE) == 0;
}

/* Erase the unit in which writing was cut, for its last bytes cannot be trusted.  Returns the bytes
 * of the image before it; 0 where all is to be written again. */
static uint32_t resume(uint32_t slot, uint32_t size)
{
    const uint8_t *bytes = grsn_port_slot(slot);
    uint32_t end = image_at() + size;
    while (end > image_at() && bytes[end - 1] == 0xff) {
        end--;
    }
    const uint32_t start = end == image_at() ? 0 : end - 1 - (end - 1) % grsn_board.erase_size;
    if (start < image_at() || erase(slot, start, end) != GRSN_STORE_OK) {
        return 0;
    }
    return start - image_at();
}

static grsn_store_status_t restart(uint32_t slot, uint32_t size, uint32_t crc, const uint8_t *hash)
{
    uint8_t header[HEADER_SIZE];
    const uint32_t other = sequence_of(1 - slot), own = sequence_of(slot);
    const uint32_t newest = other > own ? other : own;
    if (newest == UINT32_MAX) {
        return GRSN_STORE_ERROR_WORN;
    }
    make_header(header, newest + 1, size, crc, hash);
    const grsn_store_status_t status = erase(slot, 0, image_at() + size);
    return status != GRSN_STORE_OK ? status : put(slot, 0, header, HEADER_SIZE);
}

/* The slot that is not active.  Where none is: never the only one, nor the newer of two, that may
 * boot; where neither may, the newer, for it may have been cut. */
static uint32_t choose_target(const grsn_store_t *store)
{
    const int32_t boots[2] = {stage_of(0) == CONFIRMED, stage_of(1) == CONFIRMED};
    if (store->active != GRSN_STORE_NONE) {
        return store->active == 0 ? 1 : 0;
    }
    if (boots[0] != boots[1]) {
        return boots[0] ? 1 : 0;
    }
    const uint32_t newer = newer_slot();
    return boots[0] ? 1 - newer : newer;
}

grsn_store_status_t grsn_store_begin(grsn_store_t *store, uint32_t size, uint32_t crc,
                                     const uint8_t *hash)
{
    if (grsn_store_capacity() == 0) {
        return GRSN_STORE_ERROR_BOARD;
    }
    if (size < 1 || size > grsn_store_capacity()) {
        return GRSN_STORE_ERROR_SIZE;
    }
    if (store->on_trial) {
        return GRSN_STORE_ERROR_ORDER;
    }
    const uint32_t slot = choose_target(store);
    const int32_t begun = is_begun(slot, size, crc, hash);
    if (begun && store->target == (int32_t)slot) {
        return GRSN_STORE_OK; /* not cut: what was received is known */
    }
    store->target = GRSN_STORE_NONE;
    store->size = size;
    store->received = 0;
    if (begun) {
        store->received = stage_of(slot) == TRIAL ? size : resume(slot, size);
    }
    if (store->received == 0) {
        const grsn_store_status_t status = restart(slot, size, crc, hash);
        if (status != GRSN_STORE_OK) {
            return status;
        }
    }
    store->target = (int8_t)slot;
    return GRSN_STORE_OK;
}

grsn_store_status_t grsn_store_write(grsn_store_t *store, uint32_t offset, const uint8_t *bytes,
                                     uint32_t count)
{
    if (store->target == GRSN_STORE_NONE) {
        return GRSN_STORE_ERROR_ORDER;
    }
    const uint32_t slot = (uint32_t)store->target;
    if (offset > store->received || count > store->size - offset) {
        return GRSN_STORE_ERROR_OFFSET;
    }
    if (count <= store->received - offset) {
        return memcmp(grsn_port_slot(slot) + image_at() + offset, bytes, (size_t)count) == 0
                   ? GRSN_STORE_OK
                   : GRSN_STORE_ERROR_OFFSET;
    }
    if (offset != store->received ||
        (count % grsn_board.write_size != 0 && count != store->size - offset)) {
        return GRSN_STORE_ERROR_OFFSET;
    }
    const grsn_store_status_t status = put(slot, image_at() + offset, bytes, count);
    if (status != GRSN_STORE_OK) {
        store->target = GRSN_STORE_NONE; /* half a piece may be there: begin finds out */
        return status;
    }
    store->received += count;
    return GRSN_STORE_OK;
}

/* ---- trial ----------------------------------------------------------------------------------- */

/* Make sure that the image of the target is neither tried nor resumed again. */
static void give_up_target(grsn_store_t *store, grsn_store_status_t why)
{
    const uint32_t slot = (uint32_t)store->target;
    store->target = GRSN_STORE_NONE;
    store->received = 0;
    if (why == GRSN_STORE_ERROR_DAMAGED || add_mark(slot, REVOKED) != GRSN_STORE_OK) {
        (void)erase(slot, 0, grsn_board.erase_size);
    }
}

grsn_store_status_t grsn_store_activate(grsn_store_t *store, uint32_t good_steps,
                                        grsn_model_t *model, void *work, size_t work_size)
{
    grsn_model_t found;
    if (store->on_trial || store->target == GRSN_STORE_NONE || store->received != store->size) {
        return GRSN_STORE_ERROR_ORDER;
    }
    grsn_store_status_t status = check((uint32_t)store->target, &found, work, work_size);
    if (status != GRSN_STORE_OK && status != GRSN_STORE_ERROR_MEMORY) {
        give_up_target(store, status);
    } else if (status == GRSN_STORE_OK) {
        status = add_mark((uint32_t)store->target, TRIAL);
    }
    if (status != GRSN_STORE_OK) {
        return status;
    }
    *model = found;
    store->active = store->target;
    store->target = GRSN_STORE_NONE;
    store->on_trial = 1;
    store->good_left = good_steps;
    return GRSN_STORE_OK;
}

grsn_store_status_t grsn_store_count(grsn_store_t *store, int32_t good)
{
    if (!store->on_trial) {
        return GRSN_STORE_OK;
    }
    if (!good) {
        return grsn_store_revert(store);
    }
    if (store->good_left == 0) {
        return GRSN_STORE_OK;
    }
    store->good_left--;
    return store->good_left == 0 ? grsn_store_confirm(store) : GRSN_STORE_OK;
}

grsn_store_status_t grsn_store_confirm(grsn_store_t *store)
{
    if (!store->on_trial) {
        return GRSN_STORE_ERROR_ORDER;
    }
    const grsn_store_status_t status = add_mark((uint32_t)store->active, CONFIRMED);
    if (status != GRSN_STORE_OK) {
        return status;
    }
    store->on_trial = 0;
    return GRSN_STORE_CONFIRMED;
}

grsn_store_status_t grsn_store_revert(grsn_store_t *store)
{
    if (!store->on_trial) {
        return GRSN_STORE_ERROR_ORDER;
    }
    /* A mark that cannot be written is no danger: what is only on trial does not boot. */
    (void)add_mark((uint32_t)store->active, REVOKED);
    const int8_t other = store->active == 0 ? 1 : 0;
    store->active = stage_of((uint32_t)other) == CONFIRMED ? other : GRSN_STORE_NONE;
    store->on_trial = 0;
    return GRSN_STORE_REVERTED;
}

const char *grsn_store_strerror(grsn_store_status_t status)
{
    switch (status) {
    case GRSN_STORE_OK:
        return "success";
    case GRSN_STORE_REVERTED:
        return "the policy on trial was given up";
    case GRSN_STORE_CONFIRMED:
        return "the policy on trial is confirmed";
    case GRSN_STORE_ERROR_BOARD:
        return "this board has no two model slots of usable sizes";
    case GRSN_STORE_ERROR_EMPTY:
        return "no slot holds a confirmed policy";
    case GRSN_STORE_ERROR_SIZE:
        return "the image is empty or does not fit in a slot";
    case GRSN_STORE_ERROR_OFFSET:
        return "not the next bytes of the image, or not whole write units";
    case GRSN_STORE_ERROR_FLASH:
        return "the memory of the slot could not be written";
    case GRSN_STORE_ERROR_DAMAGED:
        return "the image is not the one that was announced";
    case GRSN_STORE_ERROR_IMAGE:
        return "the image cannot be opened";
    case GRSN_STORE_ERROR_SELFTEST:
        return "the image does not repeat its golden vectors";
    case GRSN_STORE_ERROR_MEMORY:
        return "the policy needs more memory than there is";
    case GRSN_STORE_ERROR_ORDER:
        return "not now: begin, write all, activate, then confirm or revert";
    case GRSN_STORE_ERROR_WORN:
        return "the slot has no room for another mark: write the image again";
    }
    return "unknown status";
}
