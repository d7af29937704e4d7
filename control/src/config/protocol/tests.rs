use super::*;
use crate::config::sample::{SOUND, parsed};
use crate::config::{Health, Probe, parse};

/// The sound file's service with another protocol and these keys, the first of them on line 9.
fn text(protocol: &str, keys: &str) -> String {
    let protocol = format!("protocol = \"{protocol}\"");
    SOUND.replace("protocol = \"tftp\"", &protocol).replace("vip =", &format!("{keys}\nvip ="))
}

/// Another service on the same VIP.
fn beside(text: &str, name: &str, protocol: &str, keys: &str) -> String {
    let other = self::text(protocol, keys).replace("\"pxe\"", &format!("\"{name}\""));
    format!("{text}{}", &other[other.find("[[service]]").unwrap()..])
}

fn faults(text: &str) -> String {
    parse("test.toml", text).expect_err("it has a fault").to_string()
}

#[test]
fn defaults() {
    let seconds = |[idle, transitory]: [u64; 2]| [idle, transitory].map(Duration::from_secs);
    let ftp = Protocol::Ftp(Ftp { data_port: None, foreign_data: false });
    for (protocol, keys, expected, port, times) in [
        ("tftp", "", Protocol::Tftp, 69, [60, 60]),
        ("ftp", "", ftp, 21, [7440, 240]),
        ("tcp", "port = 22", Protocol::Tcp, 22, [7440, 240]),
        ("tcp", "port = 22\nidle_timeout = \"9s\"", Protocol::Tcp, 22, [9, 9]),
        ("udp", "port = 53", Protocol::Udp, 53, [300, 240]),
        ("any", "mode = \"dsr\"", Protocol::Any, 0, [300, 240]),
    ] {
        let service = &parsed(&text(protocol, keys)).services[0];
        assert_eq!((service.protocol, service.port), (expected, port), "{protocol}");
        let found = [service.idle_timeout, service.transitory_timeout];
        assert_eq!(found, seconds(times), "{protocol}");
        let drain = matches!(protocol, "udp" | "any").then_some(Duration::from_secs(60));
        assert_eq!(service.drain_timeout, drain, "{protocol}");
        let is_tftp = protocol == "tftp";
        assert_eq!((service.failover, service.options.strip.is_empty()), (is_tftp, !is_tftp));
    }
}

#[test]
fn everything_that_ftp_has() {
    let keys = "data_port = 20\nforeign_data = true\nidle_timeout = \"24h\"\n\
                transitory_timeout = \"30s\"\nallow_clients = [\"10.0.0.0/16\"]\n\
                scheduler = \"least-transfers\"\npersistence = \"9s\"\nslow_start = \"9s\"\nport = 2121";
    let backend = "passive_ports = \"50000-50099\"\nmax_transfers = 5\nweight = 2\nname = \"one\"";
    let config = parsed(&text("ftp", keys).replace("name = \"one\"", backend));
    let service = &config.services[0];
    assert_eq!(service.protocol, Protocol::Ftp(Ftp { data_port: Some(20), foreign_data: true }));
    assert_eq!(service.idle_timeout, Duration::from_secs(86_400));
    assert_eq!(service.transitory_timeout, Duration::from_secs(30));
    assert_eq!((service.port, service.access.allow_clients.len()), (2121, 1));
    assert_eq!(service.backends[0].passive_ports, Some(50_000..=50_099));
}

