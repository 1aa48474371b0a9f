// Arm MPS3 with the image AN547: one Cortex-M55 with Helium at 32 MHz, in its secure state.
#define BOARD_NAME "mps3-an547"
#define BOARD_CPU "Cortex-M55"
#define BOARD_CLOCK_HZ 32000000
#define BOARD_FPGAIO 0x59302000
#define BOARD_WATCHDOG 0x5802e000
#define BOARD_WATCHDOG_HZ 32768
#define BOARD_UARTS                                                                                \
    {(cmsdk_uart_t *)0x59303000, (cmsdk_uart_t *)0x59304000, (cmsdk_uart_t *)0x59305000}
#define BOARD_UART_IRQS {43, 44, 45} // each both directions
#define BOARD_LOW_OVERHEAD_LOOPS 1
