//! A fleet: several gates on the switch, behind a router that spreads clients over them.
//!
//! ```text
//!  crowd 10.79.0.10, 10.79.4.0/24 ── 10.79.0.1 router 10.77.0.254 ─┐
//!  the gates, 10.77.0.2 and up ────────────────────────────────────┼─ switch
//!  s1 10.77.0.30, s2 10.77.0.31 ───────────────────────────────────┘
//! ```

use super::Lab;

impl Lab {
    /// Adds a namespace for each gate, the router, and clients behind it at any address of 10.79.4.0/24.
    #[must_use]
    pub fn with_fleet(mut self, gates: &[&'static str]) -> Lab {
        for &gate in gates {
            self.add(gate);
            self.plug_in(gate, "eth0");
        }
        for name in ["router", "crowd"] {
            self.add(name);
        }
        self.plug_in("router", "eth0");
        self.wire(("crowd", "eth0"), ("router", "eth1"));
        self.must("router", "ip address add 10.77.0.254/16 dev eth0");
        self.must("router", "ip address add 10.79.0.1/16 dev eth1");
        self.must("router", "sysctl -q -w net.ipv4.ip_forward=1");
        // Addresses only: all packets of a client take one way.
        self.must("router", "sysctl -q -w net.ipv4.fib_multipath_hash_policy=0");
        self.must("crowd", "ip address add 10.79.0.10/16 dev eth0");
        self.must("crowd", "ip route add default via 10.79.0.1");
        self.must("crowd", "ip route add local 10.79.4.0/24 dev lo");
        self.must("crowd", "sysctl -q -w net.ipv4.ip_nonlocal_bind=1");
        for server in ["s1", "s2"] {
            self.must(server, "ip route add 10.79.0.0/16 via 10.77.0.254");
        }
        self
    }

    /// Has the router send clients of a VIP to the gates with these addresses, and to no other one.
    pub fn spread_over(&self, vip: &str, gates: &[&str]) {
        let hops: String = gates.iter().map(|gate| format!(" nexthop via {gate}")).collect();
        self.must("router", &format!("ip route replace {vip}/32{hops}"));
    }

    /// Has the router spread clients of a VIP by resilient hashing over the gates with these addresses; the `n`th one is next
    /// hop `n + 1`.
    pub fn spread_resiliently_over(&self, vip: &str, gates: &[&str]) {
        let mut group = vec![];
        for (id, gate) in (1..).zip(gates) {
            self.must("router", &format!("ip nexthop add id {id} via {gate} dev eth0"));
            group.push(id.to_string());
        }
        let group = group.join("/");
        let kind = "type resilient buckets 64";
        self.must("router", &format!("ip nexthop add id 100 group {group} {kind}"));
        self.must("router", &format!("ip route replace {vip}/32 nhid 100"));
    }
}
