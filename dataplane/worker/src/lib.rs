//! The poll loop of one core, behind two small traits: a [`port::Port`] and a
//! [`engine::frame::Frame`].
#![forbid(unsafe_code)]

pub mod news;
pub mod port;
