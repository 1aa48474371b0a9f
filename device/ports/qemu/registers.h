// The registers that this port writes: of the core, and of the two peripherals that the MPS2 and
// MPS3 boards share.
#ifndef MOTEYE_REGISTERS_H
#define MOTEYE_REGISTERS_H

#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))

#define SYSTICK_CTRL REG(0xe000e010)
#define SYSTICK_LOAD REG(0xe000e014)
#define SYSTICK_VALUE REG(0xe000e018)
#define NVIC_ENABLE(irq) REG(0xe000e100 + 4 * ((irq) / 32))
#define SCB_VTOR REG(0xe000ed08)
#define SCB_AIRCR REG(0xe000ed0c)
#define SCB_CCR REG(0xe000ed14)
#define SCB_CFSR REG(0xe000ed28)
#define SCB_BFAR REG(0xe000ed38)
#define SCB_CPACR REG(0xe000ed88)

#define SYSTICK_ON 7           // counts the core's clock, interrupts
#define AIRCR_RESET 0x05fa0004 // with the key that such a write needs
#define CPACR_FPU (0xfu << 20) // CP10 and CP11: FPU, and on the M55 Helium
#define CCR_LOW_OVERHEAD_LOOPS (1 << 19)

// FPGAIO: a counter that runs at any rate that divides the clock.
#define FPGAIO_COUNTER REG(BOARD_FPGAIO + 0x18)
#define FPGAIO_PRESCALE REG(BOARD_FPGAIO + 0x1c)

// CMSDK APB watchdog: counts down, raises an NMI, counts down again, resets.
#define WATCHDOG_LOAD REG(BOARD_WATCHDOG + 0x000)
#define WATCHDOG_CONTROL REG(BOARD_WATCHDOG + 0x008)
#define WATCHDOG_CLEAR REG(BOARD_WATCHDOG + 0x00c)
#define WATCHDOG_LOCK REG(BOARD_WATCHDOG + 0xc00)

#define WATCHDOG_KEY 0x1acce551
#define WATCHDOG_ON 3 // interrupt and reset

// CMSDK APB UART
typedef struct {
    volatile uint32_t data, state, control, interrupt, baud_divisor;
} cmsdk_uart_t;

#define UART_TX_FULL 1
#define UART_RX_FULL 2
#define UART_ENABLE 0x3 // both directions
#define UART_TX_INTERRUPT 0x4
#define UART_RX_INTERRUPT 0x8

#endif
