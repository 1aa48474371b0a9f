// Time. The board's microsecond counter is the clock, because an emulated SysTick that comes late is
// lost; SysTick wakes a sleeping core every millisecond, and widens the counter to 64 bits.
#include "py/mphal.h"
#include "py/runtime.h"

#include "clock.h"
#include "registers.h"
#include "semihost.h"

static volatile uint32_t wraps, last_us;
static uint64_t unix_start_ns;

static uint64_t now_us(void) {
    uint32_t state = irq_save();
    uint32_t us = FPGAIO_COUNTER;
    if (us < last_us) {
        wraps++;
    }
    last_us = us;
    uint64_t now = (uint64_t)wraps << 32 | us;
    irq_restore(state);
    return now;
}

void clock_start(void) {
    FPGAIO_PRESCALE = BOARD_CLOCK_HZ / 1000000 - 1;
    FPGAIO_COUNTER = 0;
    SYSTICK_LOAD = BOARD_CLOCK_HZ / 1000 - 1;
    SYSTICK_VALUE = 0;
    SYSTICK_CTRL = SYSTICK_ON;
    unix_start_ns = (uint64_t)semihost_unix_s() * 1000000000;
}

void systick_handler(void) {
    now_us();
}

mp_uint_t mp_hal_ticks_us(void) {
    return (mp_uint_t)now_us();
}

mp_uint_t mp_hal_ticks_ms(void) {
    return (mp_uint_t)(now_us() / 1000);
}

uint64_t mp_hal_time_ns(void) {
    return unix_start_ns + now_us() * 1000;
}

uint32_t board_random_seed(void) {
    return (uint32_t)(mp_hal_time_ns() / 1000);
}

void mp_hal_delay_us(mp_uint_t us) {
    uint64_t end = now_us() + us;
    while (now_us() < end) {
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint64_t end = now_us() + (uint64_t)ms * 1000;
    uint64_t now;
    while ((now = now_us()) < end) {
        mp_event_wait_ms((mp_uint_t)((end - now + 999) / 1000));
    }
}
