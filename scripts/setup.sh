# shellcheck shell=bash
# What demo and test need: Debian's packages, Rust, the servers to test with. Sourced by them.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
unpacked=$root/target/peers

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

# Installs those of the packages that are missing. Only that needs root.
packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || fail "Packages are missing: install them, or run this as root: ${missing[*]}"
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

# A Rust toolchain by rustup, with these components besides, unless it is there. False if it cannot be had.
toolchain() {
    local name=$1 component add=()
    shift
    has_components "$name" rustc "$@" && return
    for component in "$@"; do
        add+=(--component "$component")
    done
    rustup toolchain install --no-self-update --profile minimal "${add[@]}" "$name" >/dev/null 2>&1
}

has_components() {
    local name=$1 component installed
    shift
    installed=$(rustup component list --toolchain "$name" --installed 2>/dev/null)
    for component in "$@"; do
        grep -q "^$component" <<<"$installed" || return 1
    done
}

# Checkers of prose and dependencies, of these versions, kept from one clone to the next.
typos_version=1.52.0
typos_sha256=418fd85f7fc11dec14e5482e747f6e916af56da96207cde0cdd69540a4b389f6
deny_version=0.20.2
checkers() {
    local place=${XDG_CACHE_HOME:-$HOME/.cache}/tidegate
    export PATH=$place/typos/bin:$place/cargo-deny/bin:$PATH
    if [ "$(typos --version 2>/dev/null)" != "typos-cli $typos_version" ]; then
        echo "Installing typos $typos_version"
        packages python3 python3-pip
        quietly python3 -m pip install --quiet --upgrade --no-deps --only-binary :all: --require-hashes --target "$place/typos" \
            --requirement <(echo "typos==$typos_version --hash=sha256:$typos_sha256")
    fi
    if [ "$(cargo deny --version 2>/dev/null)" != "cargo-deny $deny_version" ]; then
        echo "Installing cargo-deny $deny_version, which takes minutes"
        quietly cargo install --quiet --locked --force --root "$place/cargo-deny" --version "$deny_version" cargo-deny
    fi
}

# Programs to build with.
build_tools() {
    packages ca-certificates gcc libc6-dev pkg-config clang libclang-dev libdpdk-dev
    rust
}

# Programs to build with and to run on, and clients.
dependencies() {
    build_tools
    packages iproute2 ethtool nftables iputils-ping util-linux procps tftp-hpa atftp curl libwrap0 libpcre2-8-0
}

# Machines that boot, and their first and second stages.
machines() {
    packages qemu-system-x86 ovmf ipxe-qemu grub-common grub-pc-bin grub-efi-amd64-bin
}

# Servers and clients that end-to-end tests talk to.
peers() {
    # The libraries of servers that are unpacked, not installed: dnsmasq, OpenSSH's, those for FTP, keepalived and routing daemons.
    local libraries="libdbus-1-3 libgmp10 libhogweed6 libidn2-0 libnetfilter-conntrack3 libnettle8 libnftables1
        libcap2 libcom-err2 libgssapi-krb5-2 libpam0g libselinux1 libssl3 libacl1 libhiredis0.14 libmemcached11
        libmemcachedutil2 libnsl2 libpcre2-posix3 libsodium23 libtirpc3 libnl-3-200 libnl-genl-3-200 libsnmp40 libmnl0
        libnftnl11 libglib2.0-0 libsystemd0 libssh-gcrypt-4 libreadline8 libyang2 libjson-c5 libc-ares2
        libnss-wrapper"
    # shellcheck disable=SC2086
    packages tcpdump tshark tmux busybox chromium chromium-driver fonts-dejavu-core monitoring-plugins-basic \
        openssh-client openssl lftp axel aria2 python3 faketime $libraries
    servers tftpd-hpa atftpd dnsmasq-base openssh-server vsftpd proftpd-core proftpd-mod-crypto pure-ftpd \
        inetutils-ftpd python3-pyftpdlib prometheus keepalived bird2 frr
}

# Servers, unpacked beside the build: installed, they would start, and they exclude each other.
servers() {
    local package
    for package in "$@"; do
        [ -d "$unpacked/$package" ] && continue
        mkdir -p "$unpacked/download"
        (cd "$unpacked/download" && quietly apt-get -qq download -o APT::Sandbox::User=root "$package")
        quietly dpkg -x "$unpacked"/download/"${package}"_*.deb "$unpacked/$package.part"
        mv "$unpacked/$package.part" "$unpacked/$package"
    done
}