/// Keys, from line 9 on, the place of their fault, and its words.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("http", "", "8:12", "no such protocol: `http`"),
    ("tcp", "", "8:12", "`protocol = \"tcp\"` without `port`"),
    ("udp", "", "8:12", "`protocol = \"udp\"` without `port`"),
    ("any", "", "8:12", "`any` needs `mode = \"dsr\"`"),
    ("any", "mode = \"nat\"", "8:12", "`any` needs `mode = \"dsr\"`"),
    ("any", "mode = \"dsr\"\nport = 1", "10:8", "`port` does not go with `protocol = \"any\"`"),
    ("tftp", "transitory_timeout = \"1m\"", "9:22", "does not go with `protocol = \"tftp\"`"),
    ("udp", "port = 1\ntransitory_timeout = \"1m\"", "10:22", "does not go with"),
    ("tftp", "drain_timeout = \"1m\"", "9:17", "does not go with `protocol = \"tftp\"`"),
    ("tcp", "port = 1\ndrain_timeout = \"1m\"", "10:17", "does not go with"),
    ("udp", "port = 1\ndrain_timeout = \"25h\"", "10:17", "from \"1s\" to \"1day\""),
    ("ftp", "transitory_timeout = \"0s\"", "9:22", "no usable length of time"),
    ("ftp", "idle_timeout = \"25h\"", "9:16", "from \"1s\" to \"1day\""),
    ("tftp", "idle_timeout = \"2h\"", "9:16", "from \"1s\" to \"1h\""),
    ("tcp", "port = 1\ndata_port = 20", "10:13", "`data_port` does not go with"),
    ("tcp", "port = 1\nforeign_data = true", "10:16", "`foreign_data` does not go with"),
    ("ftp", "port = 1", "9:8", "1 is out of range"),
    ("ftp", "data_port = 0", "9:13", "0 is out of range"),
    ("ftp", "mode = \"dsr\"\ndata_port = 20", "10:13", "does not go with `mode = \"dsr\"`"),
    ("ftp", "mode = \"dsr\"\nforeign_data = true", "10:16", "does not go with `mode = \"dsr\"`"),
    ("ftp", "broadcast = true", "9:13", "`broadcast` does not go with `protocol = \"ftp\"`"),
    ("ftp", "failover = true", "9:12", "`failover` does not go with"),
    ("ftp", "read_only = true", "9:13", "`read_only` does not go with"),
    ("ftp", "allow_files = [\"*\"]", "9:15", "`allow_files` does not go with"),
    ("ftp", "deny_files = [\"*\"]", "9:14", "`deny_files` does not go with"),
    ("ftp", "max_requests_per_client = 9", "9:27", "`max_requests_per_client` does not go with"),
    ("tftp", "max_connections_per_client = 9", "9:30", "does not go with `protocol = \"tftp\"`"),
    ("tcp", "port = 1\nmax_connections_per_client = 0", "10:30", "0 is out of range"),
    ("ftp", "max_blksize = 1428", "9:15", "`max_blksize` does not go with"),
    ("ftp", "max_windowsize = 4", "9:18", "`max_windowsize` does not go with"),
    ("ftp", "strip_options = []", "9:17", "`strip_options` does not go with"),
    ("ftp", "scheduler = \"file-hash\"", "9:13", "`file-hash` does not go with"),
];

#[test]
fn every_fault_has_its_place_and_its_words() {
    for (protocol, keys, place, words) in TABLE {
        let shown = faults(&text(protocol, keys));
        assert!(shown.contains(&format!("test.toml:{place}\n")), "{keys}: not {place}:\n{shown}");
        assert!(shown.contains(words), "{keys}: not `{words}`:\n{shown}");
    }
}

#[test]
fn keys_of_tftp_s_rules_and_backends_are_refused_elsewhere() {
    let rule = "[[service.rule]]\noperation = \"read\"\nbackends = [\"one\"]\n[[service.backend]]";
    let ruled = text("ftp", "").replace("[[service.backend]]", rule);
    assert!(faults(&ruled).contains("`rule` does not go with"), "{}", faults(&ruled));
    let alias =
        text("ftp", "").replace("name = \"one\"", "aliases = [\"10.0.0.40\"]\nname = \"one\"");
    assert!(faults(&alias).contains("`aliases` does not go with"), "{}", faults(&alias));
    let passive = SOUND.replace("name = \"one\"", "passive_ports = \"5000-5001\"\nname = \"one\"");
    assert!(faults(&passive).contains("`passive_ports` does not go with"), "{}", faults(&passive));
}

#[test]
fn udp_and_tcp_share_a_port_of_a_vip_and_one_service_has_the_rest() {
    let both = beside(SOUND, "ssh", "tcp", "port = 69");
    parsed(&both);
    let all = beside(&both, "rest", "any", "mode = \"dsr\"");
    parsed(&all);
    let twice = faults(&beside(&all, "more", "any", "mode = \"dsr\""));
    assert!(twice.contains("two services for anything on 10.0.0.100"), "{twice}");
    let tcp = faults(&beside(&both, "files", "ftp", "port = 69"));
    assert!(tcp.contains("two services on 10.0.0.100 port 69"), "{tcp}");
    let udp = faults(&beside(&both, "names", "udp", "port = 69"));
    assert!(udp.contains("two services on 10.0.0.100 port 69"), "{udp}");
}

