//! The first message on a link, from both sides: gates of two versions in a row understand each other.

use super::error::PairError;
use super::message::Message;

/// The version of messages and records.
const VERSION: u16 = 1;
/// The oldest version that is understood.
const LEAST_VERSION: u16 = 1;

/// The first message of this gate.
pub fn hello() -> Message {
    Message::Hello {
        version: VERSION,
        least_version: LEAST_VERSION,
        build: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The peer's build, by its first message.
///
/// # Errors
///
/// Another message, or a version that this one does not understand, or that does not understand this one.
pub fn greet(first: Message) -> Result<String, PairError> {
    match first {
        Message::Hello { version, least_version, build } => {
            let is_understood = version >= LEAST_VERSION && least_version <= VERSION;
            if is_understood { Ok(build) } else { Err(PairError::Version(build)) }
        }
        _ => Err(PairError::Order),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_overlap_understand_each_other() {
        let of = |version, least_version| Message::Hello {
            version,
            least_version,
            build: "9.9".to_owned(),
        };
        assert_eq!(greet(hello()).expect("this one"), env!("CARGO_PKG_VERSION"));
        assert_eq!(greet(of(VERSION + 1, VERSION)).expect("the next one"), "9.9");
        for (version, least) in [(VERSION + 2, VERSION + 1), (LEAST_VERSION - 1, 0)] {
            let error = greet(of(version, least)).expect_err("too far");
            assert!(error.to_string().contains("tidegate 9.9"), "{error}");
        }
        assert!(matches!(greet(Message::Rows(vec![])), Err(PairError::Order)));
    }
}
