/* store_harness.c: flash that loses power, and a policy image of a few bytes, to try grsn_store.
 *
 * Sizes are macros: one library for each geometry.  Every erase and write counts as one operation;
 * when `cut_at` is reached the operation is torn, as `tear` says, and from then on nothing more
 * happens, as on a board without power.  Then `restart` gives power back.
 */
#include "grsn_store.h"

#include <string.h>

#include "grsn_crc.h"
#include "grsn_port.h"

#define SLOT_SIZE (4 * ERASE_SIZE)

const grsn_board_t grsn_board = {
    .name = "harness",
    .slots = 2,
    .slot_size = SLOT_SIZE,
    .erase_size = ERASE_SIZE,
    .write_size = WRITE_SIZE,
};

/* ---- flash ----------------------------------------------------------------------------------- */

enum { NOTHING, BITS, ALL, UNIT, TEARS }; /* what a torn operation leaves */

static uint32_t flash[2][SLOT_SIZE / 4];
static uint32_t operations, cut_at, random_state = 1;
static int32_t is_off, tear, violations;

static uint8_t *bytes_of(uint32_t slot)
{
    return (uint8_t *)flash[slot];
}

static uint32_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

/* Whether this operation happens whole; else it is torn by `tear`, or there is no power. */
static int32_t has_power(void)
{
    operations++;
    is_off |= cut_at != 0 && operations >= cut_at;
    return !is_off;
}

static void randomise(uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)draw();
    }
}

const uint8_t *grsn_port_slot(uint32_t slot)
{
    return bytes_of(slot);
}

int32_t grsn_port_slot_erase(uint32_t slot, uint32_t offset)
{
    const int32_t was_off = is_off;
    uint8_t *unit = bytes_of(slot) + offset;
    violations += offset % ERASE_SIZE != 0 || offset >= SLOT_SIZE;
    if (has_power() || (!was_off && tear == ALL)) {
        memset(unit, 0xff, ERASE_SIZE);
    } else if (!was_off && tear == BITS) {
        for (uint32_t i = 0; i < ERASE_SIZE; i++) {
            unit[i] |= (uint8_t)draw();
        }
    } else if (!was_off && tear == UNIT) {
        randomise(unit, ERASE_SIZE);
    }
    return is_off ? -1 : 0;
}

int32_t grsn_port_slot_write(uint32_t slot, uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    const int32_t was_off = is_off;
    uint8_t *place = bytes_of(slot) + offset;
    violations += offset % WRITE_SIZE != 0 || count % WRITE_SIZE != 0 || offset + count > SLOT_SIZE;
    for (uint32_t i = 0; i < count; i++) {
        violations += place[i] != 0xff; /* written twice since it was erased */
    }
    if (has_power() || (!was_off && tear == ALL)) {
        memcpy(place, bytes, count);
    } else if (!was_off && tear == BITS) {
        for (uint32_t i = 0; i < count; i++) {
            place[i] &= (uint8_t)(bytes[i] | draw());
        }
    } else if (!was_off && tear == UNIT) {
        randomise(bytes_of(slot) + offset - offset % ERASE_SIZE, ERASE_SIZE);
    }
    return is_off ? -1 : 0;
}

/* ---- the policy image of this harness: "TOY", a flag, the hash, anything --------------------- */

enum { SIZE = 2 * ERASE_SIZE + 45 };

grsn_status_t grsn_open(grsn_model_t *model, const void *image, size_t size)
{
    const uint8_t *bytes = image;
    memset(model, 0, sizeof *model);
    model->image = bytes;
    model->image_size = (uint32_t)size;
    model->state_size = 5;
    model->scratch_size = 8;
    return size >= 40 && memcmp(bytes, "TOY", 3) == 0 ? GRSN_OK : GRSN_ERROR_MAGIC;
}

int32_t grsn_selftest(const grsn_model_t *model, void *state, void *scratch)
{
    memset(state, 0x55, model->state_size);
    memset(scratch, 0x55, model->scratch_size);
    return model->image[3] == 'F' ? 0 : -1;
}

const uint8_t *grsn_model_hash(const grsn_model_t *model)
{
    return model->image + 4;
}

/* Image number `version`; every third byte is an unwritten one's, so that blanks are everywhere. */
static void make_image(uint32_t version, char flag, uint8_t *image)
{
    for (uint32_t i = 0; i < SIZE; i++) {
        image[i] = i % 3 == 0 || i > SIZE - 9 ? 0xff : (uint8_t)(version * 31 + i * 7);
    }
    memcpy(image, "TOY", 3);
    image[3] = (uint8_t)flag;
    memset(image + 4, (int)version, GRSN_HASH_SIZE);
}

