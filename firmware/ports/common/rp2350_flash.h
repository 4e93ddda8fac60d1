/* Model slots in the flash of an RP2350, erased and written by its boot ROM (RP2350 Datasheet, §5.4).
 * Code that calls this runs from RAM: meanwhile flash is not in the address space. */
#ifndef GRSN_RP2350_FLASH_H
#define GRSN_RP2350_FLASH_H

#include <stdint.h>

#include "grsn_port.h"

#define FLASH_BEGIN 0x10000000U
#define FLASH_SLOT_SIZE 0x10000U
#define FLASH_SECTOR 4096U
#define FLASH_PAGE 256U
#define FLASH_WRITE_SIZE 32U /* of a page; ones leave the rest of it as it is */

extern const uint8_t __slots[];

/* The boot ROM's function of this name, of two letters; 4: for Arm, secure. */
typedef void (*rom_t)(uint32_t, uint32_t, uint32_t, uint32_t);

static rom_t rom(char first, char second) {
    typedef rom_t (*lookup_t)(uint32_t, uint32_t);
    uintptr_t at = 0x16U;
    __asm("" : "+r"(at)); /* or the compiler takes it for an offset from a null pointer */
    lookup_t lookup = (lookup_t)(uintptr_t)*(const volatile uint16_t *)at;
    return lookup((uint32_t)first | (uint32_t)second << 8, 4U);
}

/* Write a page, or erase a sector where `page` is none: flash leaves the address space meanwhile. */
static void change_flash(uint32_t offset, const uint8_t *page) {
    rom('I', 'F')(0U, 0U, 0U, 0U); /* connect_internal_flash */
    rom('E', 'X')(0U, 0U, 0U, 0U); /* flash_exit_xip */
    if (page) {
        rom('R', 'P')(offset, (uint32_t)(uintptr_t)page, FLASH_PAGE, 0U); /* flash_range_program */
    } else {
        rom('R', 'E')(offset, FLASH_SECTOR, 0x10000U, 0xD8U); /* flash_range_erase */
    }
    rom('F', 'C')(0U, 0U, 0U, 0U); /* flash_flush_cache */
    rom('C', 'X')(0U, 0U, 0U, 0U); /* flash_enter_cmd_xip */
}

static uint32_t flash_offset(uint32_t slot, uint32_t offset) {
    return (uint32_t)(uintptr_t)__slots - FLASH_BEGIN + slot * FLASH_SLOT_SIZE + offset;
}

const uint8_t *grsn_port_slot(uint32_t slot) { return __slots + slot * FLASH_SLOT_SIZE; }

int32_t grsn_port_slot_erase(uint32_t slot, uint32_t offset) {
    change_flash(flash_offset(slot, offset), (const uint8_t *)0);
    return 0;
}

int32_t grsn_port_slot_write(uint32_t slot, uint32_t offset, const uint8_t *bytes, uint32_t count) {
    static uint8_t page[FLASH_PAGE];
    for (uint32_t i = 0; i < FLASH_PAGE; i++) {
        uint32_t part = i - offset % FLASH_PAGE;
        page[i] = part < count ? bytes[part] : 0xFFU;
    }
    change_flash(flash_offset(slot, offset - offset % FLASH_PAGE), page);
    return 0;
}

#endif
