/* grsn-device: a board that is a process, on a Raspberry Pi or in tests.
 *
 *   grsn-device [--pty | --tcp PORT] [--slots FILE] [--image FILE] [--cut-after N]
 *
 * The host's address is printed first: a path or socket://127.0.0.1:PORT (PORT 0: any free one).
 * Without either, the link is standard input and output. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grsn_app.h"
#include "port.h"

void fail(const char *what)
{
    fprintf(stderr, "grsn-device: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void usage(void)
{
    fputs("usage: grsn-device [--pty | --tcp PORT] [--slots FILE] [--image FILE] "
          "[--cut-after N]\n",
          stderr);
    exit(2);
}

int main(int count, char **words)
{
    static grsn_app_t app;
    const char *tcp = NULL, *slots = NULL, *image = NULL;
    unsigned long cut_after = 0;
    int pty = 0;
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : NULL;
        if (strcmp(words[i], "--pty") == 0) {
            pty = 1;
            continue;
        }
        if (value == NULL) {
            usage();
        } else if (strcmp(words[i], "--tcp") == 0) {
            tcp = value;
        } else if (strcmp(words[i], "--slots") == 0) {
            slots = value;
        } else if (strcmp(words[i], "--image") == 0) {
            image = value;
        } else if (strcmp(words[i], "--cut-after") == 0) {
            cut_after = strtoul(value, NULL, 10);
        } else {
            usage();
        }
        i++;
    }
    slots_open(slots, cut_after);
    image_open(image);
    if (pty) {
        line_on_pty();
    } else if (tcp != NULL) {
        line_on_tcp(tcp);
    } else {
        line_on_stdio();
    }
    grsn_port_init();
    grsn_app_init(&app);
    for (;;) {
        grsn_app_poll(&app);
    }
}
