use crate::config::sample::SOUND;
use crate::config::{Announce, parse};

/// When the VIPs of the sample's service are announced, or the faults.
fn read(control: &str, service: &str) -> Result<Announce, String> {
    let text = SOUND.replacen("vip =", &format!("{service}\nvip ="), 1);
    let config = parse("test.toml", &format!("[control]\n{control}\n{text}"));
    config.map(|config| config.services[0].announce).map_err(|faults| faults.to_string())
}

#[test]
fn a_service_can_say_otherwise_than_all() {
    let [always, while_served] = ["announce = \"always\"", "announce = \"while-served\""];
    for (control, service, announce) in [
        ("", "", Announce::Always),
        ("", while_served, Announce::WhileServed),
        (while_served, "", Announce::WhileServed),
        (while_served, always, Announce::Always),
        (always, while_served, Announce::WhileServed),
    ] {
        assert_eq!(read(control, service), Ok(announce), "{control} {service}");
    }
    for (control, service) in [("announce = \"never\"", ""), ("", "announce = \"never\"")] {
        let faults = read(control, service).expect_err("a fault");
        assert!(faults.contains("VIPs are not announced `never`"), "{faults}");
        assert!(faults.contains("\"always\" or \"while-served\""), "{faults}");
    }
}

#[test]
fn addresses_of_somebody_else_are_not_withdrawn() {
    let [elsewhere, while_served] = ["addresses = \"elsewhere\"", "announce = \"while-served\""];
    for (control, service, is_sound) in [
        (elsewhere, while_served.to_owned(), false),
        (while_served, elsewhere.to_owned(), false),
        ("", format!("{elsewhere}\n{while_served}"), false),
        (&*format!("{elsewhere}\n{while_served}"), String::new(), false),
        (while_served, format!("{elsewhere}\nannounce = \"always\""), true),
        (elsewhere, format!("addresses = \"ours\"\n{while_served}"), true),
    ] {
        match read(control, &service) {
            Ok(_) => assert!(is_sound, "{control} {service}"),
            Err(faults) => {
                assert!(!is_sound, "{faults}");
                let what = "`pxe` has `announce = \"while-served\"`, but its addresses are added elsewhere";
                assert!(faults.contains(what), "{faults}");
                assert!(faults.contains("tidegate ready SERVICE"), "{faults}");
            }
        }
    }
}
