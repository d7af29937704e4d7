mod faults;

use super::sample::SOUND;
use super::*;
use engine::scheduler::backend_group::Scheduler;
use engine::snapshot::access::Access;
use std::net::IpAddr;
use std::time::Duration;
use wire::ethernet::Mac;

fn faults(text: &str) -> String {
    parse("test.toml", text).expect_err("it has a fault").to_string()
}

#[test]
fn defaults() {
    let config = parse("test.toml", SOUND).unwrap();
    assert_eq!(config.dataplane.workers, [1]);
    assert!(config.dataplane.hugepages);
    assert_eq!(config.dataplane.memory_mib, 512);
    assert_eq!(config.dataplane.max_flows, 262_144);
    assert_eq!(config.control.socket, Path::new("/run/tidegate/control.sock"));
    let lan = &config.interfaces[0];
    assert_eq!(
        (lan.mtu, lan.queues, lan.rx_ring, lan.tx_ring, lan.burst),
        (1500, None, 1024, 1024, 32)
    );
    assert_eq!(config.interfaces[0].device.linux_interface(), Some("eth1"));
    let service = &config.services[0];
    assert_eq!((service.port, &service.mode), (69, &Mode::Nat));
    assert_eq!((service.idle_timeout, service.persistence), (Duration::from_secs(60), None));
    assert_eq!(service.backends[0].weight, 1);
}

#[test]
fn metrics_and_web_page_have_an_address() {
    let listen = |text: &str| {
        let text = format!("[control]\nmetrics = \"{text}\"\n{SOUND}");
        parse("test.toml", &text).unwrap().control.metrics
    };
    let tcp = |text: &str| Some(Listen::Tcp(text.parse().expect("an address")));
    assert_eq!(parse("test.toml", SOUND).unwrap().control.metrics, None);
    for address in ["127.0.0.1:9", "127.8.9.10:65535", "[::1]:80"] {
        assert_eq!(listen(address), tcp(address));
    }
    assert_eq!(listen("unix:/run/m"), Some(Listen::Unix("/run/m".into())));
    let text = "web = \"0.0.0.0:80\"\nallow = [\"10.9.0.0/16\", \"::1\"]\ntoken = \"/etc/t\"";
    let control = parse("test.toml", &format!("[control]\n{text}\n{SOUND}")).unwrap().control;
    assert_eq!((control.metrics, control.web), (None, tcp("0.0.0.0:80")));
    let nets = ["10.9.0.0/16", "::1/128"].map(|net| net.parse().expect("a network"));
    let access = HttpAccess { allow: nets.into(), token: "/etc/t".into() };
    assert_eq!(control.http_access, Some(access));
}

#[test]
fn a_fault_is_shown_in_its_place() {
    let text = SOUND.replace("10.0.0.30", "10.0.0.300");
    assert_eq!(
        faults(&text),
        r#"error: `10.0.0.300` is no IP address
  --> test.toml:13:11
   |
13 | address = "10.0.0.300"
   |           ^^^^^^^^^^^^ written like "10.0.0.2""#
    );
}

#[test]
fn all_faults_are_shown_at_once() {
    let text = SOUND.replace("10.0.0.30", "::1").replace("\"tftp\"", "\"http\"");
    let shown = faults(&text);
    assert!(shown.contains("test.toml:8:12") && shown.contains("test.toml:13:11"), "{shown}");
}

#[test]
fn only_a_neighbour_has_a_fixed_mac() {
    let fixed = SOUND.replace("name = \"one\"", "mac = \"02:00:00:00:00:30\"\nname = \"one\"");
    let backend = &parse("test.toml", &fixed).unwrap().services[0].backends[0];
    assert_eq!(backend.mac, Some(Mac([2, 0, 0, 0, 0, 0x30])));
    let list =
        fixed.replace("\"02:00:00:00:00:30\"", "[\"02:00:00:00:00:30\", \"02:00:00:00:00:31\"]");
    let backend = &parse("test.toml", &list).unwrap().services[0].backends[0];
    assert_eq!(backend.mac, Some(Mac([2, 0, 0, 0, 0, 0x30])));
    assert_eq!(backend.also_from, [Mac([2, 0, 0, 0, 0, 0x31])]);
    let none = fixed.replace("\"02:00:00:00:00:30\"", "[]");
    assert!(faults(&none).contains("no hardware address"));
    let far = fixed
        .replace("[[service]]", "gateway = \"10.0.0.1\"\n[[service]]")
        .replace("10.0.0.30", "10.7.0.30");
    assert!(faults(&far).contains("only a neighbour"), "{}", faults(&far));
}

