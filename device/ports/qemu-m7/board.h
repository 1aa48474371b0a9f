// Arm MPS2 with the image AN500: one Cortex-M7 at 25 MHz.
#define BOARD_NAME "mps2-an500"
#define BOARD_CPU "Cortex-M7"
#define BOARD_CLOCK_HZ 25000000
#define BOARD_FPGAIO 0x40028000
#define BOARD_WATCHDOG 0x40008000
#define BOARD_WATCHDOG_HZ BOARD_CLOCK_HZ
#define BOARD_UARTS                                                                                \
    {(cmsdk_uart_t *)0x40004000, (cmsdk_uart_t *)0x40005000, (cmsdk_uart_t *)0x40006000}
#define BOARD_UART_IRQS {0, 1, 2, 3, 4, 5} // receive and send, one after the other
#define BOARD_LOW_OVERHEAD_LOOPS 0
