# shellcheck shell=bash
# Debian 12 in a folder, for packages to be built and tried in. Sourced by package and test, after setup.sh.

suite=bookworm
mirror=http://deb.debian.org
roots=${root:?}/target/package

# Makes a root of Debian's smallest system, once: the others are copies of it.
base_root() {
    packages debootstrap
    [ ! -d "$roots/base" ] || return 0
    echo "Making a root of Debian 12"
    rm -rf "$roots/base.part"
    mkdir -p "$roots"
    # Its mounts end with its namespace.
    quietly unshare --mount debootstrap --variant=minbase "$suite" "$roots/base.part" "$mirror/debian"
    cat >"$roots/base.part/etc/apt/sources.list" <<END
deb $mirror/debian $suite main
deb $mirror/debian $suite-updates main
deb $mirror/debian-security $suite-security main
END
    mv "$roots/base.part" "$roots/base"
}

# Makes a new root of this name.
fresh_root() {
    base_root
    rm -rf "${roots:?}/$1"
    cp -a "$roots/base" "$roots/$1"
}

# Runs a command in a root. Its mounts and processes end with it, whatever becomes of it.
in_root() {
    local name=$1
    shift
    cp --remove-destination /etc/resolv.conf "$roots/$name/etc/resolv.conf"
    enter "$name" "$@"
}

# Runs a command in a root that has no network.
in_root_offline() {
    local name=$1
    shift
    enter "$name" --net "$@"
}

# Enters a root with options of unshare's before the command.
enter() {
    local options=(--mount --pid --fork --kill-child --mount-proc --root "$roots/$1")
    shift
    while [[ ${1-} == --* ]]; do
        options+=("$1")
        shift
    done
    unshare "${options[@]}" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive ${CARGO_BUILD_JOBS:+CARGO_BUILD_JOBS=$CARGO_BUILD_JOBS} "$@"
}
