// Reset: what the core needs before C runs, and what it does when a program has gone astray.
#include <stdint.h>
#include <string.h>

#include "board.h"
#include "clock.h"
#include "registers.h"
#include "restart.h"
#include "semihost.h"
#include "uart.h"

#define EXTERNAL_INTERRUPTS 64

typedef void (*handler_t)(void);

extern uint32_t data_load, data_start, data_end, bss_start, bss_end, stack_end;
extern const handler_t vectors[];

int main(void);

__attribute__((naked, noreturn)) void reset_handler(void) {
    __asm volatile("ldr r0, =stack_end\n"
                   "mov sp, r0\n"
                   "b start_c\n");
}

__attribute__((noreturn, used)) void start_c(void) {
    SCB_VTOR = (uintptr_t)vectors;
    SCB_CPACR |= CPACR_FPU;
#if BOARD_LOW_OVERHEAD_LOOPS
    SCB_CCR |= CCR_LOW_OVERHEAD_LOOPS;
#endif
    __asm volatile("dsb\nisb" ::: "memory");
    memcpy(&data_start, &data_load, (uintptr_t)&data_end - (uintptr_t)&data_start);
    memset(&bss_start, 0, (uintptr_t)&bss_end - (uintptr_t)&bss_start);
    restart_prepare();
    clock_start();
    uart_start();
    semihost_exit(main());
}

static void print_hex(const char *name, uint32_t value) {
    char text[] = " 00000000";
    for (int i = 8; i >= 1; i--, value >>= 4) {
        text[i] = "0123456789abcdef"[value & 15];
    }
    semihost_print(name);
    semihost_print(text);
}

__attribute__((noreturn, used)) void tell_fault(const uint32_t *frame) {
    print_hex("fault: pc", frame[6]);
    print_hex(", lr", frame[5]);
    print_hex(", cfsr", SCB_CFSR);
    print_hex(", bfar", SCB_BFAR);
    print_hex(", sp", (uintptr_t)frame);
    semihost_print("\n");
    semihost_exit(70);
}

__attribute__((naked)) static void fault_handler(void) {
    __asm volatile("mrs r0, msp\n"
                   "b tell_fault\n");
}

// The watchdog was not called in time. A second round would reset the board too.
static void nmi_handler(void) {
    restart_now(RESTART_WATCHDOG);
}

__attribute__((section(".vectors"), used)) const handler_t vectors[16 + EXTERNAL_INTERRUPTS] = {
    (handler_t)&stack_end, reset_handler, nmi_handler,
    fault_handler, // hard
    fault_handler, // memory
    fault_handler, // bus
    fault_handler, // usage
    fault_handler, // secure
    [11] = fault_handler, [12] = fault_handler, [14] = fault_handler, [15] = systick_handler,
    [16 ... 15 + EXTERNAL_INTERRUPTS] = uart_handler, // no other is enabled
};
