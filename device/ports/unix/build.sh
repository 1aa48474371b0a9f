#!/bin/sh
# build.sh: build/firmware/unix/micropython, MicroPython for this machine with the module `vision`:
# the simulated device. Run it as MICROPYPATH=device/firmware:…:.frozen micropython -X heapsize=8m.
#
# Does nothing when the hash of sources, flags, compiler and processor is that of the last build.
# Kernels are compiled with -O3 -march=native: the binary runs where it was built, and the processor
# is part of the hash, so a cache that travels to another machine builds again instead of dying of
# an unknown instruction. MICROPYTHON_DIR=<a checkout of v1.25.0> replaces the Debian source.
set -eu

port=$(cd "$(dirname "$0")" && pwd)
device=$(dirname "$(dirname "$port")")
root=$(dirname "$device")
out=$root/build/firmware/unix
work=$root/build/micropython-unix
source=${MICROPYTHON_DIR:-$root/build/micropython-src/1.25.0}
kernel_flags="-O3 -march=native"

name=unix
. "$device/ports/lib.sh"

# What objects depend on besides their sources: another source tree or compiler starts afresh.
hash_of_tools() {
    {
        echo "$kernel_flags" "$source"
        cat "$port/build.sh" "$port/fetch_micropython.sh" "$port/mbedtls_config.h" "$port/../lib.sh"
        cc --version
        echo | cc -march=native -E -v - 2>&1 | grep cc1
    } | sha256sum | cut -c 1-16
}

hash_of_build() {
    {
        echo "$tools"
        cat "$port/manifest.py" "$device"/modules/vision/* "$device"/kernels/*.[ch] "$device"/kernels/*/*.[ch]
    } | sha256sum | cut -c 1-16
}

mkdir -p "$out" "$work"
lock "$work"

need "command -v cc" gcc
tools=$(hash_of_tools)
hash=$(hash_of_build)
if [ -x "$out/micropython" ] && [ "$(cat "$work/hash" 2> /dev/null)" = "$hash" ]; then
    exit 0
fi
need "command -v make" make
need "command -v patch" patch
need "command -v xz" xz-utils
need "command -v pkg-config" pkg-config
need "command -v python3" python3
need "echo '#include <mbedtls/ssl.h>' | cc -E -" libmbedtls-dev

if [ -z "${MICROPYTHON_DIR:-}" ]; then
    sh "$port/fetch_micropython.sh" "$source"
fi
[ -f "$source/py/mpconfig.h" ] || fail "MICROPYTHON_DIR=$source is no MicroPython source"
# The Debian source is patched to use the system's mbedTLS; a plain checkout brings its own.
extra_flags=
if grep -q -e "+= -lmbedx509" "$source/extmod/extmod.mk"; then
    extra_flags="-DMBEDTLS_CONFIG_FILE='\"$port/mbedtls_config.h\"'"
elif [ ! -d "$source/lib/mbedtls/library" ]; then
    fail "$source has no submodules yet: make -C $source/ports/unix submodules"
fi

echo "device/ports/unix: building MicroPython with the module vision, about a minute" >&2
rm -f "$work/hash"
objects=$work/$tools
for old in "$work"/*/; do
    [ "$old" = "$objects/" ] || rm -rf "$old"
done
mkdir -p "$objects"
jobs=$(nproc 2> /dev/null || echo 2)
build() {
    make -C "$source/mpy-cross" -j "$jobs" BUILD="$objects/mpy-cross" USER_C_MODULES= &&
        make -C "$source/ports/unix" -j "$jobs" VARIANT=standard BUILD="$objects/port" \
            MICROPY_MPYCROSS="$objects/mpy-cross/mpy-cross" \
            MICROPY_MPYCROSS_DEPENDENCY="$objects/mpy-cross/mpy-cross" \
            MICROPY_PY_BTREE=0 MICROPY_PY_FFI=0 MICROPY_SSL_AXTLS=0 MICROPY_SSL_MBEDTLS=1 \
            FROZEN_MANIFEST="$port/manifest.py" USER_C_MODULES="$device/modules" \
            VISION_KERNEL_FLAGS="$kernel_flags" CFLAGS_EXTRA="$extra_flags"
}
build_or_show_log "$work/build.log" build
cp "$objects/port/micropython" "$out/micropython.new"
mv "$out/micropython.new" "$out/micropython"
echo "$hash" > "$work/hash"
echo "device/ports/unix: built $out/micropython ($(wc -c < "$out/micropython") bytes)" >&2
