#!/bin/sh
# build.sh: build/firmware/unix/micropython, MicroPython for this machine with the module `vision`:
# the simulated device. Run it as MICROPYPATH=device/firmware:…:.frozen micropython -X heapsize=8m.
#
# Does nothing when the hash of sources, flags, compiler and processor is that of the last build.
# Kernels are compiled with -O3 -march=native: the binary runs where it was built, and the processor
# is part of the hash, so a cache that travels to another machine builds again instead of dying of
# an unknown instruction.
set -eu

name=unix
ports=$(cd "$(dirname "$0")/.." && pwd)
. "$ports/lib.sh"

port=$ports/unix
kernel_flags="-O3 -march=native"

hash_of_tools() {
    echo "$kernel_flags" "$source"
    cat "$port/build.sh" "$port/fetch_micropython.sh" "$port/mbedtls_config.h" "$ports/lib.sh"
    cc --version
    echo | cc -march=native -E -v - 2>&1 | grep cc1
}

hash_of_sources() {
    cat "$port/manifest.py" "$device"/modules/*/* "$device"/kernels/*.[ch] "$device"/kernels/*/*.[ch]
}

lock
need "command -v cc" gcc
end_if_built "$out/micropython"
need "command -v pkg-config" pkg-config
need "echo '#include <mbedtls/ssl.h>' | cc -E -" libmbedtls-dev
fetch_source
# The Debian source is patched to use the system's mbedTLS; a plain checkout brings its own.
extra_flags=
if grep -q -e "+= -lmbedx509" "$source/extmod/extmod.mk"; then
    extra_flags="-DMBEDTLS_CONFIG_FILE='\"$port/mbedtls_config.h\"'"
elif [ ! -d "$source/lib/mbedtls/library" ]; then
    fail "$source has no submodules yet: make -C $source/ports/unix submodules"
fi

say "building MicroPython with the module vision, about a minute"
fresh_objects
build_or_show_log port_make -C "$source/ports/unix" VARIANT=standard BUILD="$objects/port" \
    MICROPY_PY_BTREE=0 MICROPY_PY_FFI=0 MICROPY_SSL_AXTLS=0 MICROPY_SSL_MBEDTLS=1 \
    FROZEN_MANIFEST="$port/manifest.py" USER_C_MODULES="$device/modules" RESTART=unix \
    VISION_KERNEL_FLAGS="$kernel_flags" CFLAGS_EXTRA="$extra_flags"
cp "$objects/port/micropython" "$out/micropython.new"
mv "$out/micropython.new" "$out/micropython"
built "$out/micropython"
