#!/usr/bin/env bash
# Installs what the project needs, and nothing that is there already.
#
#   deploy/install.sh runtime   .venv with the locked dependencies and the command dynamo
#   deploy/install.sh test      the same and what tests and checks need
#   deploy/install.sh servers   the programs of MariaDB, Redis, XRootD and nginx, without starting a
#                               service, and what checks the files of deploy/
#
# What only the system can give comes by apt where root or sudo is at hand.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VENV=.venv
readonly POLICY=/usr/sbin/policy-rc.d

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "install: $*"
    exit 1
}

# --- the system's own packages -------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

can_be_root() {
    [ "$(id -u)" -eq 0 ] && return 0
    command -v sudo >/dev/null || return 1
    sudo -n true 2>/dev/null || [ -t 0 ] # with a terminal sudo can ask for the password
}

apt_install() {
    local reason=$1
    shift
    command -v apt-get >/dev/null || fail "$reason; install $* with your system's package manager"
    can_be_root || fail "$reason; ask an administrator: apt-get install -y --no-install-recommends $*"
    say "install: $reason; getting $* by apt"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
    as_root "${apt[@]}" update >&2
    as_root "${apt[@]}" install -y --no-install-recommends "$@" >&2
}

# A package that brings a service would start it. Nobody asked for that: tests start servers of
# their own.
quietly() {
    if [ -e "$POLICY" ]; then
        "$@"
        return
    fi
    trap 'as_root rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
    "$@"
    as_root rm -f "$POLICY"
    trap - EXIT
}

has() {
    PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null
}

servers() {
    local missing=()
    has mariadbd && has mariadb-install-db || missing+=(mariadb-server)
    has redis-server || has valkey-server || missing+=(redis-server)
    has xrootd || missing+=(xrootd-server)
    has xrdcp || missing+=(xrootd-client)
    has nginx || missing+=(nginx)
    has systemd-analyze || missing+=(systemd)
    has docker-compose || missing+=(docker-compose) # to read a compose file no engine is needed
    if [ ${#missing[@]} -gt 0 ]; then
        can_be_root || fail "${missing[*]} missing; ask an administrator:" \
            "apt-get install -y --no-install-recommends ${missing[*]}"
        quietly apt_install "the tests run on real servers" "${missing[@]}"
    fi
}

# --- Python --------------------------------------------------------------------------------------

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null && new_enough "$name"; then
            command -v "$name"
            return
        fi
    done
    return 1
}

make_venv() {
    local python
    python=$(find_python) || {
        apt_install "Python 3.11 or newer is missing" python3 python3-venv
        python=$(find_python) || fail "Python 3.11 or newer is needed"
    }
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        local version
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        apt_install "this Python cannot make virtual environments" "python$version-venv"
    fi
    "$python" -m venv --clear "$VENV"
}

# What is installed is right when nothing that it was made from has changed, this folder included:
# a virtual environment cannot be moved.
mark() {
    { pwd && cat "$1" pyproject.toml && "$VENV/bin/python" --version; } 2>&1 | sha256sum
}

# Tests need all that runs as well: with their dependencies there, those are in place.
python_packages() {
    local lock stamp kind
    for kind in "$@"; do
        lock=requirements.lock
        [ "$kind" = test ] && lock=requirements-test.lock
        stamp="$VENV/installed-$kind"
        [ -e "$stamp" ] && [ "$(mark "$lock")" = "$(cat "$stamp")" ] && return
    done
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || make_venv
    say "install: Python packages of $lock into $VENV"
    local pip=("$VENV/bin/python" -m pip --quiet --disable-pip-version-check --no-input install)
    "${pip[@]}" --require-hashes --only-binary :all: --requirement "$lock"
    "${pip[@]}" --no-deps --no-build-isolation --editable .
    mark "$lock" >"$stamp"
}

case "${1:-}" in
    runtime) python_packages test runtime ;;
    test) python_packages test ;;
    servers) servers ;;
    *) fail "usage: deploy/install.sh runtime|test|servers" ;;
esac
