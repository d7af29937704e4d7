//! What happens to a packet, a file a stage, in this order: [`admit`], [`classify`], [`lookup`],
//! [`schedule`], [`track`], [`translate`], [`transmit`]. [`forward`] goes through
//! them from lookup on, [`routine`] is the short way for most; [`part`] is for
//! those that come in parts, [`cross`] comes last for some, and [`answer`] is where some turn back.

pub mod admit;
pub mod answer;
pub mod classify;
pub mod cross;
pub mod forward;
pub mod lookup;
pub mod part;
pub mod routine;
pub mod schedule;
pub mod track;
pub mod translate;
pub mod transmit;
