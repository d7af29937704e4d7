//! Configurations that tests begin with.

use super::{Config, parse};

/// A sound file with one backend; tests change one line of it.
pub const SOUND: &str = r#"[[interface]]
name = "lan"
device = "net_af_packet0,iface=eth1"
address = ["10.0.0.2/24"]

[[service]]
name = "pxe"
protocol = "tftp"
vip = "10.0.0.100"

[[service.backend]]
name = "one"
address = "10.0.0.30"
"#;

/// A sound file with two backends.
pub fn pair() -> String {
    format!("{SOUND}\n[[service.backend]]\nname = \"two\"\naddress = \"10.0.0.31\"\n")
}

/// Parses a sound text.
pub fn parsed(text: &str) -> Config {
    parse("test.toml", text).unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}