#[test]
fn an_alias_is_one_server_s() {
    let aliased = SOUND.replace("name = \"one\"", "aliases = [\"10.0.0.40\"]\nname = \"one\"");
    let backend = &parse("test.toml", &aliased).unwrap().services[0].backends[0];
    assert_eq!(backend.aliases, ["10.0.0.40".parse::<IpAddr>().unwrap()]);
    let second = &aliased[aliased.find("[[service]]").unwrap()..];
    let again = second.replace("10.0.0.100", "10.0.0.200").replace("pxe", "again");
    let shared = format!("{aliased}{again}");
    assert!(parse("test.toml", &shared).is_ok(), "{}", faults(&shared));
    let others = format!("{aliased}{}", again.replace("10.0.0.30", "10.0.0.31"));
    let shown = faults(&others);
    assert!(shown.contains("10.0.0.40 is an alias of 10.0.0.30"), "{shown}");
    let direct = aliased.replace("vip =", "mode = \"dsr\"\nvip =");
    assert!(faults(&direct).contains("`aliases` does not go with"), "{}", faults(&direct));
    let twice = aliased.replace("\"10.0.0.40\"", "\"10.0.0.40\", \"10.0.0.40\"");
    assert!(faults(&twice).contains("10.0.0.40 is an alias twice"), "{}", faults(&twice));
    let list: Vec<_> = (0..256).map(|n| format!("\"10.1.{}.{}\"", n / 128, n % 128 + 1)).collect();
    let many = |count: usize| aliased.replace("\"10.0.0.40\"", &list[..count].join(", "));
    assert!(parse("test.toml", &many(255)).is_ok());
    assert!(faults(&many(256)).contains("too many aliases"), "{}", faults(&many(256)));
}

#[test]
fn what_may_not_be_twice() {
    let service = SOUND.split_once("[[service]]").unwrap().1;
    let backend = service.split_once("[[service.backend]]").unwrap().1;
    let interface = SOUND.split_once("[[service]]").unwrap().0;
    for (more, words) in [
        (format!("[[service]]{service}"), "two services named `pxe`"),
        (format!("[[service]]{service}"), "two services on 10.0.0.100 port 69"),
        (format!("[[service.backend]]{backend}"), "two backends named `one`"),
        (format!("[[service.backend]]{backend}"), "10.0.0.30 is two backends of this service"),
        (interface.to_owned(), "two interfaces named `lan`"),
        (interface.to_owned(), "interface `lan` is the same on net_af_packet0"),
        (interface.replace("eth1", "eth2"), "the device net_af_packet0 is written differently"),
        (interface.to_owned() + "vlan = 7\nqueues = 1\n", "this is the device's own"),
        (interface.replace("0.2/24", "0.3/16"), "10.0.0.0/16 overlaps a subnet"),
    ] {
        let shown = faults(&format!("{SOUND}{more}"));
        assert!(shown.contains(words), "not `{words}`:\n{shown}");
    }
}

/// The sound file with both address families.
fn dual() -> String {
    SOUND
        .replace("[\"10.0.0.2/24\"]", "[\"10.0.0.2/24\", \"fd00::2/64\"]")
        .replace("vip = \"10.0.0.100\"", "vip = [\"10.0.0.100\", \"fd00::100\"]")
        + "[[service.backend]]\nname = \"six\"\naddress = \"fd00::30\"\n"
}

#[test]
fn a_service_may_be_there_over_both_families() {
    let config = parse("test.toml", &dual()).unwrap();
    let vips: Vec<_> = config.services[0].vips.iter().map(|vip| vip.address.to_string()).collect();
    assert_eq!(vips, ["10.0.0.100", "fd00::100"]);
    let alone = dual().replace("\"10.0.0.2/24\", ", "").replace("\"10.0.0.100\", ", "");
    let (before, after) = alone.split_once("[[service.backend]]").unwrap();
    let alone = format!("{before}{}", &after[after.find("[[service.backend]]").unwrap()..]);
    assert!(parse("test.toml", &alone).is_ok(), "{}", faults(&alone));
}

