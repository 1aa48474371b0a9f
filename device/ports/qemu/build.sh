#!/bin/sh
# build.sh: build/firmware/$PORT/firmware.elf, MicroPython for an emulated Cortex-M board with the
# module `vision`, the firmware and the model pack. PORT: qemu-m7 or qemu-m55.
#
# Does nothing when the hash of sources, flags and compiler is that of the last build.
# MICROPYTHON_DIR=<a checkout of v1.25.0> replaces the Debian source (../unix/fetch_micropython.sh).
set -eu

name=${PORT:?say PORT=qemu-m7 or PORT=qemu-m55}
common=$(cd "$(dirname "$0")" && pwd)
ports=$(dirname "$common")
device=$(dirname "$ports")
root=$(dirname "$device")
board=$ports/$name
out=$root/build/firmware/$name
work=$root/build/micropython-$name
pack=${PACK:-$device/models/fast/encoder.mpk}
source=${MICROPYTHON_DIR:-$root/build/micropython-src/1.25.0}
kernel_flags="-O3"

. "$ports/lib.sh"

# What objects depend on besides their sources: another source tree or compiler starts afresh.
hash_of_tools() {
    {
        echo "$kernel_flags" "$source" "$pack"
        cat "$common/build.sh" "$common/Makefile" "$board/board.mk" "$ports/lib.sh"
        arm-none-eabi-gcc --version
        cc --version
    } | sha256sum | cut -c 1-16
}

hash_of_build() {
    {
        echo "$tools"
        cat "$pack"
        find "$common" "$board" "$device/modules" "$device/kernels" "$device/firmware" \
            "$root/protocol/moteye_protocol" -type f -not -name '*.pyc' | LC_ALL=C sort | xargs cat
    } | sha256sum | cut -c 1-16
}

mkdir -p "$out" "$work"
lock "$work"

[ -f "$board/board.mk" ] || fail "there is no such port"
need "command -v cc" gcc
need "command -v arm-none-eabi-gcc" gcc-arm-none-eabi
tools=$(hash_of_tools)
hash=$(hash_of_build)
if [ -f "$out/firmware.elf" ] && [ "$(cat "$work/hash" 2> /dev/null)" = "$hash" ]; then
    exit 0
fi
need "command -v make" make
need "command -v patch" patch
need "command -v xz" xz-utils
need "command -v python3" python3
need "echo '#include <string.h>' | arm-none-eabi-gcc -E -" libnewlib-arm-none-eabi

if [ -z "${MICROPYTHON_DIR:-}" ]; then
    sh "$ports/unix/fetch_micropython.sh" "$source"
fi
[ -f "$source/py/mpconfig.h" ] || fail "MICROPYTHON_DIR=$source is no MicroPython source"

echo "device/ports/$name: building MicroPython for $name, about a minute" >&2
rm -f "$work/hash"
objects=$work/$tools
for old in "$work"/*/; do
    [ "$old" = "$objects/" ] || rm -rf "$old"
done
mkdir -p "$objects"
jobs=$(nproc 2> /dev/null || echo 2)
build() {
    make -C "$source/mpy-cross" -j "$jobs" BUILD="$objects/mpy-cross" USER_C_MODULES= &&
        make -C "$common" -j "$jobs" MPY_DIR="$source" BUILD="$objects/port" BOARD_FOLDER="$board" \
            PACK="$pack" VISION_KERNEL_FLAGS="$kernel_flags" \
            MICROPY_MPYCROSS="$objects/mpy-cross/mpy-cross" \
            MICROPY_MPYCROSS_DEPENDENCY="$objects/mpy-cross/mpy-cross"
}
build_or_show_log "$work/build.log" build
arm-none-eabi-objcopy --strip-debug "$objects/port/firmware.elf" "$out/firmware.elf.new"
mv "$out/firmware.elf.new" "$out/firmware.elf"
echo "$hash" > "$work/hash"
echo "device/ports/$name: built $out/firmware.elf" \
    "($(arm-none-eabi-size "$out/firmware.elf" | awk 'NR == 2 { print $1 + $2 }') bytes of flash)" >&2