/* ---- what the tests call --------------------------------------------------------------------- */

static grsn_store_t store;
static grsn_model_t model;
static uint32_t work[4];

const grsn_store_t *the_store(void) { return &store; }
uint32_t operations_done(void) { return operations; }
int32_t violations_seen(void) { return violations; }
uint8_t *slot_bytes(uint32_t slot) { return bytes_of(slot); }
uint32_t image_size(void) { return SIZE; }

void blank_flash(void)
{
    memset(flash, 0xff, sizeof flash);
}

void restart(uint32_t next_cut, int32_t next_tear, uint32_t seed)
{
    operations = 0;
    is_off = 0;
    cut_at = next_cut;
    tear = next_tear;
    random_state = seed * 2654435761u + 1;
}

/* Number of the image that boots, or a negative status. */
int32_t boot(void)
{
    const grsn_store_status_t status = grsn_store_boot(&store, &model, work, sizeof work);
    return status == GRSN_STORE_OK ? grsn_model_hash(&model)[0] : (int32_t)status;
}

int32_t begin(uint32_t version, char flag)
{
    uint8_t image[SIZE];
    make_image(version, flag, image);
    return grsn_store_begin(&store, SIZE, grsn_crc32c(0, image, SIZE), image + 4);
}

/* Send the rest of an image in pieces of `piece` bytes. */
int32_t send_rest(uint32_t version, char flag, uint32_t piece)
{
    uint8_t image[SIZE];
    make_image(version, flag, image);
    while (store.received < store.size) {
        const uint32_t left = store.size - store.received;
        const grsn_store_status_t status = grsn_store_write(
            &store, store.received, image + store.received, left < piece ? left : piece);
        if (status != GRSN_STORE_OK) {
            return status;
        }
    }
    return GRSN_STORE_OK;
}

int32_t write_at(uint32_t version, uint32_t offset, uint32_t count)
{
    uint8_t image[SIZE];
    make_image(version, 'P', image);
    return grsn_store_write(&store, offset, image + offset, count);
}

int32_t activate(uint32_t good_steps, size_t work_size)
{
    return grsn_store_activate(&store, good_steps, &model, work, work_size);
}

int32_t count(int32_t good) { return grsn_store_count(&store, good); }
int32_t confirm(void) { return grsn_store_confirm(&store); }
int32_t revert(void) { return grsn_store_revert(&store); }

/* A whole update; 0, or the first status that is an error. */
int32_t update(uint32_t version, uint32_t piece)
{
    int32_t status = begin(version, 'P');
    if (status == GRSN_STORE_OK) {
        status = send_rest(version, 'P', piece);
    }
    if (status == GRSN_STORE_OK) {
        status = activate(3, sizeof work);
    }
    for (int32_t i = 0; i < 3 && status == GRSN_STORE_OK; i++) {
        status = count(1);
    }
    return status == GRSN_STORE_CONFIRMED ? 0 : status == GRSN_STORE_OK ? 99 : status;
}

/* Image 1 runs; an update to 2 is cut at operation `cut`, what comes back is updated again, cut
 * again at a drawn operation, and so on until an update is whole.  Returns 0, or the number of the
 * promise that was broken. */
int32_t cut_update(uint32_t cut, int32_t how, uint32_t seed, uint32_t piece)
{
    uint32_t next = cut;
    blank_flash();
    restart(0, 0, seed);
    if (boot() != GRSN_STORE_ERROR_EMPTY || update(3, piece) != 0 || update(1, piece) != 0) {
        return 1;
    }
    for (int32_t attempt = 0; attempt < 40; attempt++) {
        restart(next, how, seed + (uint32_t)attempt);
        const int32_t running = boot();
        if (running != 1 && running != 2) {
            return 2; /* neither the old nor the new */
        }
        const int32_t status = update(2, piece);
        if (violations != 0) {
            return 3; /* a unit was written twice, or off its place */
        }
        if (!is_off) {
            restart(0, 0, seed);
            return status != 0 ? 4 : boot() != 2 ? 5 : 0;
        }
        next = attempt < 38 ? 1 + draw() % (2 * cut) : 0;
    }
    return 6; /* no end */
}
