CPU_FLAGS = -mcpu=cortex-m55 -mthumb -mfloat-abi=hard
