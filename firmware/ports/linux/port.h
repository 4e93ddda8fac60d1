/* The Linux port's parts: the line to the host, and the model slots in a file. */
#ifndef GRSN_LINUX_PORT_H
#define GRSN_LINUX_PORT_H

/* Each opens the line and prints where it is; they end the process where that fails. */
void line_on_stdio(void);
void line_on_pty(void);
void line_on_tcp(const char *port);

/* Keep the slots in this file; NULL: in memory.  After `cut_after` erased or written units (0:
 * never) the process ends in the middle of the next one, as a power cut would. */
void slots_open(const char *path, unsigned long cut_after);

/* Run this policy image where the slots hold none. */
void image_open(const char *path);

/* Say what failed, and end the process. */
__attribute__((noreturn)) void fail(const char *what);

#endif
