# Sourced by the build.sh of each port, which has set `name` (of the port) and `ports` (this folder).
# MICROPYTHON_DIR=<a checkout of v1.25.0> replaces the Debian source.
device=$(dirname "$ports")
root=$(dirname "$device")
out=$root/build/firmware/$name
work=$root/build/micropython-$name
source=${MICROPYTHON_DIR:-$root/build/micropython-src/1.25.0}
jobs=$(nproc 2> /dev/null || echo 2)

say() {
    echo "device/ports/$name: $1" >&2
}

fail() {
    say "$1"
    exit 1
}

# need COMMAND PACKAGE: installed, or installed now (as root), or named.
need() {
    eval "$1" > /dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        say "installing $2"
        # A bare machine has no package lists yet.
        apt-get install -y -qq "$2" > /dev/null 2>&1 ||
            { apt-get update -qq && apt-get install -y -qq "$2"; } > /dev/null 2>&1 || true
    fi
    eval "$1" > /dev/null 2>&1 || fail "package $2 is missing: apt-get install $2"
}

# lock: one build of a port at a time; a second caller waits, and then finds the work done.
lock() {
    mkdir -p "$out" "$work"
    if [ -z "${MOTEYE_BUILD_LOCKED:-}" ] && command -v flock > /dev/null; then
        MOTEYE_BUILD_LOCKED=1 exec flock "$work/lock" sh "$0"
    fi
}

# end_if_built FILE: nothing to do where it has the hash of what it would be built from. Calls
# hash_of_tools (what objects depend on besides their sources) and hash_of_sources.
end_if_built() {
    tools=$(hash_of_tools | sha256sum | cut -c 1-16)
    hash=$({ echo "$tools" && hash_of_sources; } | sha256sum | cut -c 1-16)
    if [ -f "$1" ] && [ "$(cat "$work/hash" 2> /dev/null)" = "$hash" ]; then
        exit 0
    fi
}

# fetch_source: MicroPython's source, and what its makefiles call.
fetch_source() {
    need "command -v make" make
    need "command -v patch" patch
    need "command -v xz" xz-utils
    need "command -v python3" python3
    [ -n "${MICROPYTHON_DIR:-}" ] || sh "$ports/unix/fetch_micropython.sh" "$source"
    [ -f "$source/py/mpconfig.h" ] || fail "MICROPYTHON_DIR=$source is no MicroPython source"
}

# fresh_objects: the folder of these tools' objects; those of others go.
fresh_objects() {
    rm -f "$work/hash"
    objects=$work/$tools
    for old in "$work"/*/; do
        [ "$old" = "$objects/" ] || rm -rf "$old"
    done
    mkdir -p "$objects"
}

# port_make ARGUMENT…: MicroPython's compiler for Python, then make with it.
port_make() {
    make -C "$source/mpy-cross" -j "$jobs" BUILD="$objects/mpy-cross" USER_C_MODULES= &&
        make -j "$jobs" MICROPY_MPYCROSS="$objects/mpy-cross/mpy-cross" \
            MICROPY_MPYCROSS_DEPENDENCY="$objects/mpy-cross/mpy-cross" "$@"
}

# build_or_show_log COMMAND…
build_or_show_log() {
    "$@" > "$work/build.log" 2>&1 || {
        tail -n 30 "$work/build.log" >&2
        fail "MicroPython does not build; the whole log is $work/build.log"
    }
}

# built FILE: remember that it is what its sources say.
built() {
    echo "$hash" > "$work/hash"
    say "built $1 ($(wc -c < "$1") bytes)"
}
