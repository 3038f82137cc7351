#!/usr/bin/env bash
# Finds what must come from the system, and installs it with apt-get where it is missing.
#
#   tools/ensure.sh which-python     print the newest fitting interpreter, "python3" if there is none
#   tools/ensure.sh python COMMAND   COMMAND is new enough and can make virtual environments
#   tools/ensure.sh node             Node.js and npm are there
#   tools/ensure.sh redis            redis-server is there; no Redis runs because of it
#   tools/ensure.sh promtool         promtool, which checks files for Prometheus, is there or in .clients/promtool
#   tools/ensure.sh nats             nats-server, which dstwist is compared with, is there or in .bench/nats-server
set -euo pipefail

OLDEST_PYTHON='(3, 11)'
OLDEST_NODE=18
OLDEST_REDIS=7

fail() {
    echo "$*" >&2
    exit 1
}

fits() {
    command -v "$1" >/dev/null && "$1" -c "import sys; sys.exit(sys.version_info < $OLDEST_PYTHON)" 2>/dev/null
}

apt_install() {
    local root=()
    command -v apt-get >/dev/null || fail "Missing: $*. There is no apt-get here, so please install it yourself."
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "Missing: $*. Neither root nor sudo, so please run: apt-get install $*"
        root=(sudo)
    fi
    echo "Installing $* with apt-get ..."
    "${root[@]}" apt-get update -qq || echo "apt-get update failed, trying with the lists that are there" >&2
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        fail "Could not install $*; see above."
}

# Takes one program out of a package, without installing the package: fetch_program PATH PACKAGE FOLDER
fetch_program() {
    local path=$1 package=$2 own=$3
    local program=${path##*/}
    if command -v "$program" >/dev/null || [ -x "$own/$path" ]; then
        return
    fi
    command -v apt-get >/dev/null || fail "Missing: $program. There is no apt-get here, so please install it yourself."
    echo "Fetching $program of the package $package with apt-get ..."
    rm -rf "$own"
    mkdir -p "$own"
    (
        root=()
        [ "$(id -u)" = 0 ] || root=(sudo)
        cd "$own"
        apt-get download -qq "$package" >/dev/null 2>&1 ||
            { "${root[@]}" apt-get update -qq && apt-get download -qq "$package" >/dev/null; }
    ) && dpkg --fsys-tarfile "$own/$package"_*.deb | tar -x -C "$own" "./$path" && rm "$own/$package"_*.deb ||
        fail "Could not fetch $program; see above."
}

case "${1:-}" in
which-python)
    for candidate in python3 python3.13 python3.12 python3.11; do
        if fits "$candidate"; then
            echo "$candidate"
            exit
        fi
    done
    echo python3
    ;;
python)
    python=$2
    command -v "$python" >/dev/null || apt_install python3 python3-venv
    fits "$python" || fail "dstwist needs Python 3.11 or newer; $python is $("$python" -V 2>&1). Name another: make PYTHON=... "
    # Debian splits ensurepip off; without it "python3 -m venv" fails half-way.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        apt_install "$("$python" -c 'import os, sys; name = os.path.basename(os.path.realpath(sys.executable)); print(name + "-venv")')"
        "$python" -c 'import ensurepip, venv' || fail "$python still cannot make a virtual environment."
    fi
    ;;
node)
    missing=()
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    # Not for Node.js, but for the tests of TLS.
    command -v openssl >/dev/null || missing+=(openssl)
    # For the test of the unit.
    command -v systemd-analyze >/dev/null || missing+=(systemd)
    [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
    node -e "process.exit(parseInt(process.versions.node) < $OLDEST_NODE ? 1 : 0)" ||
        fail "The tests need Node.js $OLDEST_NODE or newer; this is $(node --version)."
    ;;
redis)
    if ! command -v redis-server >/dev/null; then
        apt_install redis-server
        # The package may start a Redis of its own, and have it start with the machine. The tests start theirs.
        root=()
        [ "$(id -u)" = 0 ] || root=(sudo)
        "${root[@]}" service redis-server stop >/dev/null 2>&1 || true
        "${root[@]}" update-rc.d redis-server disable >/dev/null 2>&1 || true
    fi
    version=$(redis-server --version | sed -E 's/.* v=([0-9]+)\..*/\1/')
    [ "$version" -ge $OLDEST_REDIS ] || fail "The tests need Redis $OLDEST_REDIS or newer; this is $(redis-server --version)."
    ;;
promtool)
    # The package would start a Prometheus, and have it start with the machine. One program of it is enough.
    fetch_program usr/bin/promtool prometheus .clients/promtool
    ;;
nats)
    # The same, for a NATS server.
    fetch_program usr/sbin/nats-server nats-server .bench/nats-server
    ;;
*)
    fail "usage: $0 which-python | python COMMAND | node | redis | promtool | nats"
    ;;
esac
