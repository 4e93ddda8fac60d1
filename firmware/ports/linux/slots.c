/* Model slots in a file that is mapped into memory, with the rules of NOR flash: erased to ones,
 * and each unit written once after that. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "grsn_port.h"
#include "port.h"

enum { SLOTS = 2, SLOT_SIZE = 1 << 20, ERASE_SIZE = 4096, WRITE_SIZE = 8, ERASED = 0xff };

const grsn_board_t grsn_board = {
    "linux", 1000000000u, GRSN_COUNTS_NANOSECONDS, SLOTS, SLOT_SIZE, ERASE_SIZE, WRITE_SIZE,
};

static uint8_t *memory;
static unsigned long left_until_cut; /* 0: no cut is planned */

static const uint8_t *builtin;
static uint32_t builtin_size;

void slots_open(const char *path, unsigned long cut_after)
{
    const size_t size = (size_t)SLOTS * SLOT_SIZE;
    struct stat before;
    int file = -1;
    if (path != NULL) {
        file = open(path, O_RDWR | O_CREAT, 0666);
        if (file < 0 || fstat(file, &before) != 0 || ftruncate(file, (off_t)size) != 0) {
            fail(path);
        }
    }
    void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) {
        fail(path != NULL ? path : "memory for the slots");
    }
    memory = mapped;
    left_until_cut = cut_after;
    const size_t kept = file < 0 ? 0 : (size_t)before.st_size;
    if (kept < size) {
        memset(memory + kept, ERASED, size - kept);
    }
}

void image_open(const char *path)
{
    if (path == NULL) {
        return;
    }
    struct stat status;
    const int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &status) != 0 || status.st_size > INT32_MAX) {
        fail(path);
    }
    void *mapped = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapped == MAP_FAILED) {
        fail(path);
    }
    builtin = mapped;
    builtin_size = (uint32_t)status.st_size;
}

const uint8_t *grsn_builtin_image(uint32_t *size)
{
    *size = builtin_size;
    return builtin;
}

/* Bytes of this unit that are still done; the process does not outlive a unit that is cut. */
static uint32_t before_the_cut(uint32_t size)
{
    if (left_until_cut == 0 || --left_until_cut != 0) {
        return size;
    }
    left_until_cut = 1;
    return size / 2;
}

static void end_where_cut(uint32_t done, uint32_t size)
{
    if (done < size) {
        _exit(9);
    }
}

static int32_t is_inside(uint32_t slot, uint32_t offset, uint32_t count, uint32_t unit)
{
    return slot < SLOTS && offset % unit == 0 && count % unit == 0 && offset <= SLOT_SIZE &&
           count <= SLOT_SIZE - offset;
}

const uint8_t *grsn_port_slot(uint32_t slot)
{
    return memory + (size_t)slot * SLOT_SIZE;
}

int32_t grsn_port_slot_erase(uint32_t slot, uint32_t offset)
{
    if (!is_inside(slot, offset, ERASE_SIZE, ERASE_SIZE)) {
        return -1;
    }
    const uint32_t done = before_the_cut(ERASE_SIZE);
    memset(memory + (size_t)slot * SLOT_SIZE + offset, ERASED, done);
    end_where_cut(done, ERASE_SIZE);
    return 0;
}

int32_t grsn_port_slot_write(uint32_t slot, uint32_t offset, const uint8_t *bytes, uint32_t count)
{
    if (!is_inside(slot, offset, count, WRITE_SIZE)) {
        return -1;
    }
    uint8_t *target = memory + (size_t)slot * SLOT_SIZE + offset;
    for (uint32_t at = 0; at < count; at += WRITE_SIZE) {
        for (uint32_t i = 0; i < WRITE_SIZE; i++) {
            if (target[at + i] != ERASED) {
                return -1;
            }
        }
        const uint32_t done = before_the_cut(WRITE_SIZE);
        memcpy(target + at, bytes + at, done);
        end_where_cut(done, WRITE_SIZE);
    }
    return 0;
}
