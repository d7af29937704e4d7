//! Ids: indexes into the snapshot's lists.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Ids, each a number of its own type: none is taken for another's.
macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $id:ident($number:ident);)+) => {$(
        $(#[doc = $doc])+
        #[derive(
            Debug,
            Clone,
            Copy,
            PartialEq,
            Eq,
            PartialOrd,
            Ord,
            Hash,
            Default,
            FromBytes,
            IntoBytes,
            KnownLayout,
            Immutable,
        )]
        #[repr(transparent)]
        pub struct $id(pub $number);

        impl $id {
            /// The greatest id, which can stand for none.
            pub const MAX: $id = $id($number::MAX);

            /// The place in the list that the id indexes.
            #[inline(always)]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl From<$id> for usize {
            #[inline(always)]
            fn from(id: $id) -> usize {
                id.index()
            }
        }
    )+};
}

ids! {
    /// Index into [`crate::snapshot::Snapshot::interfaces`].
    InterfaceId(u8);

    /// Index into [`crate::snapshot::Snapshot::services`].
    ServiceId(u16);

    /// Index into [`crate::snapshot::Snapshot::backends`].
    BackendId(u16);

    /// Index into [`crate::snapshot::Snapshot::vips`].
    VipId(u16);

    /// Index into [`crate::snapshot::Snapshot::groups`].
    GroupId(u16);

    /// Index into [`crate::snapshot::Snapshot::snat`].
    SnatId(u16);

    /// Number of a server: one per address, however many backends share it.
    ServerId(u16);
}
