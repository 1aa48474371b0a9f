# The module `restart`, for our ports, which have no `machine.WDT`: they say RESTART=<their name>. The
# emulated boards bring their own restart.c.
ifneq ($(RESTART),)
SRC_USERMOD_C += $(USERMOD_DIR)/modrestart.c
CFLAGS_USERMOD += -I$(USERMOD_DIR)
ifeq ($(RESTART),unix)
SRC_USERMOD_C += $(USERMOD_DIR)/restart_unix.c
endif
endif
