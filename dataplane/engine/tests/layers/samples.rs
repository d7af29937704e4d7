//! Small made-up crates: faults that the check must find, and code that must pass.

use crate::check::{Floors, faults};
use crate::tree::Files;

const FLOORS: &Floors = &[("top.rs", 3), ("mid/", 2), ("low/", 1), ("low/loft/", 2)];

#[test]
fn a_good_crate_passes() {
    let found = found(&[
        ("lib.rs", "pub mod low; mod mid; mod top; pub use top::Top; use mid::Mid;"),
        ("top.rs", "use crate::mid::{self, Mid}; pub struct Top(Mid, mid::Other); impl Top {}"),
        ("mid/mod.rs", "mod deep; pub use deep::Other; use crate::low::Low; pub struct Mid(Low);"),
        ("mid/deep.rs", "pub struct Other(crate::low::Low, std::net::IpAddr);"),
        ("low/mod.rs", "mod list; mod loft; pub use list::Low;"),
        ("low/list.rs", "pub struct Low; #[cfg(test)] mod tests { use crate::top::Top; }"),
        ("low/list/tests.rs", "use nothing::of::the::kind;"),
        ("low/loft.rs", ""),
    ]);
    assert_eq!(found, NOTHING);
}

#[test]
fn an_import_of_what_stands_above_is_found() {
    let low = "mod loft;\nuse crate::mid::Mid;\npub struct Low(Mid);";
    let found = found(&[LIB, TOP, MID, ("low/mod.rs", low), LOFT]);
    assert_eq!(found, ["low/mod.rs:2: floor 1 imports crate::mid::Mid of mid/mod.rs, floor 2"]);
}

#[test]
fn no_way_of_writing_hides_an_import() {
    let ways = [
        "fn f() -> crate::mid::Mid { todo!() }",
        "fn f() { use crate::mid::Mid as M; }",
        "use crate::mid; fn f(m: mid::Mid) {}",
        "use super::mid::*; fn f(m: Mid) {}",
        "use super::*; fn f() { mid::Mid::new() }",
        "use crate::Renamed; fn f(m: Renamed) {}",
        "use crate::mid::{nested::{self}}; fn f() { nested::go() }",
        "use crate::mid as other; fn f() { matches!(x, other::Mid { .. }); }",
        "use crate::mid::*; fn f() { assert!(go()); }",
        "use crate::mid::*; fn f() { if let MID = 1 {} }",
        "fn f() { println!(\"{}\", crate::mid::go()) }",
        "macro_rules! m { () => { $crate::mid::go() } }",
        "fn f() { #[cfg(test)] use crate::low::loft; crate::mid::made() }",
        "pub use crate::mid::Mid;",
        "struct S; impl S { fn f() { crate::mid::go() } }",
        "trait T: crate::mid::Trait {}",
    ];
    let mid = "pub struct Mid; pub trait Trait {} pub const MID: u8 = 1; pub fn go() {}
        pub mod nested { pub fn go() {} } make! { made }";
    let lib = "mod top; mod low; mod mid; pub use mid::Mid as Renamed;";
    for way in ways {
        let low = format!("mod loft; {way}");
        let found = found(&[("lib.rs", lib), TOP, ("mid/mod.rs", mid), ("low/mod.rs", &low), LOFT]);
        let is_upward = |fault: &String| fault.contains("floor 1 imports");
        assert_eq!(found.iter().filter(|fault| is_upward(fault)).count(), 1, "{way}: {found:?}");
        assert_eq!(found.len(), 1, "{way}: {found:?}");
    }
}

#[test]
fn names_of_others_are_no_imports() {
    let ways = [
        "use other::mid::Mid; fn f(m: Mid) {}",
        "use ::mid::Mid;",
        "use super::*; fn f(go: u8) { let made = go; made + go }",
        "use super::*; fn f() { let go = || 1; go(); assert!(x.go() == 1, go) }",
        "#[cfg(test)] fn f() { crate::mid::go() }",
        "struct S; impl S { #[cfg(test)] fn f() { crate::mid::go() } }",
    ];
    let mid = "pub struct Mid; pub fn go() {}";
    let lib = "mod top; mod low; mod mid; use mid::go;";
    for way in ways {
        let low = format!("mod loft; {way}");
        let found = found(&[("lib.rs", lib), TOP, ("mid/mod.rs", mid), ("low/mod.rs", &low), LOFT]);
        assert_eq!(found, NOTHING, "{way}");
    }
}

