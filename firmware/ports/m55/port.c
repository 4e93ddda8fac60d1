/* Cortex-M55 on Arm's MPS3 AN547 board, emulated. */
#define UART 0x49303000U
#define FPGAIO 0x49302000U
#define UART_IRQ 33U
#define CLOCK_HZ 20000000U
#define COUNT_FROM_TICKS(ticks) ((uint32_t)((((ticks) * 25U) + 256U) >> 9)) /* / 20.48 */

#include "../common/mps2.h"

const grsn_board_t grsn_board = {
    "m55", 0, GRSN_COUNTS_INSTRUCTIONS, 2, MEMORY_SLOT_SIZE, MEMORY_ERASE_SIZE, MEMORY_WRITE_SIZE,
};
