# The vision module: a thin binding over device/kernels. Read through USER_C_MODULES.
VISION_DIR := $(USERMOD_DIR)
KERNELS_DIR := $(abspath $(VISION_DIR)/../../kernels)
VISION_KERNELS := $(sort $(wildcard $(KERNELS_DIR)/*.c $(KERNELS_DIR)/*/*.c))
# VISION_OPERATORS=<file written by moteye model compile --operators>: those of one model, to save
# flash. It must be an absolute path.
ifneq ($(VISION_OPERATORS),)
VISION_KERNELS := $(filter-out %/model_operators.c,$(VISION_KERNELS)) $(VISION_OPERATORS)
endif

SRC_USERMOD_C += $(VISION_DIR)/modvision.c
SRC_USERMOD_LIB_C += $(VISION_KERNELS)
CFLAGS_USERMOD += -I$(KERNELS_DIR)

# The kernels are the time of a frame: fast code there, whatever the port prefers elsewhere.
VISION_KERNEL_FLAGS ?= -O3
$(addprefix $(BUILD)/, $(VISION_KERNELS:.c=.o)): CFLAGS += $(VISION_KERNEL_FLAGS)
