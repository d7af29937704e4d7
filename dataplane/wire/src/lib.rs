//! Headers as zero-copy views over a frame's bytes. A view is checked once, when it is made; its accessors cannot fail.
//! The crate knows no flows, services or devices.
//!
//! ```
//! use wire::tftp::Message;
//! use wire::udp::Udp;
//! use zerocopy::IntoBytes;
//!
//! let read = b"\0\x01pxelinux.0\0octet\0blksize\x001428\0";
//! let Ok(Message::Request(request)) = Message::parse(read) else { panic!("a request") };
//! assert_eq!((request.file, request.is_write), (&b"pxelinux.0"[..], false));
//!
//! // A view is split off the bytes that it describes: nothing is copied.
//! let mut segment = [0x08, 0x16, 0, 69, 0, 12, 0, 0, 1, 2, 3, 4];
//! let (udp, data) = Udp::split(&mut segment).expect("a whole datagram");
//! assert_eq!((udp.source(), udp.destination(), data), (2070, 69, &mut [1, 2, 3, 4][..]));
//! assert_eq!(udp.as_bytes().len(), wire::udp::HEADER);
//! ```
#![forbid(unsafe_code)]

pub mod checksum;
pub mod common_frame;
pub mod ethernet;
pub mod ftp;
pub mod icmp;
pub mod icmp_problem;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod neighbour;
pub mod tcp;
pub mod tftp;
pub mod udp;
pub mod vlan;
