use super::*;
use crate::config::{User, parse};

/// A sound service in this mode, whose checks have these keys.
fn text(mode: &str, keys: &str) -> String {
    format!(
        r#"[[interface]]
name = "lan"
device = "net_af_packet0,iface=eth1"
address = ["10.0.0.2/24"]
[[service]]
name = "pxe"
protocol = "tftp"
port = 6969
vip = "10.0.0.100"
mode = "{mode}"
[[service.backend]]
name = "one"
address = "10.0.0.30"
[service.health]
{keys}
"#
    )
}

fn checked(keys: &str) -> Health {
    let config = parse("test.toml", &text("nat", keys));
    let config = config.unwrap_or_else(|faults| panic!("{faults}"));
    config.services[0].health.clone().expect("it is checked")
}

/// The account `nobody`, as Debian has it.
const NOBODY: User = User { uid: 65534, gid: 65534 };

fn program(words: &[&str]) -> Probe {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    Probe::Command(Program { words, user: NOBODY })
}

#[test]
fn programs_run_as_a_user_that_there_is_and_not_as_root() {
    let with = |user: &str| {
        let keys = "check = \"command\"\ncommand = \"x\"";
        parse("test.toml", &format!("{}[control]\nscript_user = \"{user}\"\n", text("nat", keys)))
    };
    let config = with("daemon").unwrap_or_else(|faults| panic!("{faults}"));
    let Some(Health { probe: Probe::Command(program), .. }) = &config.services[0].health else {
        panic!("{config:?}");
    };
    assert_eq!(program.user, User { uid: 1, gid: 1 });
    for (user, words) in [
        ("no-such-user", "there is no user `no-such-user` on this machine"),
        ("root", "don't run as root"),
    ] {
        let faults = with(user).unwrap_err().to_string();
        assert!(faults.contains(words) && faults.contains("18:15"), "{faults}");
    }
}

const SHA256: &str = "E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn defaults() {
    let health = checked("check = \"tftp\"\nfile = \"health.txt\"");
    let canary = Canary { file: "health.txt".into(), size: None, sha256: None };
    let seconds = Duration::from_secs;
    let expected = Health {
        probe: Probe::Tftp(canary),
        port: 6969,
        interval: seconds(2),
        timeout: seconds(1),
        rise: 2,
        fall: 3,
    };
    assert_eq!(health, expected);
    for (check, probe, port) in [
        ("\"ftp\"", Probe::Ftp(None), 21),
        ("\"ssh\"", Probe::Ssh, 22),
        ("\"ssh\"\nport = 2222", Probe::Ssh, 2222),
        ("\"tcp\"\nport = 80", Probe::Tcp, 80),
        ("\"icmp\"", Probe::Icmp, 0),
        ("\"command\"\ncommand = \"x  y\"", program(&["x", "y"]), 6969),
    ] {
        let health = checked(&format!("check = {check}"));
        assert_eq!((health.probe, health.port), (probe, port), "{check}");
    }
    let plain = text("nat", "").replace("[service.health]", "");
    assert_eq!(parse("test.toml", &plain).unwrap().services[0].health, None);
}

#[test]
fn everything_written() {
    let health = checked(&format!(
        "check = \"tftp\"\nfile = \"f\"\nsize = 0\nsha256 = \"{SHA256}\"\nport = 70\ninterval = \"500ms\"\n\
         timeout = \"500ms\"\nrise = 1\nfall = 1"
    ));
    let Probe::Tftp(canary) = &health.probe else { panic!("{health:?}") };
    assert_eq!(canary.size, Some(0));
    assert_eq!(canary.sha256.map(|digest| (digest[0], digest[31])), Some((0xe3, 0x55)));
    assert_eq!((health.port, health.rise, health.fall), (70, 1, 1));
    assert_eq!([health.interval, health.timeout], [Duration::from_millis(500); 2]);
    let login = Login { user: "a".into(), password: "b".into() };
    let health = checked("check = \"ftp\"\nuser = \"a\"\npassword = \"b\"");
    assert_eq!(health.probe, Probe::Ftp(Some(login)));
    let health = checked("check = \"command\"\ncommand = [\"/bin/x\", \"a b\"]");
    assert_eq!(health.probe, program(&["/bin/x", "a b"]));
    // Unwritten, the timeout is no longer than the interval.
    let health = checked("check = \"icmp\"\ninterval = \"300ms\"");
    assert_eq!(health.timeout, Duration::from_millis(300));
}

