//! The poll loop of one core, behind two small traits: a [`port::Port`] and a
//! [`engine::frame::Frame`].
#![forbid(unsafe_code)]

pub mod kernel;
pub mod latency;
pub mod links;
pub mod memory;
pub mod mesh;
pub mod news;
mod outgoing;
pub mod port;
pub mod worker;