#[test]
fn clients_over_each_family_find_a_backend() {
    for (this, that, words) in [
        (
            "[\"10.0.0.100\", \"fd00::100\"]",
            "\"fd00::100\"",
            "over IPv4, and every VIP is over IPv6",
        ),
        ("fd00::30", "10.0.0.31", "a VIP over IPv6, and all backends are over IPv4"),
        ("vip =", "snat = [\"fd00::101\"]\nvip =", "over IPv4, and the pool is over IPv6"),
    ] {
        let shown = faults(&dual().replace(this, that));
        assert!(shown.contains(words), "not `{words}`:\n{shown}");
    }
    let both = dual().replace("vip =", "snat = [\"10.0.0.101\", \"fd00::101\"]\nvip =");
    assert!(parse("test.toml", &both).is_ok(), "{}", faults(&both));
    // A rule's clients, likewise.
    let ruled = |text: &str, more: &str| {
        let rule = "[[service.rule]]\nfiles = [\"*.efi\"]\nbackends = [\"one\"]\n";
        text.replacen("[[service.backend]]", &format!("{rule}{more}[[service.backend]]"), 1)
    };
    let shown = faults(&ruled(&dual(), ""));
    assert!(shown.contains("clients over IPv6 find none of these backends"), "{shown}");
    for sound in [ruled(&dual(), "clients = [\"10.0.0.0/8\"]\n"), ruled(&both, "")] {
        assert!(parse("test.toml", &sound).is_ok(), "{}", faults(&sound));
    }
    // An IPv6 VIP before IPv4 servers: with a pool over IPv4.
    let crossing = both.replace("fd00::30", "10.0.0.31").replace(", \"fd00::101\"", "");
    assert!(parse("test.toml", &crossing).is_ok(), "{}", faults(&crossing));
}

#[test]
fn a_service_s_policy() {
    let text = SOUND
        .replace(
            "vip =",
            "read_only = true\nallow_files = [\"*.0\"]\ndeny_files = [\"X/**\"]\nallow_clients = [\"10.0.0.9/24\", \
             \"fd00::9\"]\nmax_requests_per_client = 60\nmax_blksize = 1428\nmax_windowsize = 4\n\
             strip_options = [\"tsize\"]\nvip =",
        )
        .replace(
            "[[service.backend]]",
            "[[service.rule]]\nfiles = [\"*.efi\"]\noperation = \"write\"\nclients = [\"10.1.0.0/16\"]\n\
             backends = [\"one\"]\n[[service.backend]]",
        );
    let service = &parse("test.toml", &text).unwrap().services[0];
    let nets = ["10.0.0.0/24", "fd00::9/128"].map(|net| net.parse().unwrap());
    assert_eq!(
        service.access,
        Access {
            read_only: true,
            allow_files: vec!["*.0".into()],
            deny_files: vec!["x/**".into()],
            allow_clients: nets.into(),
            max_requests: Some(60),
            max_connections: None,
        }
    );
    let limits = &service.options;
    assert_eq!((limits.max_blksize, limits.max_windowsize), (Some(1428), Some(4)));
    assert_eq!(limits.strip, ["tsize"]);
    let [(rule, places)] = &service.rules[..] else { panic!("one rule") };
    assert_eq!((&rule.files[..], rule.is_write), (&["*.efi".to_owned()][..], Some(true)));
    assert_eq!((rule.clients.len(), &places[..]), (1, &[0][..]));
}

#[test]
fn there_are_not_too_many_snat_addresses() {
    let list: Vec<_> =
        (0..1025).map(|n| format!("\"10.0.{}.{}\"", 4 + n / 128, n % 128 + 1)).collect();
    let with = |count: usize| {
        let pool = format!("snat = [{}]\nvip =", list[..count].join(", "));
        SOUND.replace("10.0.0.2/24", "10.0.0.2/16").replace("vip =", &pool)
    };
    assert!(parse("test.toml", &with(1024)).is_ok());
    assert!(faults(&with(1025)).contains("too many SNAT addresses"), "{}", faults(&with(1025)));
}

#[test]
fn every_scheduler_has_its_word() {
    for (word, scheduler) in [
        ("round-robin", Scheduler::RoundRobin),
        ("least-transfers", Scheduler::LeastTransfers),
        ("source-hash", Scheduler::SourceHash),
        ("file-hash", Scheduler::FileHash),
    ] {
        let text = SOUND.replace("vip =", &format!("scheduler = \"{word}\"\nvip ="));
        assert_eq!(parse("test.toml", &text).unwrap().services[0].scheduler, scheduler);
    }
    assert_eq!(parse("test.toml", SOUND).unwrap().services[0].scheduler, Scheduler::RoundRobin);
}

