// The UARTs: two rings each, which the interrupt fills and empties. A full receive ring stops the
// line (the emulator keeps the bytes; a board would pull RTS), so nothing is lost.
#ifndef MOTEYE_UART_H
#define MOTEYE_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UART_COUNT 3
#define UART_CONSOLE 0

void uart_start(void);
void uart_handler(void);

// Forgets what was received; before it, and after uart_close, what comes is thrown away.
void uart_open(unsigned number);
void uart_close(unsigned number);

// Never wait: the number of bytes moved, perhaps 0.
size_t uart_read(unsigned number, uint8_t *to, size_t size);
size_t uart_write(unsigned number, const uint8_t *from, size_t size);
bool uart_can_read(unsigned number);
bool uart_can_write(unsigned number);

#endif
