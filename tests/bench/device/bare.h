/* bare: what the measuring images need of a bare Cortex-M under QEMU: reset, text and exit by
 * semihosting, and a clock of executed instructions (SysTick under `-icount shift=0`). */
#ifndef MOTEYE_BENCH_BARE_H
#define MOTEYE_BENCH_BARE_H

#include <stdint.h>

/* bare_ticks: SysTick's count, upwards. One tick is 40 (mps2-an500) or 31.25 (mps3-an547)
 * instructions. */
uint32_t bare_ticks(void);

/* bare_ticks_since: ticks since an earlier bare_ticks, at most 2^24 of them. */
uint32_t bare_ticks_since(uint32_t start);

/* bare_number: prints `name value` and a newline. */
void bare_number(const char *name, uint32_t value);

/* bare_exit: ends the emulator with this exit status. */
void bare_exit(int status);

/* bare_stack_paint, bare_stack_used: paint the free stack, and how deep it was overwritten since. */
void bare_stack_paint(void);
uint32_t bare_stack_used(void);

/* main: of the image; its result is the exit status. */
int main(void);

#endif