/// Keys, from line 15 on, the place of their fault, and its words.
const TABLE: &[(&str, &str, &str)] = &[
    ("check = \"http\"", "15:9", "there is no check `http`"),
    ("check = \"tftp\"", "15:9", "a check without `file`"),
    ("check = \"tcp\"", "15:9", "a check without `port`"),
    ("check = \"command\"", "15:9", "a check without `command`"),
    ("check = \"icmp\"\nfiles = \"f\"", "16:1", "unknown key `files`"),
    ("check = \"icmp\"\nport = 7", "16:8", "`port` does not go with `check = \"icmp\"`"),
    ("check = \"ssh\"\nfile = \"f\"", "16:8", "`file` does not go with `check = \"ssh\"`"),
    ("check = \"ssh\"\nsize = 1", "16:8", "`size` does not go with"),
    ("check = \"ssh\"\nsha256 = \"x\"", "16:10", "`sha256` does not go with"),
    ("check = \"ssh\"\nuser = \"x\"", "16:8", "`user` does not go with"),
    ("check = \"ssh\"\npassword = \"x\"", "16:12", "`password` does not go with"),
    ("check = \"ssh\"\ncommand = \"x\"", "16:11", "`command` does not go with"),
    ("check = \"tftp\"\nfile = \"\"", "16:8", "no file of a TFTP server"),
    ("check = \"tftp\"\nfile = \"a\\u0000b\"", "16:8", "no file of a TFTP server"),
    ("check = \"tftp\"\nfile = \"f\"\nsize = 1048577", "17:8", "1048577 is out of range"),
    ("check = \"tftp\"\nfile = \"f\"\nsha256 = \"e3b0\"", "17:10", "no SHA-256"),
    ("check = \"ftp\"\nuser = \"a\"", "16:8", "half a login"),
    ("check = \"ftp\"\npassword = \"a\"", "16:12", "half a login"),
    ("check = \"ftp\"\nuser = \"a\"\npassword = \"b\\r\\nDELE c\"", "17:12", "no word of a login"),
    ("check = \"command\"\ncommand = \"  \"", "16:11", "no command"),
    ("check = \"command\"\ncommand = []", "16:11", "no command"),
    ("check = \"command\"\ncommand = [\"\", \"x\"]", "16:11", "no command"),
    ("check = \"tcp\"\nport = 0", "16:8", "0 is out of range"),
    ("check = \"tcp\"\nport = 65536", "16:8", "65536 is out of range"),
    ("check = \"ssh\"\nrise = 0", "16:8", "0 is out of range"),
    ("check = \"ssh\"\nfall = 0", "16:8", "0 is out of range"),
    ("check = \"ssh\"\ninterval = \"10ms\"", "16:12", "no usable length of time"),
    ("check = \"ssh\"\ninterval = \"2h\"", "16:12", "from \"100ms\" to \"1h\""),
    ("check = \"ssh\"\ntimeout = \"0s\"", "16:11", "no usable length of time"),
    ("check = \"ssh\"\ntimeout = \"3s\"", "16:11", "longer than the interval"),
    (
        "check = \"ssh\"\ninterval = \"1s\"\ntimeout = \"2s\"",
        "17:11",
        "at most the interval, which is 1s",
    ),
];

#[test]
fn every_fault_has_its_place_and_its_words() {
    for (keys, place, words) in TABLE {
        let faults = parse("test.toml", &text("nat", keys)).expect_err(keys).to_string();
        assert!(faults.contains(&format!("test.toml:{place}\n")), "{keys}: not {place}:\n{faults}");
        assert!(faults.contains(words), "{keys}: not `{words}`:\n{faults}");
    }
}

#[test]
fn a_program_does_not_go_to_a_vip_at_a_backend() {
    let keys = "check = \"command\"\ncommand = \"check_ssh -H HOST\"";
    let faults = parse("test.toml", &text("dsr", keys)).unwrap_err().to_string();
    assert!(faults.contains("test.toml:15:9"), "{faults}");
    assert!(faults.contains("does not go with `mode = \"dsr\"`"), "{faults}");
    assert!(parse("test.toml", &text("dsr", "check = \"ssh\"")).is_ok());
}