#[test]
fn a_pair_is_found() {
    let pair = ("mid/mod.rs", "pub mod a; pub mod b;");
    let a = ("mid/a.rs", "use super::b::B;\n pub struct A(B);");
    let b = ("mid/b.rs", "\npub struct B; impl From<super::a::A> for B {}");
    assert_eq!(
        found(&[LIB, TOP, pair, a, b, LOW, LOFT]),
        ["circle: mid/a.rs:1 imports super::b::B of mid/b.rs, \
          mid/b.rs:2 imports super::a::A of mid/a.rs"]
    );
}

#[test]
fn a_circle_of_three_is_found_once() {
    let mid = ("mid/mod.rs", "pub mod a; pub mod b; pub mod c;");
    let a = ("mid/a.rs", "use super::b::B; pub struct A;");
    let b = ("mid/b.rs", "use super::c::C; pub struct B;");
    let c = ("mid/c.rs", "use super::a::A; pub struct C;");
    assert_eq!(
        found(&[LIB, TOP, mid, a, b, c, LOW, LOFT]),
        ["circle: mid/a.rs:1 imports super::b::B of mid/b.rs, \
          mid/b.rs:1 imports super::c::C of mid/c.rs, mid/c.rs:1 imports super::a::A of mid/a.rs"]
    );
}

#[test]
fn a_circle_of_a_program_is_found() {
    let files = [
        ("main.rs", "mod low; fn go() { low::low() }"),
        ("low.rs", "use crate::go; pub fn low() {}"),
    ];
    let files = files.map(|(file, text)| (file.to_string(), text.to_string())).into();
    let found = faults(&files, "main.rs", &[]);
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["circle: low.rs:1 imports crate::go of main.rs, main.rs:1 imports low::low of low.rs"]
    );
}

#[test]
fn a_parent_may_only_re_export_a_child_that_uses_it() {
    let child = ("mid/child.rs", "use super::Mid; pub struct Child(Mid);");
    let good = ("mid/mod.rs", "mod child; pub use child::Child; pub struct Mid;");
    assert_eq!(found(&[LIB, TOP, good, child, LOW, LOFT]), NOTHING);
    for bad in [
        "mod child; use child::Child; pub struct Mid;",
        "mod child; pub use child::Child; pub struct Mid; fn f() -> Child { Child }",
        "mod child; pub struct Mid; fn f() { child::Child }",
    ] {
        let found = found(&[LIB, TOP, ("mid/mod.rs", bad), child, LOW, LOFT]);
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert!(found[0].starts_with("circle: mid/child.rs:1 imports super::Mid"), "{found:?}");
    }
}

#[test]
fn methods_on_another_floor_than_their_type_are_found() {
    let mid = "use crate::low::Low;\n\nimpl<'a> Low<'a> { fn f() {} }";
    let found = found(&[LIB, TOP, ("mid/mod.rs", mid), ("low/mod.rs", LOW_TYPE), LOFT]);
    assert_eq!(found, ["mid/mod.rs:3: floor 2 has an impl of Low of low/mod.rs, floor 1"]);
}

#[test]
fn methods_of_a_trait_may_stand_anywhere_above() {
    let mid = "use crate::low::Low; trait More {} impl More for Low<'_> {}";
    let found = found(&[LIB, TOP, ("mid/mod.rs", mid), ("low/mod.rs", LOW_TYPE), LOFT]);
    assert_eq!(found, NOTHING);
}

#[test]
fn a_file_on_no_floor_and_a_row_without_files_are_found() {
    let lib = ("lib.rs", "mod top; mod mid; mod low; mod odd;");
    let low = ("low/mod.rs", "");
    assert_eq!(
        found(&[lib, TOP, MID, low, ("odd.rs", "")]),
        ["odd.rs: on no floor: add it to the table", "low/loft/: a row of the table, but no file"]
    );
}

#[test]
fn a_path_that_leads_nowhere_is_found() {
    let low = ("low/mod.rs", "mod loft; use crate::mid::Nobody;");
    assert_eq!(
        found(&[LIB, TOP, MID, low, LOFT]),
        ["low/mod.rs:1: crate::mid::Nobody leads nowhere"]
    );
}

const NOTHING: [&str; 0] = [];
const LIB: (&str, &str) = ("lib.rs", "mod top; mod mid; mod low;");
const TOP: (&str, &str) = ("top.rs", "");
const MID: (&str, &str) = ("mid/mod.rs", "pub struct Mid;");
const LOW: (&str, &str) = ("low/mod.rs", "mod loft;");
const LOFT: (&str, &str) = ("low/loft/mod.rs", "");
const LOW_TYPE: &str = "mod loft; pub struct Low<'a>(&'a u8); impl Low<'_> {}";

/// The faults of a crate of these files.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let files: Files =
        files.iter().map(|(file, text)| (file.to_string(), text.to_string())).collect();
    faults(&files, "lib.rs", FLOORS).iter().map(ToString::to_string).collect()
}