#[test]
fn clients_stay_by_themselves_or_with_their_networks() {
    let read = |lines: &str| {
        let text = SOUND.replace("vip =", &format!("persistence = \"9s\"\n{lines}\nvip ="));
        parse("test.toml", &text).unwrap().services[0].persistence.unwrap()
    };
    let length = Duration::from_secs(9);
    for (lines, prefixes) in [
        ("", [32, 128]),
        ("persistence_prefix = 24", [24, 128]),
        ("persistence_prefix_v6 = 64\nscheduler = \"source-hash\"", [32, 64]),
        ("persistence_prefix = 32\nscheduler = \"least-transfers\"", [32, 128]),
    ] {
        assert_eq!(read(lines), Persistence { length, prefixes }, "{lines}");
    }
}

#[test]
fn a_slow_start() {
    let slow = |text: &str| parse("test.toml", text).unwrap().services[0].slow_start;
    assert_eq!(slow(SOUND), None);
    let text = SOUND.replace("vip =", "slow_start = \"30s\"\nvip =");
    assert_eq!(slow(&text), Some(Duration::from_secs(30)));
}

#[test]
fn a_backend_s_most_transfers() {
    let most = |text: &str| parse("test.toml", text).unwrap().services[0].backends[0].max_transfers;
    assert_eq!(most(SOUND), None);
    assert_eq!(
        most(&SOUND.replace("name = \"one\"", "max_transfers = 50\nname = \"one\"")),
        Some(50)
    );
}

#[test]
fn multicast_is_stripped_where_addresses_are_translated() {
    let stripped = |text: &str| parse("test.toml", text).unwrap().services[0].options.strip.clone();
    assert_eq!(stripped(SOUND), ["multicast"]);
    assert!(stripped(&SOUND.replace("vip =", "mode = \"dsr\"\nvip =")).is_empty());
    assert!(stripped(&SOUND.replace("vip =", "strip_options = []\nvip =")).is_empty());
}

#[test]
fn one_vip_on_an_interface_takes_what_is_sent_to_everybody() {
    let first = SOUND.replace("vip =", "broadcast = true\nvip =");
    assert!(parse("test.toml", &first).unwrap().services[0].broadcast);
    let second = &first[first.find("[[service]]").unwrap()..];
    let more = second.replace("pxe", "more");
    let port = format!("{first}{}", more.replace("vip =", "port = 1069\nvip ="));
    assert!(parse("test.toml", &port).is_ok(), "{}", faults(&port));
    let other = format!("{first}{}", more.replace("10.0.0.100", "10.0.0.101"));
    let shown = faults(&other);
    assert!(shown.contains("clients of 10.0.0.100 send to everybody here"), "{shown}");
    let v6 = dual().replace("[\"10.0.0.100\", \"fd00::100\"]", "\"fd00::100\"\nbroadcast = true");
    assert!(faults(&v6).contains("IPv6 has no broadcast"), "{}", faults(&v6));
}

#[test]
fn interfaces_share_a_device_in_different_vlans() {
    let more = |name: &str, vlan: &str, net: u8| {
        format!(
            "[[interface]]\nname = \"{name}\"\ndevice = \"net_af_packet0,iface=eth1\"\nvlan = {vlan}\n\
             mtu = 1400\naddress = [\"10.0.{net}.2/24\"]\n"
        )
    };
    let text = format!("{SOUND}{}{}", more("tagged", "212", 1), more("twice", "[7, 212]", 2));
    let config = parse("test.toml", &text).unwrap();
    assert_eq!(config.devices().len(), 1);
    let vlans: Vec<_> = config.vlan_ports().iter().map(|link| link.vlans.ids().to_vec()).collect();
    assert_eq!(vlans, [vec![], vec![212], vec![7, 212]]);
    assert_eq!(config.device_mtu(&config.interfaces[0].device), 1500);
    let large = text.replace("mtu = 1400", "mtu = 1498");
    let config = parse("test.toml", &large).unwrap();
    assert_eq!(config.device_mtu(&config.interfaces[0].device), 1506);
}

