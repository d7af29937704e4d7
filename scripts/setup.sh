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

# Everything that end-to-end tests talk to.
peers() {
    # Machines that boot, and their first and second stages.
    local machine="qemu-system-x86 ovmf ipxe-qemu grub-common grub-pc-bin grub-efi-amd64-bin"
    # The libraries of servers that are unpacked, not installed: dnsmasq, OpenSSH's, and those for FTP.
    local libraries="libdbus-1-3 libgmp10 libhogweed6 libidn2-0 libnetfilter-conntrack3 libnettle8 libnftables1
        libcap2 libcom-err2 libgssapi-krb5-2 libpam0g libselinux1 libssl3 libacl1 libhiredis0.14 libmemcached11
        libmemcachedutil2 libnsl2 libpcre2-posix3 libsodium23 libtirpc3"
    # shellcheck disable=SC2086
    packages tcpdump busybox monitoring-plugins-basic openssh-client openssl lftp axel aria2 python3 faketime $machine $libraries
    servers tftpd-hpa atftpd dnsmasq-base openssh-server vsftpd proftpd-core proftpd-mod-crypto pure-ftpd \
        inetutils-ftpd python3-pyftpdlib
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
