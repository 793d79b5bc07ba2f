# shellcheck shell=bash
# What scripts/demo and scripts/test share: saying things, building, and installing what a fresh Debian lacks.
# Sourced, never run. Callers set `set -euo pipefail` and stand in the repository's root.

# What is downloaded or built once for this user: every clone finds it again.
readonly CACHE="${KAREZ_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/karez}"

fail() {
    printf '\n%s: %s\n' "$(basename "$0")" "$1" >&2
    shift
    local line
    for line in "$@"; do
        printf '    %s\n' "$line" >&2
    done
    exit 1
}

# run_quietly WHAT COMMAND…: shows the command's output only when it fails.
run_quietly() {
    local what=$1 log
    shift
    log=$(mktemp)
    printf '%s …\n' "$what"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# need_packages WHY PACKAGE…: installs Debian packages, or says exactly what to install and why.
need_packages() {
    local why=$1 as_root=()
    shift
    local by_hand="apt-get update && apt-get install $*"
    if ! command -v apt-get >/dev/null; then
        fail "$why needs the equivalent of these Debian packages: $*" \
            "There is no apt-get here; install them with this system's own tool and run the command again."
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null || ! sudo -v; then
            fail "$why needs Debian packages, and installing them needs root" "Run as root: $by_hand"
        fi
        as_root=(sudo)
    fi
    run_quietly "Installing for $why: $*" "${as_root[@]}" sh -c \
        "export DEBIAN_FRONTEND=noninteractive; apt-get update && apt-get install -y --no-install-recommends $*" ||
        fail "the packages for $why could not be installed" "Run as root: $by_hand"
}

# What an agent and its tests need: root for namespaces, and the programs that are driven.
need_tunnel_packages() {
    if [ "$(id -u)" -ne 0 ]; then
        fail "tunnels are made in network namespaces, which needs root" "Run the same command as root."
    fi
    local wanted missing=()
    for wanted in /usr/lib/ipsec/charon:strongswan-charon /usr/sbin/swanctl:strongswan-swanctl \
        /usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so:libcharon-extra-plugins \
        /usr/lib/ipsec/plugins/libstrongswan-gcm.so:libstrongswan-standard-plugins \
        /usr/lib/ipsec/plugins/libstrongswan-ctr.so:libstrongswan-extra-plugins \
        /usr/sbin/nft:nftables /usr/bin/tcpdump:tcpdump /usr/bin/ping:iputils-ping /usr/sbin/ip:iproute2; do
        [ -e "${wanted%%:*}" ] || missing+=("${wanted##*:}")
    done
    [ ${#missing[@]} -eq 0 ] || need_packages "tunnels" "${missing[@]}"
}

need_rust() {
    if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
        PATH="$HOME/.cargo/bin:$PATH"
    fi
    command -v cargo >/dev/null || fail "there is no Rust toolchain here (no cargo on the PATH)" \
        "Karez is built from source with Rust 1.95 or newer; install it with rustup and run this again."
    # The bundled SQLite and the cryptography library are C.
    command -v cc >/dev/null || need_packages "building Karez" build-essential
}

# The binary as the tests have it, so that scripts/demo and scripts/test build nothing twice: of the whole workspace, for
# cargo to choose the same features of what others have written (crates/testing/Cargo.toml).
build_karez() {
    cargo build --workspace --locked --bin karez
}

# Prints a Python that can make virtual environments; Debian splits that part into its own package.
python_for_environments() {
    local python
    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$python"
            return
        fi
    done
    return 1
}

# python_environment NAME REQUIREMENTS [CONSTRAINTS]: a virtual environment below the cache, one for each wording of the
# files that pin it, so that another clone's is left alone. Sets ENVIRONMENT to its directory.
python_environment() {
    local name=$1 pins=("${@:2}") python wanted options=()
    if ! python=$(python_for_environments); then
        need_packages "the OpenStack clients" python3 python3-venv
        python=$(python_for_environments) ||
            fail "no Python 3.11 or newer with the modules venv and ensurepip was found" \
                "Debian 12 and 13 have them in the packages python3 and python3-venv."
    fi
    wanted=$("$python" -VV; cat "${pins[@]}")
    # Its programs begin with its place, so it is never moved.
    ENVIRONMENT="$CACHE/venv/$name-$(sha256sum <<<"$wanted" | head -c 8)"
    [ ! -e "$ENVIRONMENT/complete" ] || return 0
    rm -rf "$ENVIRONMENT"
    mkdir -p "$CACHE/venv"
    run_quietly "Making the Python environment $name" "$python" -m venv "$ENVIRONMENT" ||
        fail "$python cannot make a virtual environment in $ENVIRONMENT"
    [ ${#pins[@]} -lt 2 ] || options=(--constraint "${pins[1]}")
    run_quietly "Installing $(grep -c '^[a-z]' "${pins[0]}") Python packages and what they need" \
        "$ENVIRONMENT/bin/python" -m pip install --disable-pip-version-check --requirement "${pins[0]}" \
        "${options[@]}" ||
        fail "the packages of ${pins[0]} could not be installed from the Python package index" \
            "Without network, set PIP_FIND_LINKS to a directory with their wheels."
    touch "$ENVIRONMENT/complete"
}
