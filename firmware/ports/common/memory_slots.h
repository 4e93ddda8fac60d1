/* Model slots of an emulated board: ordinary memory that start-up leaves alone, so that it lasts
 * over a reset, with the manners of flash: erasing sets ones, writing clears them.  And the boot
 * id: the emulator leaves a random number at __seed when it starts the board. */
#ifndef GRSN_MEMORY_SLOTS_H
#define GRSN_MEMORY_SLOTS_H

#include <stdint.h>

#include "grsn_port.h"

#define MEMORY_SLOT_SIZE 0x10000U
#define MEMORY_ERASE_SIZE 0x1000U
#define MEMORY_WRITE_SIZE 4U

extern uint8_t __slots[];
extern volatile uint32_t __seed[];

const uint8_t *grsn_port_slot(uint32_t slot) { return __slots + slot * MEMORY_SLOT_SIZE; }

int32_t grsn_port_slot_erase(uint32_t slot, uint32_t offset) {
    uint8_t *unit = __slots + slot * MEMORY_SLOT_SIZE + offset;
    for (uint32_t i = 0; i < MEMORY_ERASE_SIZE; i++) unit[i] = 0xFFU;
    return 0;
}

int32_t grsn_port_slot_write(uint32_t slot, uint32_t offset, const uint8_t *bytes, uint32_t count) {
    uint8_t *target = __slots + slot * MEMORY_SLOT_SIZE + offset;
    for (uint32_t i = 0; i < count; i++) target[i] = (uint8_t)(target[i] & bytes[i]);
    return 0;
}

/* A linear congruential step (Numerical Recipes, §7.1) for every boot since the board started. */
static inline uint32_t memory_slots_boot_id(uint32_t noise) {
    *__seed = *__seed * 1664525U + 1013904223U;
    return *__seed ^ noise;
}

#endif
