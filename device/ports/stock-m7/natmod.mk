# build/firmware/stock-m7/vision.mpy: the module `vision` as a dynamic native module. Called by
# build.sh, which says where things are: MPY_DIR, MPY_CROSS, PYTHON, BUILD, DEVICE.
MOD = vision
ARCH = armv7emsp
# For the 64-bit division.
LINK_RUNTIME = 1
VISION_DIR = $(DEVICE)/modules/vision
# Without the captioner, which only a firmware with the module inside has.
CAPTIONER = $(wildcard $(DEVICE)/kernels/caption*.c $(DEVICE)/kernels/*_q10.c $(DEVICE)/kernels/dot_rows.c \
	$(DEVICE)/kernels/m7/dot_rows*.c $(DEVICE)/kernels/m7/*_q10_m7.c $(DEVICE)/kernels/m7/selective_scan*.c) \
	$(DEVICE)/kernels/selective_scan.c
# Nor operators that few packs need.
FEW_PACKS = $(DEVICE)/kernels/grn_s8.c $(DEVICE)/kernels/m7/grn_s8_m7.c $(DEVICE)/kernels/adaptive_pool_s8.c
SRC = $(VISION_DIR)/natmod.c $(filter-out $(CAPTIONER) $(FEW_PACKS),$(wildcard $(DEVICE)/kernels/*.c $(DEVICE)/kernels/m7/*.c))

# Behind MicroPython's own flags: the M7's FPU, and fast code.
CFLAGS_EXTRA = -std=c11 -mcpu=cortex-m7 -mfpu=fpv5-sp-d16 -O3 -I$(DEVICE)/kernels \
	-Wno-unused-function -ffreestanding

include $(MPY_DIR)/py/dynruntime.mk

$(CONFIG_H): $(VISION_DIR)/objects.h
