#include "py/mpconfig.h"
#include "py/mphal.h"
#include "py/runtime.h"

#include "registers.h"
#include "uart.h"

#define RING 4096u // a power of two

typedef struct {
    volatile uint32_t head, tail; // count up for ever; head is the writer's
    volatile uint8_t bytes[RING];
} ring_t;

typedef struct {
    ring_t rx, tx;
    volatile bool open;
} uart_t;

static cmsdk_uart_t *const device[UART_COUNT] = BOARD_UARTS;
static const uint8_t irqs[] = BOARD_UART_IRQS;
static uart_t uarts[UART_COUNT];

static bool ring_full(const ring_t *ring) {
    return ring->head - ring->tail == RING;
}

static bool ring_empty(const ring_t *ring) {
    return ring->head == ring->tail;
}

static void ring_put(ring_t *ring, uint8_t byte) {
    ring->bytes[ring->head % RING] = byte;
    ring->head++;
}

static uint8_t ring_get(ring_t *ring) {
    uint8_t byte = ring->bytes[ring->tail % RING];
    ring->tail++;
    return byte;
}

static void receive(unsigned number) {
    uart_t *uart = &uarts[number];
    cmsdk_uart_t *regs = device[number];
    while (regs->state & UART_RX_FULL) {
        if (!uart->open) {
            (void)regs->data;
            continue;
        }
        if (ring_full(&uart->rx)) {
            regs->control = UART_ENABLE | UART_TX_INTERRUPT;
            return;
        }
        uint8_t byte = (uint8_t)regs->data;
        if (number == UART_CONSOLE && byte == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else {
            ring_put(&uart->rx, byte);
        }
    }
}

static void transmit(unsigned number) {
    ring_t *tx = &uarts[number].tx;
    while (!ring_empty(tx) && !(device[number]->state & UART_TX_FULL)) {
        device[number]->data = ring_get(tx);
    }
}

// With interrupts off, or from the interrupt itself.
static void serve(unsigned number) {
    device[number]->interrupt = 3; // before the registers are looked at: what comes later counts
    receive(number);
    transmit(number);
}

void uart_handler(void) {
    for (unsigned number = 0; number < UART_COUNT; number++) {
        serve(number);
    }
}

void uart_start(void) {
    for (unsigned number = 0; number < UART_COUNT; number++) {
        device[number]->baud_divisor = 16;
        device[number]->control = UART_ENABLE | UART_TX_INTERRUPT | UART_RX_INTERRUPT;
    }
    uarts[UART_CONSOLE].open = true;
    for (unsigned i = 0; i < sizeof(irqs); i++) {
        NVIC_ENABLE(irqs[i]) = 1u << (irqs[i] % 32);
    }
}

static void restart(unsigned number, bool open) {
    uint32_t state = irq_save();
    uarts[number].open = open;
    uarts[number].rx.tail = uarts[number].rx.head;
    device[number]->control = UART_ENABLE | UART_TX_INTERRUPT | UART_RX_INTERRUPT;
    serve(number);
    irq_restore(state);
}

void uart_open(unsigned number) {
    restart(number, true);
}

void uart_close(unsigned number) {
    restart(number, false);
}

size_t uart_read(unsigned number, uint8_t *to, size_t size) {
    ring_t *rx = &uarts[number].rx;
    size_t got = 0;
    while (got < size && !ring_empty(rx)) {
        to[got++] = ring_get(rx);
    }
    if (!(device[number]->control & UART_RX_INTERRUPT)) {
        uint32_t state = irq_save();
        device[number]->control = UART_ENABLE | UART_TX_INTERRUPT | UART_RX_INTERRUPT;
        serve(number);
        irq_restore(state);
    }
    return got;
}

size_t uart_write(unsigned number, const uint8_t *from, size_t size) {
    ring_t *tx = &uarts[number].tx;
    size_t put = 0;
    while (put < size && !ring_full(tx)) {
        ring_put(tx, from[put++]);
    }
    uint32_t state = irq_save();
    transmit(number);
    irq_restore(state);
    return put;
}

bool uart_can_read(unsigned number) {
    return !ring_empty(&uarts[number].rx);
}

bool uart_can_write(unsigned number) {
    return !ring_full(&uarts[number].tx);
}
