//! DPDK's C interface: the part that the `dpdk` crate uses, generated from the installed headers.
//! Inline functions are called through small C wrappers. What each item does, and what it asks of
//! its caller, is in DPDK's own documentation.
#![no_std]

mod bindings {
    #![allow(clippy::all, clippy::undocumented_unsafe_blocks)]
    #![allow(missing_docs, non_camel_case_types, non_snake_case, non_upper_case_globals, dead_code)]
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use bindings::*;
