#!/bin/sh
# build.sh: build/firmware/$PORT/firmware.elf, MicroPython for an emulated Cortex-M board with the
# module `vision`, the firmware and the model pack. PORT: qemu-m7 or qemu-m55.
#
# Does nothing when the hash of sources, flags and compiler is that of the last build.
set -eu

name=${PORT:?say PORT=qemu-m7 or PORT=qemu-m55}
ports=$(cd "$(dirname "$0")/.." && pwd)
. "$ports/lib.sh"

common=$ports/qemu
board=$ports/$name
pack=${PACK:-$device/models/accurate/encoder.mpk}
captions=${CAPTION_PACK:-$device/models/accurate/captions.cpk}
kernel_flags="-O3"

hash_of_tools() {
    echo "$kernel_flags" "$source" "$pack" "$captions"
    cat "$common/build.sh" "$common/Makefile" "$board/board.mk" "$ports/lib.sh"
    arm-none-eabi-gcc --version
    cc --version
}

hash_of_sources() {
    cat "$pack" "$captions"
    find "$common" "$board" "$device/modules" "$device/kernels" "$device/firmware" \
        "$root/protocol/moteye_protocol" -type f -not -name '*.pyc' | LC_ALL=C sort | xargs cat
}

[ -f "$board/board.mk" ] || fail "there is no such port"
lock
need "command -v cc" gcc
need "command -v arm-none-eabi-gcc" gcc-arm-none-eabi
end_if_built "$out/firmware.elf"
need "echo '#include <string.h>' | arm-none-eabi-gcc -E -" libnewlib-arm-none-eabi
fetch_source

say "building MicroPython for $name, about a minute"
fresh_objects
build_or_show_log port_make -C "$common" MPY_DIR="$source" BUILD="$objects/port" \
    BOARD_FOLDER="$board" PACK="$pack" CAPTION_PACK="$captions" VISION_KERNEL_FLAGS="$kernel_flags"
arm-none-eabi-objcopy --strip-debug "$objects/port/firmware.elf" "$out/firmware.elf.new"
mv "$out/firmware.elf.new" "$out/firmware.elf"
built "$out/firmware.elf"
