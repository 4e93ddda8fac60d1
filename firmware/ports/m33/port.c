/* Cortex-M33 on Arm's MPS2 AN505 board, emulated. */
#define UART 0x50200000U
#define FPGAIO 0x50302000U
#define UART_IRQ 32U
#define CLOCK_HZ 20000000U
#define COUNT_FROM_TICKS(ticks) ((uint32_t)((((ticks) * 25U) + 256U) >> 9)) /* / 20.48 */

#include "../common/mps2.h"

const grsn_board_t grsn_board = {
    "m33", 0, GRSN_COUNTS_INSTRUCTIONS, 2, MEMORY_SLOT_SIZE, MEMORY_ERASE_SIZE, MEMORY_WRITE_SIZE,
};
