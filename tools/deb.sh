#!/usr/bin/env bash
# Builds the Debian package into dist/: for this machine's distribution, or for another one in a root of its own.
#
#   tools/deb.sh             for the Debian release that runs here
#   tools/deb.sh trixie      for another one: makes build/root/trixie with debootstrap, as root
#
# Installs missing packages with apt-get. The version is that of debian/changelog, with "~deb12" or "~deb13" behind it, so that
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
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        command -v sudo >/dev/null || fail "This needs root, or sudo."
        sudo -E "$@"
    fi
}

# Usage: apt_get [COMMAND that runs a command elsewhere...] -- ARGUMENT...
apt_get() {
    local elsewhere=()
    while [ "$1" != -- ]; do
        elsewhere+=("$1")
        shift
    done
    as_root "${elsewhere[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "${@:2}" >/dev/null
}

# Usage: need COMMAND [PACKAGE]
need() {
    command -v "$1" >/dev/null || { apt_get -- update && apt_get -- install -y --no-install-recommends "${2:-$1}"; }
}

[ -n "$release" ] || fail "This is no Debian; name the release to build for: make deb DIST=bookworm"
git -C "$top" rev-parse --git-dir >/dev/null || fail "git cannot list the files of $top. In unpacked sources dpkg-buildpackage builds the package."
work=$top/build/deb/$release
as_root rm -rf "$work"
mkdir -p "$work" "$top/dist"

if [ "$release" = "$here" ]; then
    need dpkg-buildpackage dpkg-dev
    elsewhere=()
    build=$work
    inside=$work
else
    root=$top/build/root/$release
    if [ ! -e "$root/.complete" ]; then
        need debootstrap
        echo "Making $root ..." >&2
        # The mirror is the one that this machine uses.
        mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/*$' || true)
        as_root rm -rf "$root"
        mkdir -p "$(dirname "$root")"
        as_root debootstrap --variant=minbase --include=ca-certificates,build-essential "$release" "$root" \
            ${mirror:+"$mirror"} >"$work/debootstrap.log" || fail "debootstrap failed: see $work/debootstrap.log"
        as_root touch "$root/.complete"
    fi
    # pip in there asks the same index as here, and trusts the same certificates.
    for file in /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt /etc/pip.conf; do
        [ ! -e $file ] || as_root cp $file "$root$file"
    done
    elsewhere=(chroot "$root")
    build=$root/build
    inside=/build
    as_root rm -rf "$build"
    as_root install -d -o "$(id -u)" -g "$(id -g)" "$build"
fi

# The files of this checkout, with uncommitted changes, but without generated files.
mkdir "$build/dstwist"
(cd "$top" && git ls-files -co --exclude-standard -z | grep -zv -e '^\.venv$' -e '/node_modules$' |
    tar --null --ignore-failed-read -cf - -T -) | tar -xf - -C "$build/dstwist"
number=$(. "${root:-}/etc/os-release" && echo "$VERSION_ID")
sed -i "1s/^\(dstwist (\)\([^)]*\)) unstable/\1\2~deb$number) $release/" "$build/dstwist/debian/changelog"

apt_get "${elsewhere[@]}" -- update
apt_get "${elsewhere[@]}" -- build-dep -y --no-install-recommends "$inside/dstwist/"
as_root "${elsewhere[@]}" sh -c 'cd "$1" && exec dpkg-buildpackage --build=binary --no-sign' sh "$inside/dstwist" \
    >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; fail "The build failed; $work/build.log has all of it."; }
for package in "$build"/dstwist_*.deb; do
    cp "$package" "$top/dist/"
    echo "$top/dist/$(basename "$package")"
done
