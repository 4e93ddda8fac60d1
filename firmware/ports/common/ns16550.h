/* A 16550 UART (NS16550A data sheet), as emulated boards have it: no baud rate, no queues.
 *
 * A port defines UART(index), its registers, then includes this file. */
#ifndef GRSN_NS16550_H
#define GRSN_NS16550_H

#include <stdint.h>

#include "grsn_port.h"

#define UART_DATA UART(0U)
#define UART_INTERRUPTS UART(1U)
#define UART_STATUS UART(5U)
#define UART_RECEIVED 0x01U
#define UART_EMPTY 0x20U

int32_t grsn_port_receive(void) {
    return UART_STATUS & UART_RECEIVED ? (int32_t)(UART_DATA & 0xFFU) : -1;
}

void grsn_port_send(const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        while (!(UART_STATUS & UART_EMPTY)) {
        }
        UART_DATA = bytes[i];
    }
}

#endif
