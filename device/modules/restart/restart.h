/* restart: the watchdog, the reset and the memory that outlives it, as a port supplies them to the
 * module `restart`. */
#ifndef MOTEYE_RESTART_H
#define MOTEYE_RESTART_H

#include <stdint.h>

#define RESTART_KEPT_BYTES 16

// The numbers that reset_cause() has in most ports of MicroPython.
enum { RESTART_POWER_ON = 1, RESTART_WATCHDOG = 3, RESTART_SOFT = 5 };

/* Called before any other; may be called again. Returns 0, or an errno value where the port has no
 * way to restart on this system. */
int restart_prepare(void);

/* Why this run began: one of the numbers above. */
int restart_cause(void);

/* RESTART_KEPT_BYTES that a restart leaves as they are; zeros after power on. */
uint8_t *restart_kept(void);

/* Ends this run, and the next one begins. */
_Noreturn void restart_now(int cause);

/* The board restarts with RESTART_WATCHDOG unless this is called again within `timeout_ms`. */
void restart_unless_called(uint32_t timeout_ms);

#endif
