/* ESP32-C3: the USB serial port of the chip itself (GPIO18 and 19), no driver, no bridge.
 * Registers: Espressif ESP32-C3 Technical Reference Manual v1.1, §30 (USB Serial/JTAG), §10 (SYSTIMER),
 * §9 (watchdogs), §1 (counter), §25 (random numbers), §5 (GPIO).
 *
 * Boots "directly": the ROM maps flash from its first byte and jumps to it (board.ld), without the
 * vendor's second-stage boot loader, and leaves its clock as it is: cycles have no fixed rate here.
 * Model slots are RAM: what was loaded lasts until power goes.  GPIO8 is high while a step runs. */
#define USB 0x60043000U
#define RANDOM 0x600260B0U
#define RTC_WATCHDOG 0x60008090U
#define RTC_WATCHDOG_KEY 0x600080A8U
#define SUPER_WATCHDOG 0x600080ACU
#define SUPER_WATCHDOG_KEY 0x600080B0U
#define PIN_MARK 8U
#define PIN_FUNCTION 128U
#define START_COUNTING /* mpcer: cycles; mpcmr: on */ \
    __asm volatile("csrw 0x7E0, %0\n\tcsrw 0x7E1, %0" ::"r"(1U))

#include "espressif.h"

const grsn_board_t grsn_board = {
    "esp32c3", 0, GRSN_COUNTS_CYCLES, 2, MEMORY_SLOT_SIZE, MEMORY_ERASE_SIZE, MEMORY_WRITE_SIZE,
};

uint32_t grsn_port_cycles(void) {
    uint32_t count;
    __asm volatile("csrr %0, 0x7E2" : "=r"(count)); /* mpccr */
    return count;
}
