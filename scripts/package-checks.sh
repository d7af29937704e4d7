# shellcheck shell=bash
# shellcheck disable=SC2016 # Much is for the shell in the root.
# Checks of the packages: in a root named try, one after the other. Sourced by test, after roots.sh.

roots=${roots:?}
config=etc/tidegate/tidegate.toml

# What packages bring along and leave to others: caches, logs and dpkg's own books.
installed_files() {
    (cd "$roots/try" && find . -xdev \( -path ./dev -o -path ./proc -o -path ./root -o -path ./run -o -path ./sys -o -path ./tmp \
        -o -path ./var/cache -o -path ./var/lib/apt -o -path ./var/lib/dpkg -o -path ./var/log \) -prune -o -print | sort)
}

# Runs a script in the root, without a network; its output matters only when it fails.
try() {
    (quietly in_root_offline try bash -euo pipefail -c "$1" try "${@:2}")
}

# Fails with these words.
wrong() {
    echo "$*"
    return 1
}

lintian_finds_nothing() {
    (quietly lintian --info --fail-on error,warning --allow-root "$roots"/tidegate_*.changes)
}

# A root with all that the checks need besides; a systemctl that notes what it is asked, as a root has no systemd.
they_install() {
    fresh_root try || return
    cp "$roots"/tidegate_*.deb "$roots"/tidegate-tools_*.deb "$roots/try/root" || return
    (quietly in_root try sh -ec 'apt-get -qq update
        apt-get -qq install --no-install-recommends bash-completion fish man-db zsh') || return
    installed_files >"$roots/before"
    mkdir -p "$roots/try/run/systemd/system"
    cat >"$roots/try/usr/bin/systemctl" <<'END'
#!/bin/sh
echo "$*" >>/root/systemctl.log
END
    chmod +x "$roots/try/usr/bin/systemctl"
    : >"$roots/try/root/systemctl.log"
    # With everything recommended it would take long: that is only resolved.
    (quietly in_root try sh -ec 'apt-get -qq install --simulate /root/*.deb
        apt-get -qq install --no-install-recommends /root/*.deb') || return
    [ "$(restarts)" = 0 ] || wrong "an installation starts the service"
}

programs_run() {
    local version
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
    try '[ "$(tidegated --version)" = "tidegated $1" ]
        [ "$(tidegate --version)" = "tidegate $1" ]
        [ "$(tidegate-storm --version)" = "tidegate-storm $1" ]
        tidegate-traces /tmp/traces
        ls /tmp/traces/*.pcapng
        ! tidegate-hugepages nonsense
        tidegate-bind-nic' "$version"
}

# DPDK opens them by itself, so that no program names them.
drivers_are_there() {
    local driver
    for driver in bus_pci bus_vdev mempool_ring net_af_packet net_af_xdp net_e1000 net_virtio net_vmxnet3; do
        compgen -G "$roots/try/usr/lib/x86_64-linux-gnu/dpdk/pmds-*/librte_$driver.so*" >/dev/null ||
            wrong "librte_$driver is missing" || return
    done
}

examples_are_accepted() {
    try 'count=0
        while read -r file; do
            tidegated --config "$file" --check
            count=$((count + 1))
        done < <(find /usr/share/doc/tidegate/examples -name "*.toml")
        [ "$count" -ge 4 ]'
}

pages_are_found_and_sound() {
    try 'for page in 1/tidegate 1/tidegate-backend-drain 8/tidegated 5/tidegate.toml 1/tidegate-storm 1/tidegate-traces \
            8/tidegate-hugepages 8/tidegate-bind-nic; do
            man -w "${page%%/*}" "${page#*/}"
        done
        dpkg -L tidegate tidegate-tools | grep "/man/.*\.gz$" | while read -r file; do
            said=$(man --warnings -E UTF-8 -l -Tutf8 -Z "$file" 2>&1 >/dev/null)
            [ -z "$said" ] || { echo "$file: $said"; exit 1; }
        done'
}

shells_complete() {
    try 'source /usr/share/bash-completion/completions/tidegate
        complete -p tidegate
        COMP_WORDS=(tidegate backe) COMP_CWORD=1 COMP_TYPE=9
        _clap_complete_tidegate tidegate backe
        [[ " ${COMPREPLY[*]} " == *" backend "* ]]
        fish --command "complete --do-complete \"tidegate backe\"" | grep "^backend"
        zsh -f -c "autoload -Uz compinit && compinit -D && (( \$+_comps[tidegate] ))"'
}

# The packages with a higher version.
newer() {
    local package
    rm -rf "$roots/newer"
    for package in tidegate tidegate-tools; do
        dpkg-deb -R "$roots/${package}"_*.deb "$roots/newer" || return
        sed -i "s/^Version: .*/Version: $1/" "$roots/newer/DEBIAN/control"
        (quietly dpkg-deb -Znone -b "$roots/newer" "$roots/try/root/${package}_$1.deb") || return
        rm -r "$roots/newer"
    done
}

# How often the service was told to restart since the log was emptied.
restarts() {
    grep -cE '^(--[a-z]+ )*(try-)?(re)?start tidegate.service$' "$roots/try/root/systemctl.log" || true
}

an_upgrade_restarts_once() {
    cp conf/minimal.toml "$roots/try/$config" || return
    newer 9.1 || return
    : >"$roots/try/root/systemctl.log"
    try 'dpkg --install /root/*_9.1.deb
        [ "$(dpkg-query -W -f "\${Version}" tidegate)" = 9.1 ]' || return
    cmp conf/minimal.toml "$roots/try/$config" || return
    [ "$(restarts)" = 1 ] || wrong "$(restarts) restarts" || return
    ! grep -w stop "$roots/try/root/systemctl.log"
}

# The old process goes on running until the file is mended.
an_upgrade_that_refuses_the_configuration_restarts_nothing() {
    local said
    echo nonsense >"$roots/try/$config"
    newer 9.2 || return
    : >"$roots/try/root/systemctl.log"
    said=$(in_root_offline try sh -c 'dpkg --install /root/*_9.2.deb' 2>&1) && wrong "dpkg says nothing" && return 1
    grep -qF "tidegate.service was NOT restarted" <<<"$said" || wrong "$said" || return
    [ "$(restarts)" = 0 ] || wrong "it was restarted" || return
    [ "$(cat "$roots/try/$config")" = nonsense ] || wrong "the configuration was changed" || return
    cp conf/minimal.toml "$roots/try/$config"
    try 'dpkg --configure tidegate' || return
    [ "$(restarts)" = 1 ] || wrong "$(restarts) restarts after the file is mended"
}

a_removal_keeps_the_configuration() {
    try 'dpkg --remove tidegate tidegate-tools; ! command -v tidegated' || return
    grep -qE '^(--[a-z]+ )*stop tidegate.service$' "$roots/try/root/systemctl.log" || wrong "it was not stopped" || return
    cmp conf/minimal.toml "$roots/try/$config"
}

a_purge_leaves_nothing() {
    try 'install -d /run/tidegate /var/log/tidegate
        touch /run/tidegate/flows /var/log/tidegate/transfers.jsonl
        dpkg --purge tidegate tidegate-tools
        [ ! -e /run/tidegate ] && [ ! -e /var/log/tidegate ]' || return
    rm "$roots/try/usr/bin/systemctl"
    try 'apt-get -qq autoremove --purge --yes' || return
    diff "$roots/before" <(installed_files)
}

# Files of others in the folder outlive a purge.
a_purge_spares_what_is_not_ours() {
    try 'dpkg --install --force-depends /root/tidegate_9.1.deb
        echo mine >/etc/tidegate/notes
        dpkg --purge --force-depends tidegate
        [ "$(cat /etc/tidegate/notes)" = mine ]'
}

# A root of its own, which boots: the script in it says how it went, and turns it off.
the_unit_is_sound() {
    fresh_root boot || return
    cp "$roots"/tidegate_*.deb "$roots/boot/root" || return
    install scripts/package-unit.sh "$roots/boot/root/prove" || return
    (quietly in_root boot sh -ec 'apt-get -qq update
        apt-get -qq install --no-install-recommends dbus ethtool iproute2 systemd systemd-sysv tftp-hpa tftpd-hpa /root/*.deb') || return
    cat >"$roots/boot/etc/systemd/system/prove.service" <<'END'
[Unit]
After=multi-user.target
SuccessAction=poweroff
FailureAction=poweroff

[Service]
Type=oneshot
ExecStart=/root/prove
StandardOutput=file:/root/said
StandardError=inherit
TimeoutStartSec=240

[Install]
WantedBy=graphical.target
END
    (quietly in_root_offline boot systemctl enable prove.service) || return
    # The settings of TAPs are in /proc/sys/net.
    SYSTEMD_NSPAWN_API_VFS_WRITABLE=network timeout 300 systemd-nspawn --quiet --register=no --keep-unit --directory="$roots/boot" --private-network \
        --bind=/dev/net/tun --capability=all --boot >"$roots/boot/root/console" 2>&1 </dev/null
    grep -qx "THE UNIT IS SOUND" "$roots/boot/root/said" ||
        wrong "$(tail -n 20 "$roots/boot/root/console" "$roots/boot/root/said")"
}

without_the_roots() {
    (cd "$roots" && rm -rf try boot before)
}
