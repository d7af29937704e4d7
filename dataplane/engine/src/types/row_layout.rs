//! Layouts of saved rows, held by the compiler.

/// Asserts size and field offsets of a type in saved rows, all fields named. A process continues from the rows of an older
/// one: another layout needs another version in [`crate::flow::store::layout`].
macro_rules! row_layout {
    ($row:ident, $size:literal: $($field:ident $offset:literal),+ $(,)?) => {
        const _: () = {
            assert!(size_of::<$row>() == $size);
            $(assert!(std::mem::offset_of!($row, $field) == $offset);)+
            // A new field is a compiler error here.
            const fn _all($row { $($field: _),+ }: &$row) {}
        };
    };
}
