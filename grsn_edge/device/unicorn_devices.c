/* The devices of emulated boards, as Unicorn calls them: UARTs, counters, flash controllers, each
 * as much of it as the ports in firmware/ports/ use.  Compiled on first use, with the host's
 * compiler, by unicorn_board.py, which holds the same struct board.
 *
 * A board's time is ns_per_instruction for every instruction, and real time while it sleeps. */
#include <stdint.h>

#define RX_SIZE 8192U
#define TX_SIZE 65536U

struct board {
    uint64_t instructions; /* executed since the start */
    uint64_t slept_ns;     /* spent in WFI */
    uint64_t ns_per_instruction, clock_hz;
    uint64_t captured;     /* ticks at the last capture of the nRF51's TIMER0 */
    uint64_t random_state; /* of the nRF51's random numbers; not 0 */
    int (*write_memory)(void *uc, uint64_t address, const void *bytes, uint64_t size);
    uint32_t rx_head, rx_tail, tx_count, sent;
    uint8_t rx[RX_SIZE], tx[TX_SIZE];
};

static uint64_t ticks(const struct board *board) {
    uint64_t ns = board->instructions * board->ns_per_instruction + board->slept_ns;
    uint64_t seconds = ns / 1000000000U, rest = ns % 1000000000U;
    return seconds * board->clock_hz + rest * board->clock_hz / 1000000000U;
}

static uint64_t has_byte(const struct board *board) { return board->rx_head != board->rx_tail; }

static uint64_t next_byte(struct board *board) {
    return has_byte(board) ? board->rx[board->rx_tail++ % RX_SIZE] : 0;
}

static void send_byte(struct board *board, uint64_t byte) {
    if (board->tx_count < TX_SIZE) board->tx[board->tx_count++] = (uint8_t)byte;
}

void count(void *uc, uint64_t address, uint32_t size, struct board *board) {
    (void)uc, (void)address, (void)size;
    board->instructions++;
}

/* Arm CMSDK APB UART. */
uint64_t cmsdk_uart_read(void *uc, uint64_t at, unsigned size, struct board *board) {
    (void)uc, (void)size;
    if (at == 0x00) return next_byte(board);
    if (at == 0x04) return (has_byte(board) << 1) | (board->tx_count == TX_SIZE);
    return 0;
}

void cmsdk_uart_write(void *uc, uint64_t at, unsigned size, uint64_t value, struct board *board) {
    (void)uc, (void)size;
    if (at == 0x00) send_byte(board, value);
}

/* Registers that take anything and do nothing; and those that hold nothing. */
void ignore(void *uc, uint64_t at, unsigned size, uint64_t value, struct board *board) {
    (void)uc, (void)at, (void)size, (void)value, (void)board;
}

uint64_t zero(void *uc, uint64_t at, unsigned size, struct board *board) {
    (void)uc, (void)at, (void)size, (void)board;
    return 0;
}

/* Arm MPS2 FPGAIO: the counter with prescaler 0. */
uint64_t fpgaio_read(void *uc, uint64_t at, unsigned size, struct board *board) {
    (void)uc, (void)size;
    return at == 0x18 ? ticks(board) & 0xFFFFFFFFU : 0;
}

/* NS16550A, registers one byte apart. */
uint64_t ns16550_read(void *uc, uint64_t at, unsigned size, struct board *board) {
    (void)uc, (void)size;
    if (at == 0x00) return next_byte(board);
    if (at == 0x05) return has_byte(board) | (board->tx_count == TX_SIZE ? 0U : 0x60U);
    return 0;
}

void ns16550_write(void *uc, uint64_t at, unsigned size, uint64_t value, struct board *board) {
    (void)uc, (void)size;
    if (at == 0x00) send_byte(board, value);
}

/* RISC-V CLINT: mtime. */
uint64_t clint_read(void *uc, uint64_t at, unsigned size, struct board *board) {
    (void)uc, (void)size;
    if (at == 0xBFF8) return ticks(board) & 0xFFFFFFFFU;
    return at == 0xBFFC ? ticks(board) >> 32 : 0;
}

/* nRF51 UART: a byte is sent at once. */
uint64_t nrf51_uart_read(void *uc, uint64_t at, unsigned size, struct board *board) {
    (void)uc, (void)size;
    if (at == 0x108) return has_byte(board);                          /* EVENTS_RXDRDY */
    if (at == 0x11C) return board->sent && board->tx_count < TX_SIZE; /* EVENTS_TXDRDY */
    return at == 0x518 ? next_byte(board) : 0;                        /* RXD */
}

void nrf51_uart_write(void *uc, uint64_t at, unsigned size, uint64_t value, struct board *board) {
    (void)uc, (void)size;
    if (at == 0x11C) board->sent = (uint32_t)value;
    if (at != 0x51C) return; /* TXD */
    send_byte(board, value);
    board->sent = 1;
}

/* nRF51 TIMER0: captures to channel 0. */
uint64_t nrf51_timer_read(void *uc, uint64_t at, unsigned size, struct board *board) {
    (void)uc, (void)size;
    return at == 0x540 ? board->captured & 0xFFFFFFFFU : 0;
}

void nrf51_timer_write(void *uc, uint64_t at, unsigned size, uint64_t value, struct board *board) {
    (void)uc, (void)size, (void)value;
    if (at == 0x040) board->captured = ticks(board);
}

/* nRF51 RNG: always ready; an xorshift (Marsaglia 2003) from a seed of the host's. */
uint64_t nrf51_rng_read(void *uc, uint64_t at, unsigned size, struct board *board) {
    (void)uc, (void)size;
    if (at != 0x508) return at == 0x100;
    board->random_state ^= board->random_state << 13;
    board->random_state ^= board->random_state >> 7;
    board->random_state ^= board->random_state << 17;
    return board->random_state & 0xFFU;
}

/* nRF51 NVMC: always ready; pages of 1 KiB become ones.  Words are written as to memory: the
 * application writes each once after an erasure, as docs/SPEC.md §12 says. */
uint64_t nrf51_flash_read(void *uc, uint64_t at, unsigned size, struct board *board) {
    (void)uc, (void)size, (void)board;
    return at == 0x400;
}

void nrf51_flash_write(void *uc, uint64_t at, unsigned size, uint64_t value, struct board *board) {
    (void)size;
    uint8_t ones[1024];
    if (at != 0x508) return;
    for (unsigned i = 0; i < sizeof ones; i++) ones[i] = 0xFFU;
    board->write_memory(uc, value, ones, sizeof ones);
}
