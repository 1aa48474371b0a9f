# Sourced by the build.sh of each port, which has set `name` (of the port, for messages).

fail() {
    echo "device/ports/$name: $1" >&2
    exit 1
}

# need COMMAND PACKAGE: installed, or installed now (as root), or named.
need() {
    eval "$1" > /dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        echo "device/ports/$name: installing $2" >&2
        # A bare machine has no package lists yet.
        apt-get install -y -qq "$2" > /dev/null 2>&1 ||
            { apt-get update -qq && apt-get install -y -qq "$2"; } > /dev/null 2>&1 || true
    fi
    eval "$1" > /dev/null 2>&1 || fail "package $2 is missing: apt-get install $2"
}

# lock FOLDER: one build at a time; a second caller waits, and then finds the work done.
lock() {
    if [ -z "${MOTEYE_BUILD_LOCKED:-}" ] && command -v flock > /dev/null; then
        MOTEYE_BUILD_LOCKED=1 exec flock "$1/lock" sh "$0"
    fi
}

# build_or_show_log LOGFILE COMMAND…
build_or_show_log() {
    log=$1
    shift
    "$@" > "$log" 2>&1 || {
        tail -n 30 "$log" >&2
        fail "MicroPython does not build; the whole log is $log"
    }
}