#[test]
fn a_gateway_of_each_family() {
    let with = |gateway: &str| {
        dual().replacen("[[service]]", &format!("gateway = {gateway}\n[[service]]"), 1)
    };
    let config = parse("test.toml", &with("[\"10.0.0.1\", \"fe80::1\"]")).unwrap();
    let far: Vec<IpAddr> = ["10.0.0.1", "fe80::1"].map(|gateway| gateway.parse().unwrap()).into();
    assert_eq!(config.interfaces[0].gateways, far);
    let two = faults(&with("[\"10.0.0.1\", \"10.0.0.3\"]"));
    assert!(two.contains("a second gateway"), "{two}");
    let far = with("\"10.0.0.1\"").replace("fd00::30", "fd99::30");
    assert!(faults(&far).contains("no interface reaches fd99::30"), "{}", faults(&far));
    let small = with("\"10.0.0.1\"").replacen("[[service]]", "mtu = 1000\n[[service]]", 1);
    assert!(faults(&small).contains("IPv6 needs a larger MTU"), "{}", faults(&small));
}

#[test]
fn nothing_at_all() {
    let shown = faults("");
    assert!(shown.contains("no [[interface]]") && shown.contains("no [[service]]"), "{shown}");
    let without = SOUND.split_once("[[service.backend]]").unwrap().0;
    assert!(faults(without).contains("has no [[service.backend]]"));
}

#[test]
fn behind_a_gateway_everything_is_reached_but_not_by_dsr() {
    let routed = SOUND.replace("[[service]]", "gateway = \"10.0.0.1\"\n[[service]]");
    let far = routed.replace("10.0.0.30", "192.168.7.7");
    assert_eq!(parse("test.toml", &far).unwrap().services[0].backends[0].interface, 0);
    let dsr = far.replace("vip =", "mode = \"dsr\"\nvip =");
    assert!(faults(&dsr).contains("192.168.7.7 is in no interface's subnet"));
    let gateway = routed.replace("10.0.0.30", "10.0.0.1");
    assert!(faults(&gateway).contains("10.0.0.1 is a gateway"));
}

#[test]
fn files_that_cannot_be_read() {
    for (path, words) in [("/nowhere.toml", "No such file"), ("/", "directory")] {
        let shown = load(Path::new(path)).unwrap_err().to_string();
        assert!(shown.contains(path) && shown.contains(words), "{shown}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"\xff\xfe").unwrap();
    assert!(load(file.path()).unwrap_err().to_string().contains("UTF-8"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(start in 0usize..200, noise in "[\\[\\]a-z0-9=\",. \n]{0,40}") {
        let mut text = SOUND.to_owned();
        text.insert_str(start.min(text.len()), &noise);
        if let Err(faults) = parse("test.toml", &text) {
            assert!(faults.to_string().contains("error: "));
        }
    }
}

/// A second service, on another port or with another pool.
fn beside(keys: &str) -> String {
    format!(
        "[[service]]\nname = \"fw\"\nprotocol = \"tftp\"\nport = 70\n{keys}\n\
         [[service.backend]]\nname = \"one\"\naddress = \"10.0.0.30\"\n"
    )
}

#[test]
fn who_adds_addresses_is_said_for_all_or_for_a_service() {
    let whose = |text: &str| {
        let config = parse("test.toml", text).unwrap_or_else(|faults| panic!("{faults}"));
        config.services.iter().map(|service| service.addresses.name()).collect::<Vec<_>>()
    };
    let two = format!("{SOUND}{}", beside("vip = \"10.0.0.101\""));
    assert_eq!(whose(&two), ["ours"; 2]);
    let all = format!("[control]\naddresses = \"elsewhere\"\n{two}");
    assert_eq!(whose(&all), ["elsewhere"; 2]);
    let one = all.replace("port = 70", "port = 70\naddresses = \"ours\"");
    assert_eq!(whose(&one), ["elsewhere", "ours"]);
}

#[test]
fn services_that_share_an_address_agree_on_who_adds_it() {
    let snat = "snat = [\"10.0.0.101\"]\nvip =";
    let pooled = SOUND.replace("vip =", snat);
    for (first, second, shared) in [
        (SOUND, "vip = \"10.0.0.100\"".to_owned(), "10.0.0.100"),
        (&pooled, format!("vip = \"10.0.0.102\"\n{}", &snat[..21]), "10.0.0.101"),
    ] {
        let agreed = format!("{first}{}", beside(&second));
        assert!(parse("test.toml", &agreed).is_ok(), "{}", faults(&agreed));
        let shown =
            faults(&format!("{first}{}", beside(&format!("{second}\naddresses = \"elsewhere\""))));
        let what =
            format!("the addresses of `fw` are elsewhere, and {shared} is also one of `pxe`");
        assert!(shown.contains(&what) && shown.contains("whose addresses are ours"), "{shown}");
        assert!(shown.contains("need the same `addresses`"), "{shown}");
    }
}