#[test]
fn checks_go_to_the_service_s_port_where_they_fit() {
    let checked = |protocol: &str, keys: &str, check: &str| {
        let health = format!("[service.health]\n{check}\n[[service.backend]]");
        text(protocol, keys).replace("[[service.backend]]", &health)
    };
    for (protocol, keys, check, port) in [
        ("ftp", "port = 2121", "check = \"ftp\"", 2121),
        ("ftp", "port = 2121", "check = \"tcp\"", 2121),
        ("ftp", "port = 2121", "check = \"ssh\"", 22),
        ("tcp", "port = 2222", "check = \"ssh\"", 2222),
        ("tcp", "port = 2222", "check = \"tcp\"", 2222),
        ("tcp", "port = 2222", "check = \"tcp\"\nport = 80", 80),
        ("udp", "port = 53", "check = \"command\"\ncommand = \"check_dns\"", 53),
        ("udp", "port = 53", "check = \"icmp\"", 0),
        ("any", "mode = \"dsr\"", "check = \"icmp\"", 0),
        ("any", "mode = \"dsr\"", "check = \"tcp\"\nport = 80", 80),
    ] {
        let config = parsed(&checked(protocol, keys, check));
        let health = config.services[0].health.as_ref();
        assert_eq!(health.map(|health| health.port), Some(port), "{protocol}: {check}");
    }
    for (protocol, keys, check, words) in [
        ("ftp", "", "check = \"tftp\"\nfile = \"f\"", "`check = \"tftp\"` does not go with"),
        ("udp", "port = 53", "check = \"tcp\"", "a check without `port`"),
        ("any", "mode = \"dsr\"", "check = \"tcp\"", "a check without `port`"),
    ] {
        let shown = faults(&checked(protocol, keys, check));
        assert!(shown.contains(words), "not `{words}`:\n{shown}");
    }
    let config = parsed(&checked("ftp", "", "check = \"ftp\""));
    let health = config.services[0].health.as_ref();
    assert!(matches!(health, Some(Health { probe: Probe::Ftp(None), port: 21, .. })));
}

/// The sound file as FTP, whose backends have these ports.
fn passive(ports: [&str; 2]) -> String {
    let backend =
        |name: &str, ports: &str| format!("name = \"{name}\"\npassive_ports = \"{ports}\"");
    let one = text("ftp", "").replace("name = \"one\"", &backend("one", ports[0]));
    let two = backend("two", ports[1]);
    format!("{one}\n[[service.backend]]\n{two}\naddress = \"10.0.0.31\"\n")
}

#[test]
fn data_ports_are_one_backend_s() {
    parsed(&passive(["1024-49999", "50000-65535"]));
    for (ports, words) in [
        ("50000", "`50000` is no range of ports"),
        ("1023-2000", "`1023-2000` is no range"),
        ("50099-50000", "is no range"),
        ("50000-65536", "is no range"),
        ("a-b", "is no range"),
        ("50050-50060", "of 10.0.0.100, 50000-50099 is backend one's of service pxe"),
        ("40000-50000", "of 10.0.0.100, 50000-50099 is backend one's"),
        ("50099-50100", "of 10.0.0.100, 50000-50099 is backend one's"),
        ("40000-60000", "of 10.0.0.100, 50000-50099 is backend one's"),
    ] {
        let shown = faults(&passive(["50000-50099", ports]));
        assert!(shown.contains("test.toml:19:17\n"), "{ports}:\n{shown}");
        assert!(shown.contains(words), "{ports}: not `{words}`:\n{shown}");
    }
    let sound = passive(["50000-50099", "50100-50199"]);
    let shown = faults(&beside(&sound, "ssh", "tcp", "port = 50100"));
    assert!(shown.contains("of 10.0.0.100, 50100 is service ssh's"), "{shown}");
    parsed(&beside(&sound, "names", "udp", "port = 50100"));
}

#[test]
fn a_server_over_both_families_has_the_same_ports_over_both() {
    let dual = passive(["50000-50099", "50000-50099"])
        .replace("[\"10.0.0.2/24\"]", "[\"10.0.0.2/24\", \"fd00::2/64\"]")
        .replace("vip = \"10.0.0.100\"", "vip = [\"10.0.0.100\", \"fd00::100\"]")
        .replace("10.0.0.31", "fd00::31");
    parsed(&dual);
    let crossing = dual.replace("vip =", "snat = [\"10.0.0.101\", \"fd00::101\"]\nvip =");
    assert!(faults(&crossing).contains("50000-50099 is backend one's"), "{}", faults(&crossing));
}
