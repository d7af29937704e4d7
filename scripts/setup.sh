# shellcheck shell=bash
# What demo and test need: Debian's packages, Rust, the servers to test with. Sourced by them.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
peers=$root/target/peers

fail() {
    echo "$*" >&2
    exit 1
}

# Runs a command whose output matters only when it fails.
quietly() {
    local output
    output=$("$@" 2>&1) || { echo "$output" >&2; fail "failed: $*"; }
}

need_root() {
    [ "$(id -u)" = 0 ] || fail "This makes network namespaces: run it as root."
}

# Installs those of the packages that are missing.
packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "Installing ${missing[*]}"
    quietly apt-get -qq update
    DEBIAN_FRONTEND=noninteractive quietly \
        apt-get -qq install --no-install-recommends "${missing[@]}"
}

# Rust by rustup if it is there, else Debian's own current one.
rust() {
    export PATH=$PATH:$HOME/.cargo/bin
    if ! cargo --version 2>/dev/null | awk '{ split($2, v, "."); exit !(v[1] > 1 || v[2] >= 91) }'; then
        packages cargo-web rustc-web rustfmt-web rust-web-clippy
    fi
}

# Programs to build with and to run on, and clients.
dependencies() {
    packages ca-certificates gcc libc6-dev pkg-config clang libclang-dev libdpdk-dev \
        iproute2 ethtool nftables iputils-ping util-linux procps tftp-hpa atftp curl libwrap0 libpcre2-8-0
    rust
}

# TFTP servers, unpacked beside the build: installed, they would start, and they exclude each other.
servers() {
    local package
    for package in "$@"; do
        [ -d "$peers/$package" ] && continue
        mkdir -p "$peers/download"
        (cd "$peers/download" && quietly apt-get -qq download -o APT::Sandbox::User=root "$package")
        quietly dpkg -x "$peers"/download/"${package}"_*.deb "$peers/$package.part"
        mv "$peers/$package.part" "$peers/$package"
    done
}
