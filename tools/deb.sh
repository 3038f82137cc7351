#!/usr/bin/env bash
# Builds the Debian package into dist/: for this machine's distribution, or for another one in a root of its own.
#
#   tools/deb.sh             for the Debian release that runs here
#   tools/deb.sh trixie      for another one: makes build/root/trixie with debootstrap, as root
#
# What it needs comes by apt-get. The version is that of debian/changelog, with "~deb12" or "~deb13" behind it, so that
# after an upgrade of Debian the package for the new release counts as newer.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
here=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
release=${1:-$here}

fail() {
    echo "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -E "$@"; fi
}

apt_get() {
    as_root "${@:2}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 $1 >/dev/null
}

# The files of this checkout, changed ones too, but nothing that was made here.
copy_sources() {
    mkdir -p "$1"
    (cd "$top" && git ls-files -co --exclude-standard -z | grep -zv -e '^\.venv$' -e '/node_modules$' |
        tar --null --ignore-failed-read -cf - -T -) | tar -xf - -C "$1"
}

# Usage: build SOURCES [COMMAND that runs a command in the root]
build() {
    local number
    number=$("${@:2}" sh -c '. /etc/os-release && echo "$VERSION_ID"')
    sed -i "1s/^\(dstwist (\)\([^)]*\)) unstable/\1\2~deb$number) $release/" "$1/debian/changelog"
    apt_get update "${@:2}"
    as_root "${@:2}" sh -c "cd '${inside:-$1}' && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 build-dep ./ >/dev/null"
    as_root "${@:2}" sh -c "cd '${inside:-$1}' && dpkg-buildpackage --build=binary --no-sign" >"$1.log" 2>&1 ||
        { tail -40 "$1.log" >&2; fail "The build failed; $1.log has all of it."; }
    mkdir -p "$top/dist"
    cp "$(dirname "$1")"/dstwist_*~deb"$number"_*.deb "$top/dist/"
    ls "$top"/dist/dstwist_*~deb"$number"_*.deb
}

[ -n "$release" ] || fail "This is no Debian; name the release to build for: make deb DIST=bookworm"
work=$top/build/deb/$release
as_root rm -rf "$work"
mkdir -p "$work"

if [ "$release" = "$here" ]; then
    command -v dpkg-buildpackage >/dev/null || { apt_get update && apt_get "-y --no-install-recommends install dpkg-dev"; }
    copy_sources "$work/dstwist"
    build "$work/dstwist"
    exit
fi

root=$top/build/root/$release
if [ ! -e "$root/.complete" ]; then
    command -v debootstrap >/dev/null || { apt_get update && apt_get "-y --no-install-recommends install debootstrap"; }
    echo "Making $root ..."
    # The mirror is the one that this machine uses.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/*$' || true)
    as_root rm -rf "$root"
    mkdir -p "$(dirname "$root")"
    as_root debootstrap --variant=minbase --include=ca-certificates,build-essential "$release" "$root" $mirror >/dev/null ||
        fail "debootstrap failed: see $root/debootstrap/debootstrap.log"
    as_root touch "$root/.complete"
fi
# pip in there asks the same index as here, and trusts the same certificates.
as_root cp /etc/resolv.conf "$root/etc/resolv.conf"
as_root cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
[ ! -e /etc/pip.conf ] || as_root cp /etc/pip.conf "$root/etc/pip.conf"
inside=/build/dstwist
as_root rm -rf "$root/build"
copy_sources "$work/dstwist"
as_root mkdir -p "$root/build"
as_root cp -R "$work/dstwist" "$root/build/"
work_inside=$root/build/dstwist
build "$work_inside" chroot "$root"
