#include "bare.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define CPACR REGISTER(0xE000ED88)
#define CCR REGISTER(0xE000ED14)
#define SYST_CSR REGISTER(0xE000E010)
#define SYST_RVR REGISTER(0xE000E014)
#define SYST_CVR REGISTER(0xE000E018)
#define PAINT 0xDEADBEEFu
#define PAINT_WORDS 8192

extern uint32_t stack_bottom[], stack_top[];
void reset(void);
static uint32_t painted_from;

static void semihosting(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static void fault(void) {
    semihosting(4, "fault\n");
    bare_exit(3);
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {stack_top,
    (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault};

void reset(void) {
    CPACR |= 0xFu << 20; // FPU and MVE
    CCR |= 1u << 19;     // low-overhead loops, where there are any
    __asm__ volatile("dsb\nisb");
    SYST_RVR = 0xFFFFFF;
    SYST_CVR = 0;
    SYST_CSR = 5;
    bare_exit(main());
}

uint32_t bare_ticks(void) {
    return 0xFFFFFF - SYST_CVR;
}

uint32_t bare_ticks_since(uint32_t start) {
    return (bare_ticks() - start) & 0xFFFFFF;
}

void bare_number(const char *name, uint32_t value) {
    char digits[12], *at = digits + 10;
    digits[10] = '\n';
    digits[11] = 0;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    semihosting(4, name);
    semihosting(4, " ");
    semihosting(4, at);
}

void bare_exit(int status) {
    const uint32_t block[2] = {0x20026, (uint32_t)status}; // ADP_Stopped_ApplicationExit
    semihosting(0x20, block);
    for (;;) {
    }
}

__attribute__((noinline)) void bare_stack_paint(void) {
    uint32_t *here = __builtin_frame_address(0);
    painted_from = (uint32_t)here;
    for (uint32_t *p = here - PAINT_WORDS; p < here - 16; p++) {
        *p = PAINT;
    }
}

uint32_t bare_stack_used(void) {
    uint32_t *top = (uint32_t *)painted_from;
    uint32_t *p = top - PAINT_WORDS;
    while (p < top && *p == PAINT) {
        p++;
    }
    return (uint32_t)((char *)top - (char *)p);
}
