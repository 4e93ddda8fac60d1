/* An AVR on simavr: true clock cycles.  Compiled on first use by simavr_board.py.
 *
 *     simavr_board MCU HZ FIRMWARE LINE MONITOR
 *
 * LINE and MONITOR are Unix sockets to connect to: the UART's bytes, and, for each byte that comes,
 * the data memory as it is.  While the processor sleeps, so does this process. */
#define _GNU_SOURCE /* ppoll */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

#define CYCLES_BETWEEN_LOOKS 2000U

static int line, monitor;
static int may_send = 1;
static avr_irq_t *input;

static void stop(const char *what) {
    perror(what);
    exit(1);
}

static int join(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int joined = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (joined < 0 || connect(joined, (struct sockaddr *)&address, sizeof address)) stop(path);
    return joined;
}

static void on_output(avr_irq_t *irq, uint32_t byte, void *unused) {
    uint8_t value = (uint8_t)byte;
    (void)irq, (void)unused;
    if (write(line, &value, 1) != 1) exit(0);
}

static void on_room(avr_irq_t *irq, uint32_t value, void *room) {
    (void)irq, (void)value;
    may_send = room != NULL;
}

/* Take what has come, waiting for it at most so long. */
static void look(avr_t *avr, uint64_t nanoseconds) {
    struct pollfd ends[2] = {{monitor, POLLIN, 0}, {line, POLLIN, 0}};
    struct timespec most = {(time_t)(nanoseconds / 1000000000U), (long)(nanoseconds % 1000000000U)};
    if (ppoll(ends, may_send ? 2 : 1, &most, NULL) <= 0) return;
    if (ends[0].revents) {
        uint8_t request;
        if (read(monitor, &request, 1) != 1) exit(0);
        if (write(monitor, avr->data, (size_t)avr->ramend + 1U) < 0) exit(0);
    }
    while (may_send && ends[1].revents) {
        uint8_t byte;
        if (read(line, &byte, 1) != 1) exit(0);
        avr_raise_irq(input, byte);
        if (poll(ends + 1, 1, 0) <= 0) return;
    }
}

static void on_sleep(avr_t *avr, avr_cycle_count_t cycles) {
    look(avr, cycles * 1000000U / (avr->frequency / 1000U));
}

int main(int count, char **arguments) {
    elf_firmware_t firmware = {0};
    if (count != 6) return 2;
    line = join(arguments[4]);
    monitor = join(arguments[5]);
    if (elf_read_firmware(arguments[3], &firmware)) stop(arguments[3]);
    avr_t *avr = avr_make_mcu_by_name(arguments[1]);
    if (!avr) stop(arguments[1]);
    avr_init(avr);
    avr->frequency = (uint32_t)atol(arguments[2]);
    firmware.frequency = avr->frequency;
    avr_load_firmware(avr, &firmware);
    avr->sleep = on_sleep;
    uint32_t flags = 0;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_t *uart = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), 0);
    input = uart + UART_IRQ_INPUT;
    avr_irq_register_notify(uart + UART_IRQ_OUTPUT, on_output, NULL);
    avr_irq_register_notify(uart + UART_IRQ_OUT_XON, on_room, &input);
    avr_irq_register_notify(uart + UART_IRQ_OUT_XOFF, on_room, NULL);
    for (avr_cycle_count_t next = 0;;) {
        int state = avr_run(avr);
        if (state == cpu_Done || state == cpu_Crashed) return 1;
        if (avr->cycle < next) continue;
        look(avr, 0);
        next = avr->cycle + CYCLES_BETWEEN_LOOKS;
    }
}
