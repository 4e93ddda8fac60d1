/* ATmega328P at 16 MHz (Arduino Uno).  Registers: ATmega328P data sheet DS40002061B, §15 and §16
 * (timers), §19 (USART), §10 (sleep).  The policy is compiled into the firmware: no model slots. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <stdint.h>

#include "grsn_port.h"

#define RECEIVED_SIZE 128U /* a power of two */
#define PAINT 0xA5U

extern uint8_t __bss_end;

const grsn_board_t grsn_board = {"avr", F_CPU, GRSN_COUNTS_CYCLES, 0, 0, 0, 0};

static volatile uint8_t received[RECEIVED_SIZE], received_head;
static uint8_t received_tail;
static volatile uint16_t overflows;
static volatile uint32_t milliseconds;

/* Before main, before the stack is used: paint what is free. */
__attribute__((naked, used, section(".init3"))) void paint_stack(void);
void paint_stack(void) {
    for (volatile uint8_t *byte = &__bss_end; byte <= (uint8_t *)RAMEND; byte++) *byte = PAINT;
}

ISR(USART_RX_vect) {
    uint8_t head = received_head;
    received[head] = UDR0;
    received_head = (uint8_t)((head + 1U) & (RECEIVED_SIZE - 1U));
}

ISR(TIMER1_OVF_vect) { overflows++; }

ISR(TIMER0_COMPA_vect) { milliseconds++; }

void grsn_port_init(void) {
    TCCR1B = _BV(CS10); /* every clock cycle, 16 bits */
    TIMSK1 = _BV(TOIE1);
    TCCR0A = _BV(WGM01);
    OCR0A = F_CPU / 64U / 1000U - 1U;
    TCCR0B = _BV(CS01) | _BV(CS00);
    TIMSK0 = _BV(OCIE0A);
    UBRR0 = F_CPU / 8U / 115200U - 1U;
    UCSR0A = _BV(U2X0);
    UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
    DDRB |= _BV(PB5);
    sei();
}

int32_t grsn_port_receive(void) {
    if (received_tail == received_head) return -1;
    uint8_t byte = received[received_tail];
    received_tail = (uint8_t)((received_tail + 1U) & (RECEIVED_SIZE - 1U));
    return byte;
}

void grsn_port_send(const uint8_t *bytes, uint32_t count) {
    while (count-- > 0) {
        while (!(UCSR0A & _BV(UDRE0))) {
        }
        UDR0 = *bytes++;
    }
}

uint32_t grsn_port_cycles(void) {
    uint8_t before = SREG;
    cli();
    uint16_t low = TCNT1, high = overflows;
    if ((TIFR1 & _BV(TOV1)) && low < 0x8000U) high++; /* overflowed since cli */
    SREG = before;
    return (uint32_t)high << 16 | low;
}

uint32_t grsn_port_milliseconds(void) {
    uint8_t before = SREG;
    cli();
    uint32_t now = milliseconds;
    SREG = before;
    return now;
}

void grsn_port_watchdog(void) {}

void grsn_port_idle(void) {
    cli();
    if (received_tail == received_head) {
        SMCR = _BV(SE); /* idle */
        sei(); /* takes effect after the next instruction: no byte is missed */
        __asm volatile("sleep" ::: "memory");
        SMCR = 0;
    }
    sei();
}

void grsn_port_mark(int32_t high) {
    if (high) {
        PORTB |= _BV(PB5);
    } else {
        PORTB = (uint8_t)(PORTB & ~_BV(PB5));
    }
}

/* A boot count in EEPROM, and what RAM held: it is not cleared by a reset. */
uint32_t grsn_port_boot_id(void) {
    uint32_t count = 0;
    for (uint8_t i = 0; i < 4U; i++) { /* §8.4: read a byte of EEPROM */
        EEAR = i;
        EECR |= _BV(EERE);
        count |= (uint32_t)EEDR << (8U * i);
    }
    count = count * 1664525U + 1013904223U;
    for (uint8_t i = 0; i < 4U; i++) { /* §8.6.3: write one */
        EEAR = i;
        EEDR = (uint8_t)(count >> (8U * i));
        cli();
        EECR |= _BV(EEMPE);
        EECR |= _BV(EEPE);
        sei();
        while (EECR & _BV(EEPE)) {
        }
    }
    return count ^ grsn_port_cycles();
}
