// The watchdog, the reset, and memory that a reset of the board leaves as it was.
#include <string.h>

#include "board.h"
#include "registers.h"
#include "restart.h"

#define MAGIC 0x4b455054

// Start-up code sets neither this nor zeros it.
__attribute__((section(".kept"))) static struct {
    uint32_t magic, next_cause;
    uint8_t bytes[RESTART_KEPT_BYTES];
} kept;

static int cause;

int restart_prepare(void) {
    if (cause) {
        return 0;
    }
    if (kept.magic == MAGIC) {
        cause = (int)kept.next_cause;
    } else {
        cause = RESTART_POWER_ON;
        memset(kept.bytes, 0, sizeof(kept.bytes));
        kept.magic = MAGIC;
    }
    kept.next_cause = RESTART_POWER_ON;
    return 0;
}

int restart_cause(void) {
    return cause;
}

uint8_t *restart_kept(void) {
    return kept.bytes;
}

void restart_now(int why) {
    kept.next_cause = (uint32_t)why;
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = AIRCR_RESET;
    for (;;) {
    }
}

// It resets after its second round; the NMI at the end of the first does already.
void restart_unless_called(uint32_t timeout_ms) {
    uint64_t count = (uint64_t)timeout_ms * BOARD_WATCHDOG_HZ / 1000;
    WATCHDOG_LOCK = WATCHDOG_KEY;
    WATCHDOG_LOAD = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
    WATCHDOG_CLEAR = 1;
    WATCHDOG_CONTROL = WATCHDOG_ON;
}
