#!/usr/bin/env bash
# The unit under systemd, as a user would have it: started, reloaded, restarted, killed, stuck and stopped, with a client and a
# server beside it. Run by package-checks.sh inside a root that systemd has booted.
set -Eeuo pipefail

config=/etc/tidegate/tidegate.toml
big=/srv/tftp/image

main() {
    trap 'journalctl --no-pager --unit tidegate' ERR
    network
    configure
    step starts
    step serves
    step confined
    step refuses_a_bad_reload
    step restarts_with_its_tap
    step is_upgraded_with_its_tap
    step comes_back_when_killed
    step comes_back_when_it_hangs
    step ends_for_good_with_a_bad_file
    step stops
    echo "THE UNIT IS SOUND"
}

step() {
    echo "step: $1"
    "$1"
}

# A client and a server at a switch, with the gate's one arm.
network() {
    # DPDK looks for vfio there, and a container has none.
    mount -o remount,rw /sys
    mkdir /sys/module
    # A bridge of the gate's own would answer for its addresses.
    ip netns add switch
    ip -n switch link add name bridge up type bridge
    local name
    for name in gate client server; do
        ip -n switch link add "to-$name" master bridge up type veth peer name "$name"
        [ "$name" = gate ] || ip netns add "$name"
        ip -n switch link set "$name" netns "${name/#gate/1}"
    done
    ip link set gate up
    peer client 10.0.0.5
    peer server 10.0.0.30
    mkdir -p /srv/tftp
    head -c 3000000 /dev/urandom >$big
    chmod -R a+rX /srv/tftp
    ip netns exec server in.tftpd --listen --secure --address 10.0.0.30:69 /srv/tftp
}

# af_packet gets checksums as they are: half made, unless the sender makes them.
peer() {
    ip -n "$1" address add "$2/24" dev "$1"
    ip -n "$1" link set "$1" up
    ip netns exec "$1" ethtool -K "$1" tx off >/dev/null
}

configure() {
    cat >$config <<END
[dataplane]
workers   = [0]
hugepages = false
max_flows = 4096
memory    = "64 MiB"

[[interface]]
name    = "lan"
device  = "net_af_packet0,iface=gate,qpairs=1"
address = ["10.0.0.2/24"]

[[service]]
name     = "pxe"
protocol = "tftp"
vip      = "10.0.0.100"
snat     = ["10.0.0.101"]

[[service.backend]]
name    = "tftp1"
address = "10.0.0.30"
END
}

show() {
    systemctl show --property "$1" --value tidegate
}

# Waits: nobody is told when systemd starts it by itself.
until_so() {
    local try
    for try in $(seq 300); do
        ! "$@" || return 0
        sleep 0.1
    done
    echo "waited in vain for: $* ($try times)"
    return 1
}

fails() {
    ! "$@"
}

is_active() {
    systemctl --quiet is-active tidegate
}

fetches() {
    rm -f /tmp/got
    ip netns exec client tftp -m octet 10.0.0.100 69 -c get image /tmp/got && cmp $big /tmp/got
}

starts() {
    systemctl start tidegate
    is_active
    [ "$(show StatusText)" = "1 workers, 1 services" ]
}

serves() {
    tidegate ready
    until_so fetches
}

# Opening af_packet takes none of the capabilities that are given up.
confined() {
    local status
    status=/proc/$(show MainPID)/status
    grep -q "^NoNewPrivs:.*1" "$status"
    grep -q "^Seccomp:.*2" "$status"
    # KILL, SETGID, SETUID, NET_ADMIN, NET_RAW, IPC_LOCK.
    grep -q "^CapBnd:.*00000000000070e0$" "$status"
}

refuses_a_bad_reload() {
    local before
    before=$(show MainPID)
    systemctl reload tidegate
    cp $config /tmp/sound
    echo nonsense >>$config
    fails systemctl reload tidegate
    cp /tmp/sound $config
    is_active
    [ "$(show MainPID)" = "$before" ]
    fetches
}

tap() {
    cat /sys/class/net/lan/ifindex
}

restarts_with_its_tap() {
    local before
    before=$(tap)
    systemctl restart tidegate
    [ "$(tap)" = "$before" ]
    until_so fetches
}

# The package is installed over itself, which is an upgrade to dpkg.
is_upgraded_with_its_tap() {
    local before pid
    before=$(tap) pid=$(show MainPID)
    echo nonsense >>$config
    fails dpkg --install /root/tidegate_*.deb
    is_active
    [ "$(show MainPID)" = "$pid" ]
    cp /tmp/sound $config
    dpkg --configure tidegate
    is_active
    [ "$(show MainPID)" != "$pid" ]
    [ "$(tap)" = "$before" ]
    until_so fetches
}

came_back() {
    is_active && [ "$(show NRestarts)" -gt "$1" ] && [ "$(show MainPID)" != "$2" ]
}

comes_back_when_killed() {
    local count pid
    count=$(show NRestarts) pid=$(show MainPID)
    kill -KILL "$pid"
    until_so came_back "$count" "$pid"
    until_so fetches
}

comes_back_when_it_hangs() {
    local count pid
    count=$(show NRestarts) pid=$(show MainPID)
    kill -STOP "$pid"
    until_so came_back "$count" "$pid"
    until_so fetches
}

ends_for_good_with_a_bad_file() {
    systemctl stop tidegate
    echo nonsense >>$config
    fails systemctl start tidegate
    sleep 2
    [ "$(show ActiveState) $(show ExecMainStatus)" = "failed 2" ]
    cp /tmp/sound $config
    systemctl reset-failed tidegate
    systemctl start tidegate
}

stops() {
    systemctl stop tidegate
    [ ! -e /sys/class/net/lan ]
    [ -e /run/tidegate ]
}

main
