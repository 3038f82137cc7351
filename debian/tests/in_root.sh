#!/usr/bin/env bash
# Runs debian/tests/life in a fresh Debian with systemd: debian/tests/in_root.sh RELEASE (bookworm or trixie), as root.
# The package is the newest for that release in dist/. Needs debootstrap, lintian and systemd-container, and installs them.
set -euo pipefail

top=$(cd "$(dirname "$0")/../.." && pwd)
release=${1:?usage: debian/tests/in_root.sh RELEASE}
root=$top/build/root/$release-test
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for command in debootstrap systemd-nspawn node; do
    command -v $command >/dev/null || { apt-get update -qq && apt-get install -y -qq debootstrap systemd-container nodejs; }
done
if [ ! -e "$root/.complete" ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -m1 '/debian/*$' || true)
    rm -rf "$root"
    mkdir -p "$(dirname "$root")"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates,python3,curl,openssl,procps,libstdc++6 \
        "$release" "$root" ${mirror:+"$mirror"} >/dev/null
    echo "127.0.0.1 localhost" >"$root/etc/hosts"
    touch "$root/.complete"
fi

clients=$(readlink -f "$top/tests/e2e/node_modules")
[ -d "$clients" ] || { echo "make node puts the clients into tests/e2e/node_modules" >&2; exit 1; }

number=$(. "$root/etc/os-release" && echo "$VERSION_ID")
package=$(ls -t "$top"/dist/dstwist_*~deb"$number"_*.deb | head -1)
command -v lintian >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends lintian; }
lintian --allow-root --pedantic --fail-on error,warning "$package"
# The version before is the same one under a smaller number.
dpkg-deb -R "$package" "$work/old"
sed -i 's/^Version: .*/Version: 0.0.1/' "$work/old/DEBIAN/control"
dpkg-deb -Zgzip -z1 --root-owner-group -b "$work/old" "$work/old.deb" >/dev/null
cp "$package" "$work/new.deb"
cp "$(readlink -f "$(command -v node)")" "$work/node"

# The root is not changed: writes go to memory. Its only network is its own loopback interface.
export SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1
systemd-nspawn --quiet --boot --directory="$root" --volatile=overlay --private-network --register=no --keep-unit \
    --bind-ro="$top:/dstwist" --bind-ro="$work:/packages" --bind-ro="$clients:/clients" --setenv=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 \
    --capability=all </dev/null >"$work/console" 2>&1 &
nspawn=$!
inside() {
    nsenter -t "$leader" -m -p -u -i -n -C "$@"
}
for _ in $(seq 150); do
    leader=$(pgrep -P $nspawn | head -1 || true)
    [ -n "$leader" ] && inside systemctl is-system-running 2>/dev/null | grep -qE 'running|degraded' && break
    sleep 0.2
done
[ -n "$leader" ] || { cat "$work/console"; exit 1; }

status=0
inside env NODE_PATH=/clients PATH=/packages:/usr/sbin:/usr/bin:/sbin:/bin /dstwist/debian/tests/life /packages/old.deb /packages/new.deb || status=$?
kill -s RTMIN+4 "$leader"
wait $nspawn || true
[ $status = 0 ] && echo "$release: all well"
exit $status
