//! Frames in answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The front of a frame, from its Ethernet header on; in JSON, base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameBytes(pub Vec<u8>);

impl Serialize for FrameBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for FrameBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FrameBytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(FrameBytes).map_err(D::Error::custom)
    }
}
