/* ESP32-S3: the USB serial port of the chip itself (GPIO19 and 20), no driver, no bridge.
 * Registers: Espressif ESP32-S3 Technical Reference Manual v1.4, chapters USB Serial/JTAG, SYSTIMER,
 * watchdogs, random numbers, GPIO; CCOUNT: Xtensa ISA Summary, §4.4.
 *
 * The ROM loads the image into RAM (board.ld) in the place of the vendor's second-stage boot loader, and
 * leaves its clock as it is: cycles have no fixed rate here.  The second core stays off.  Model slots
 * are RAM: what was loaded lasts until power goes.  GPIO2 is high while a step runs. */
#define USB 0x60038000U
#define RANDOM 0x6003507CU
#define RTC_WATCHDOG 0x60008098U
#define RTC_WATCHDOG_KEY 0x600080B0U
#define SUPER_WATCHDOG 0x600080B4U
#define SUPER_WATCHDOG_KEY 0x600080B8U
#define PIN_MARK 2U
#define PIN_FUNCTION 256U
#define START_COUNTING (void)0 /* CCOUNT always does */

#include "espressif.h"

const grsn_board_t grsn_board = {
    "esp32s3", 0, GRSN_COUNTS_CYCLES, 2, MEMORY_SLOT_SIZE, MEMORY_ERASE_SIZE, MEMORY_WRITE_SIZE,
};

uint32_t grsn_port_cycles(void) {
    uint32_t count;
    __asm volatile("rsr %0, ccount" : "=r"(count));
    return count;
}
