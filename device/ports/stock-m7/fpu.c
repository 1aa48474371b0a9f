// Switches the FPU on before MicroPython's port `qemu` does anything else.
#include <stdint.h>

#define CPACR (*(volatile uint32_t *)0xE000ED88)

void __real_mp_semihosting_init(void);
void __wrap_mp_semihosting_init(void);

void __wrap_mp_semihosting_init(void) {
    CPACR |= 0xFu << 20;
    __asm volatile("dsb\nisb" ::: "memory");
    __real_mp_semihosting_init();
}
