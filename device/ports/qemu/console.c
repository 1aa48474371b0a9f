// MicroPython's standard input and output: the console UART.
#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"

#include "uart.h"

uintptr_t mp_hal_stdio_poll(uintptr_t flags) {
    uintptr_t ready = 0;
    if ((flags & MP_STREAM_POLL_RD) && uart_can_read(UART_CONSOLE)) {
        ready |= MP_STREAM_POLL_RD;
    }
    if ((flags & MP_STREAM_POLL_WR) && uart_can_write(UART_CONSOLE)) {
        ready |= MP_STREAM_POLL_WR;
    }
    return ready;
}

int mp_hal_stdin_rx_chr(void) {
    uint8_t byte;
    while (!uart_read(UART_CONSOLE, &byte, 1)) {
        mp_event_wait_ms(1);
    }
    return byte;
}

mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t size) {
    size_t done = 0;
    while (done < size) {
        done += uart_write(UART_CONSOLE, (const uint8_t *)text + done, size - done);
    }
    return size;
}
