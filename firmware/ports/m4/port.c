/* Cortex-M4 on Arm's MPS2 AN386 board, emulated. */
#define UART 0x40004000U
#define FPGAIO 0x40028000U
#define UART_IRQ 0U
#define CLOCK_HZ 25000000U
#define COUNT_FROM_TICKS(ticks) ((uint32_t)((((ticks) << 2) + (ticks) + 64U) >> 7)) /* / 25.6 */

#include "../common/mps2.h"

const grsn_board_t grsn_board = {
    "m4", 0, GRSN_COUNTS_INSTRUCTIONS, 2, MEMORY_SLOT_SIZE, MEMORY_ERASE_SIZE, MEMORY_WRITE_SIZE,
};
