// What MicroPython asks of the hardware; in clock.c and console.c.
#include <stdint.h>

#include "shared/runtime/interrupt_char.h"

mp_uint_t mp_hal_ticks_ms(void);
mp_uint_t mp_hal_ticks_us(void);
uint64_t mp_hal_time_ns(void);
void mp_hal_delay_ms(mp_uint_t ms);
void mp_hal_delay_us(mp_uint_t us);

static inline mp_uint_t mp_hal_ticks_cpu(void) {
    return mp_hal_ticks_us();
}
