/* grsn_store: two model slots, so that an update that is cut anywhere leaves a policy to run.
 * docs/SPEC.md §12.
 *
 * One slot holds the policy that runs, the other takes the next.  A new image is written, checked,
 * replayed against its golden vectors, run on trial, and confirmed after enough good steps; until
 * then nothing of the old one is touched.  A reset during the trial, a failed check or a bad step
 * leaves the old one.  The slots are the port's (grsn_port.h); a port without slots has no store.
 *
 *     grsn_store_t store;
 *     if (grsn_store_boot(&store, &model, work, sizeof work) != GRSN_STORE_OK) { ... no policy }
 *
 *     grsn_store_begin(&store, size, crc, hash);        then, until store.received is size:
 *     grsn_store_write(&store, store.received, bytes, count);
 *     grsn_store_activate(&store, 1000, &model, work, sizeof work);    the new one is on trial
 *     grsn_step(...); grsn_store_count(&store, good);                  after each of its steps
 *
 * Flash is erased to ones, erase unit by erase unit, and each write unit is written at most once
 * between two erasures.  Nothing here keeps more than grsn_store_t in memory.
 */
#ifndef GRSN_STORE_H
#define GRSN_STORE_H

#include "grsn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Largest write unit of a board, in bytes; so much of the stack holds a piece of an image. */
#ifndef GRSN_STORE_MAX_WRITE
#define GRSN_STORE_MAX_WRITE 32
#endif

/* No slot. */
#define GRSN_STORE_NONE (-1)

/* Zero is success, errors are negative. */
typedef enum grsn_store_status {
    GRSN_STORE_OK = 0,
    GRSN_STORE_REVERTED = 1,        /* the policy on trial was given up: boot the other */
    GRSN_STORE_CONFIRMED = 2,       /* the policy on trial has become the one that boots */
    GRSN_STORE_ERROR_BOARD = -1,    /* no two slots, or sizes that a store cannot use */
    GRSN_STORE_ERROR_EMPTY = -2,    /* no slot holds a confirmed policy that is whole */
    GRSN_STORE_ERROR_SIZE = -3,     /* an image of no bytes, or of more than a slot takes */
    GRSN_STORE_ERROR_OFFSET = -4,   /* not the next byte, past the end, or not whole write units */
    GRSN_STORE_ERROR_FLASH = -5,    /* the hardware refused, or holds something else than written */
    GRSN_STORE_ERROR_DAMAGED = -6,  /* the image has another checksum or hash than was announced */
    GRSN_STORE_ERROR_IMAGE = -7,    /* grsn_open refuses the image */
    GRSN_STORE_ERROR_SELFTEST = -8, /* a golden step differs */
    GRSN_STORE_ERROR_MEMORY = -9,   /* the policy needs more work memory than was given */
    GRSN_STORE_ERROR_ORDER = -10,   /* not now: nothing is being written, on trial, or complete */
    GRSN_STORE_ERROR_WORN = -11     /* the slot has no room for another mark: write it again */
} grsn_store_status_t;

/* Fields are read, never written, by the caller. */
typedef struct grsn_store {
    int8_t active;      /* slot of the policy that runs, or GRSN_STORE_NONE */
    int8_t target;      /* slot that takes an image, or GRSN_STORE_NONE */
    uint8_t on_trial;   /* whether the active policy is not confirmed yet */
    uint32_t size;      /* bytes of the image that target takes */
    uint32_t received;  /* of them, those that are there */
    uint32_t good_left; /* good steps until the policy on trial is confirmed; 0: by the caller */
} grsn_store_t;

/* Largest image that a slot of this board takes, in bytes; 0 on a board that can have no store. */
uint32_t grsn_store_capacity(void);

/* Choose the newest confirmed policy whose image is whole, opens, and repeats its golden vectors;
 * writes nothing.  A policy that was on trial when power went is not chosen.
 * work: memory for state_size + scratch_size bytes of the model, aligned to GRSN_ALIGNMENT; free
 * again afterwards. */
grsn_store_status_t grsn_store_boot(grsn_store_t *store, grsn_model_t *model, void *work,
                                    size_t work_size);

/* Announce an image of `size` bytes with this CRC-32C and model hash (GRSN_HASH_SIZE bytes), for
 * the slot that is not active.  Where that holds the beginning of the very same image, cut by a
 * reset, it goes on at store->received; else the slot is erased and store->received is 0.
 * GRSN_STORE_ERROR_ORDER while a policy is on trial: confirm or revert it first. */
grsn_store_status_t grsn_store_begin(grsn_store_t *store, uint32_t size, uint32_t crc,
                                     const uint8_t *hash);

/* Write the next bytes: offset is store->received, and count a multiple of the board's write unit
 * but for the last piece.  Bytes before store->received that come again, a repeated piece, are
 * compared and count as written. */
grsn_store_status_t grsn_store_write(grsn_store_t *store, uint32_t offset, const uint8_t *bytes,
                                     uint32_t count);

/* Check the whole image, open it, replay its golden vectors, and put it on trial: it is active now,
 * and confirmed after `good_steps` good steps (0: only by grsn_store_confirm).  On an error the
 * active policy and `model` stay as they were.  `work` as in grsn_store_boot. */
grsn_store_status_t grsn_store_activate(grsn_store_t *store, uint32_t good_steps,
                                        grsn_model_t *model, void *work, size_t work_size);

/* Count a step of the policy on trial.  Enough good ones in all confirm it; one that is not good (a
 * missed deadline, a damaged state) gives it up.  Does nothing where none is on trial. */
grsn_store_status_t grsn_store_count(grsn_store_t *store, int32_t good);

/* The policy on trial boots from now on. */
grsn_store_status_t grsn_store_confirm(grsn_store_t *store);

/* Give up the policy on trial for good; GRSN_STORE_REVERTED where that is done.  The caller boots
 * again, and has the old one. */
grsn_store_status_t grsn_store_revert(grsn_store_t *store);

/* A status in words: constant, never NULL. */
const char *grsn_store_strerror(grsn_store_status_t status);

#ifdef __cplusplus
}
#endif

#endif
