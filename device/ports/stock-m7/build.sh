#!/bin/sh
# build.sh: build/firmware/stock-m7/firmware.elf, MicroPython's own port `qemu` as it is, on an emulated
# Cortex-M7 and without a line of this project, and build/firmware/stock-m7/vision.mpy, the module
# `vision` that it loads. PYTHON: one with pyelftools and ar.
#
# Does nothing when the hash of sources, flags and compiler is that of the last build.
set -eu

name=stock-m7
ports=$(cd "$(dirname "$0")/.." && pwd)
. "$ports/lib.sh"

port=$ports/stock-m7
python=${PYTHON:-$root/.venv/bin/python}

hash_of_tools() {
    echo "$source"
    cat "$port"/* "$ports/lib.sh"
    arm-none-eabi-gcc --version
    cc --version
}

hash_of_sources() {
    cat "$device"/modules/vision/*.[ch] "$device"/kernels/*.[ch] "$device"/kernels/m7/*.[ch]
}

build() {
    port_make -C "$source/ports/qemu" BOARD=stock-m7 BOARD_DIR="$port" BUILD="$objects/port" \
        FROZEN_MANIFEST= MICROPY_SSL_MBEDTLS=0 MICROPY_PY_BTREE=0 MICROPY_HEAP_SIZE=524288 &&
        mkdir -p "$objects/natmod" &&
        cp "$port/natmod.mk" "$objects/natmod/Makefile" &&
        make -C "$objects/natmod" -j "$jobs" MPY_DIR="$source" PYTHON="$python" DEVICE="$device" \
            MPY_CROSS="$objects/mpy-cross/mpy-cross"
}

lock
need "command -v cc" gcc
need "command -v arm-none-eabi-gcc" gcc-arm-none-eabi
end_if_built "$out/vision.mpy"
need "echo '#include <string.h>' | arm-none-eabi-gcc -E -" libnewlib-arm-none-eabi
"$python" -c "import ar, elftools" 2> /dev/null || fail "$python needs the packages pyelftools and ar"
fetch_source

say "building a stock MicroPython and the module vision for it, about a minute"
fresh_objects
build_or_show_log build
cp "$objects/port/firmware.elf" "$out/firmware.elf"
cp "$objects/natmod/vision.mpy" "$out/vision.mpy"
built "$out/vision.mpy"
