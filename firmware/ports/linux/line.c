/* The line to the host: a pty, a TCP connection on this machine, or standard input and output. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "grsn_port.h"
#include "port.h"

enum { BUFFER = 65536, IDLE_MS = 5, PATIENCE_MS = 1000 };

static int input = -1, output = -1, listener = -1;
static uint8_t in[BUFFER], out[BUFFER];
static size_t in_at, in_end, out_end;

/* ---- opening ---- */

void line_on_stdio(void)
{
    input = STDIN_FILENO;
    output = STDOUT_FILENO;
}

void line_on_pty(void)
{
    struct termios raw;
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
        fail("pty");
    }
    const char *path = ptsname(master);
    const int slave = open(path, O_RDWR | O_NOCTTY); /* kept open: hosts come and go */
    if (slave < 0 || tcgetattr(slave, &raw) != 0) {
        fail("pty");
    }
    cfmakeraw(&raw);
    if (tcsetattr(slave, TCSANOW, &raw) != 0) {
        fail("pty");
    }
    input = output = master;
    puts(path);
    fflush(stdout);
}

void line_on_tcp(const char *port)
{
    struct sockaddr_in here = {0};
    socklen_t size = sizeof here;
    const int yes = 1;
    here.sin_family = AF_INET;
    here.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(listener, (struct sockaddr *)&here, sizeof here) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&here, &size) != 0) {
        fail("tcp");
    }
    printf("socket://127.0.0.1:%u\n", (unsigned)ntohs(here.sin_port));
    fflush(stdout);
}

/* ---- the host comes and goes ---- */

static int ready(int file, short events, int milliseconds)
{
    struct pollfd wait = {file, events, 0};
    return file >= 0 && poll(&wait, 1, milliseconds) > 0;
}

static void hang_up(void)
{
    if (listener < 0) {
        exit(0); /* standard input ended, or the pty broke: nobody can come back */
    }
    close(input);
    input = output = -1;
    out_end = 0;
}

static void greet(void)
{
    const int yes = 1;
    input = output = accept(listener, NULL, NULL);
    (void)setsockopt(input, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static void flush(void)
{
    size_t at = 0;
    while (at < out_end && ready(output, POLLOUT, PATIENCE_MS)) {
        const ssize_t sent = write(output, out + at, out_end - at);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            hang_up();
            return;
        }
        at += sent > 0 ? (size_t)sent : 0;
    }
    out_end = 0;
}

/* ---- grsn_port.h ---- */

void grsn_port_init(void)
{
    signal(SIGPIPE, SIG_IGN);
    for (int file = input; file >= 0; file = file == output ? -1 : output) {
        (void)fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK);
    }
}

int32_t grsn_port_receive(void)
{
    if (in_at == in_end) {
        flush();
        const ssize_t got = input < 0 ? -1 : read(input, in, sizeof in);
        if (got == 0 || (got < 0 && input >= 0 && errno != EAGAIN && errno != EINTR)) {
            hang_up();
        }
        in_at = 0;
        in_end = got > 0 ? (size_t)got : 0;
    }
    return in_at < in_end ? in[in_at++] : -1;
}

void grsn_port_send(const uint8_t *bytes, uint32_t count)
{
    if (count > sizeof out - out_end) {
        flush();
    }
    memcpy(out + out_end, bytes, count);
    out_end += count;
}

static uint64_t nanoseconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint32_t grsn_port_cycles(void)
{
    return (uint32_t)nanoseconds();
}

uint32_t grsn_port_milliseconds(void)
{
    return (uint32_t)(nanoseconds() / 1000000u);
}

void grsn_port_watchdog(void)
{
}

void grsn_port_idle(void)
{
    if (input < 0 && listener >= 0) {
        if (ready(listener, POLLIN, IDLE_MS)) {
            greet();
        }
        return;
    }
    (void)ready(input, POLLIN, IDLE_MS);
}

void grsn_port_mark(int32_t high)
{
    (void)high;
}

uint32_t grsn_port_boot_id(void)
{
    uint32_t noise = 0;
    const int file = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, &noise, sizeof noise) != (ssize_t)sizeof noise) {
        fail("/dev/urandom");
    }
    close(file);
    return noise;
}
