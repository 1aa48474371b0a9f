#!/bin/sh
# fetch_micropython.sh TARGET: MicroPython 1.25.0, unpacked and patched, as the folder TARGET.
#
# From the Debian source package, out of the archive that this machine's apt already uses: suite
# trixie is read through private apt folders, so the system's own configuration and package lists
# stay as they are. Both tarballs are checked against the hashes below before they are unpacked.
# MICROPYTHON_DIR=<a checkout of v1.25.0> avoids all of it (build.sh).
set -eu

target=$1
version=1.25.0
orig=micropython_${version}+ds.orig.tar.xz
orig_sha256=7b25be99a502f070b2de81dafc08da7051d992325d6e67daa9045a918fffdbea
debian=micropython_${version}+ds-1.debian.tar.xz
debian_sha256=87cd89f7900c86b963885dabe25acf3e5348815993f1500278ad8f6464465af4

fail() {
    echo "fetch_micropython: $1" >&2
    echo "fetch_micropython: a checkout of MicroPython v$version works too: MICROPYTHON_DIR=/path/to/micropython" >&2
    exit 1
}

# The first URI and keyring that apt is configured with, in either of its two formats.
archive_line() {
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] && awk '
            $1 == "Types:" { deb = $2 == "deb" }
            $1 == "URIs:" && !uri { uri = $2 }
            $1 == "Signed-By:" && !key { key = $2 }
            END { if (uri) print uri, key }' "$file"
    done
    [ -f /etc/apt/sources.list ] && awk '
        $1 == "deb" { i = 2; key = ""
            if ($2 ~ /^\[/) { for (; $i !~ /\]$/; i++); i++
                if (match($0, /signed-by=[^] ]*/)) key = substr($0, RSTART + 10, RLENGTH - 10) }
            print $i, key; exit }' /etc/apt/sources.list
    return 0
}

download() {
    command -v apt-get > /dev/null || fail "no apt-get here, so no Debian source package"
    line=$(archive_line | grep -m 1 debian || true)
    [ -n "$line" ] || fail "apt has no Debian archive configured"
    uri=${line%% *}
    keyring=${line#* }
    [ -n "$keyring" ] || keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    mkdir -p apt/sources apt/lists/partial apt/archives/partial
    printf 'Types: deb-src\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: %s\n' "$uri" "$keyring" \
        > apt/sources/trixie.sources
    set -- -qq -o Dir::Etc::SourceParts="$PWD/apt/sources" -o Dir::Etc::SourceList=/dev/null \
        -o Dir::State::Lists="$PWD/apt/lists" -o Dir::Cache::archives="$PWD/apt/archives" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=
    apt-get "$@" update || fail "apt cannot read suite trixie of the configured archive"
    apt-get "$@" source --download-only "micropython=$version+ds-1" > /dev/null ||
        fail "apt cannot download the source package micropython $version+ds-1"
}

[ -f "$target/py/mpconfig.h" ] && exit 0
mkdir -p "$(dirname "$target")"
target=$(cd "$(dirname "$target")" && pwd)/$(basename "$target")
work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
download
printf '%s  %s\n%s  %s\n' "$orig_sha256" "$orig" "$debian_sha256" "$debian" | sha256sum --check --quiet - ||
    fail "the source package is not the one this build was made for"
mkdir source
tar -xf "$orig" --strip-components 1 -C source
tar -xf "$debian"
# 0006: mbedTLS of the system instead of a submodule. 0007: no look for the submodule micropython-lib.
for number in 0006 0007; do
    cat debian/patches/"$number"-*.patch | patch -s -p1 -d source || fail "patch $number does not apply"
done
mv source "$target"
