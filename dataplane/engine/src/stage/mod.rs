//! What happens to a packet, a file a stage, in this order: [`admit`], [`classify`], [`lookup`],
//! [`schedule`], [`track`], [`translate`], [`transmit`]. [`routine`] is the short way for most, [`forward`]
//! goes on from lookup for the others, and has a [`rescue`] when their server has died. What is no whole
//! datagram is [`apart`]: a [`part`] of one, an [`error`] about one. Last come those whose options are to
//! [`edit`], those that [`cross`] to the other version of IP, and [`answer`] is where some turn back; what
//! nobody sent us, we [`speak`]. What the kernel sends passes none of this, but for a [`redirect`].

pub mod admit;
pub mod answer;
pub mod apart;
pub mod classify;
pub mod connection;
pub mod cross;
pub mod edit;
pub mod error;
pub mod forward;
pub mod lookup;
pub mod neighbour;
pub mod part;
pub mod redirect;
pub mod rescue;
pub mod routine;
pub mod schedule;
pub mod speak;
pub mod track;
pub mod translate;
pub mod transmit;
pub mod urgent;
