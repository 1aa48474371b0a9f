# A board for MicroPython's own port `qemu`, whose sources stay as they are: Cortex-M7 with its FPU.
QEMU_ARCH = arm
QEMU_MACHINE = mps2-an500
LDSCRIPT = mcu/arm/mps2.ld

CFLAGS += -mthumb -mcpu=cortex-m7 -mfpu=fpv5-sp-d16 -mfloat-abi=hard
CFLAGS += -DQEMU_SOC_MPS2 -DMICROPY_HW_MCU_NAME='"Cortex-M7"'
MPY_CROSS_FLAGS += -march=armv7emsp

SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o

# The port's start does not switch the FPU on.
SRC_C += $(BOARD_DIR)/fpu.c
LDFLAGS += -Wl,--wrap=mp_semihosting_init
