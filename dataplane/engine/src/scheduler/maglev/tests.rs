use super::*;
use crate::scheduler::slow_start::{WHOLE, lot};
use crate::types::id::BackendId;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Number of client keys.
const KEYS: u32 = 20_000;

fn keys() -> impl Iterator<Item = u64> {
    (0..KEYS).map(|n| of_address(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()))
}

/// Backends, sorted by address.
fn farm() -> impl Strategy<Value = Vec<(IpAddr, u16)>> {
    let v4 = (1..u32::MAX).prop_map(|bits| IpAddr::from(std::net::Ipv4Addr::from_bits(bits)));
    let v6 = any::<u128>().prop_map(|bits| IpAddr::from(std::net::Ipv6Addr::from_bits(bits)));
    prop::collection::btree_map(prop_oneof![v4, v6], 1u16..=100, 2..50)
        .prop_map(|farm| farm.into_iter().collect())
}

fn total(farm: &[(IpAddr, u16)]) -> f64 {
    farm.iter().map(|&(_, weight)| f64::from(weight)).sum()
}

/// The fraction of slots that each backend has.
fn shares(maglev: &Maglev) -> Vec<f64> {
    let mut shares = vec![0.0; maglev.hashes.len()];
    maglev.places.iter().for_each(|&backend| shares[usize::from(backend)] += 1.0);
    shares
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Each backend's fraction of slots matches its weight, within 1 % and one slot.
    #[test]
    fn shares_follow_the_weights(farm in farm()) {
        let places = shares(&Maglev::new(&farm));
        for (places, &(_, weight)) in places.into_iter().zip(&farm) {
            let due = SIZE as f64 * f64::from(weight) / total(&farm);
            let bound = due / 100.0 + 1.0;
            prop_assert!((places - due).abs() <= bound, "{places} of {due}");
        }
    }

    /// Removing a backend moves at most 1 % of all keys between the others.
    #[test]
    fn few_others_move_when_a_backend_is_taken_out(farm in farm(), gone: prop::sample::Index) {
        let gone = gone.index(farm.len());
        let (before, mut left) = (Maglev::new(&farm), farm.clone());
        left.remove(gone);
        let after = Maglev::new(&left);
        let both = before.places.iter().zip(&after.places);
        let moved = both.filter(|&(&was, &is)| {
            let was = usize::from(was);
            was != gone && farm[was] != left[usize::from(is)]
        });
        let moved = moved.count() as f64 / SIZE as f64;
        prop_assert!(moved <= 0.01, "{moved}");
    }

    /// Skipping a backend moves only its own keys, which the others share by weight, within 5 % of the moved keys.
    #[test]
    fn only_its_own_keys_leave_a_backend_that_cannot_be_used(farm in farm(), gone: prop::sample::Index) {
        let gone = gone.index(farm.len());
        let maglev = Maglev::new(&farm);
        let mut heirs = vec![0.0; farm.len()];
        for key in keys() {
            let (was, is) = (maglev.find(key, |_, _| true), maglev.find(key, |one, _| one != gone));
            if was == Some(gone) {
                heirs[is.expect("another")] += 1.0;
            } else {
                prop_assert_eq!(was, is);
            }
        }
        let moved: f64 = heirs.iter().sum();
        let rest = total(&farm) - f64::from(farm[gone].1);
        for (heir, &(_, weight)) in heirs.iter().zip(&farm).filter(|&(&heir, _)| heir > 0.0) {
            let due = moved * f64::from(weight) / rest;
            prop_assert!((heir - due).abs() <= 0.05 * moved + 20.0, "{heir} of {due}");
        }
    }
}

/// Sequential addresses and names are spread, too: each backend's share of them is within 5 % of all.
#[test]
fn keys_that_are_alike_are_spread() {
    let farm: Vec<_> = (1..=3).map(|n| (IpAddr::from([10, 0, 0, n]), n.into())).collect();
    let maglev = Maglev::new(&farm);
    let v6 = |n: u32| of_address(std::net::Ipv6Addr::from_bits(0xfd << 120 | u128::from(n)).into());
    let name = |n: u32| of_file(format!("firmware/ap-{n:05}.bin").as_bytes());
    let all: [Vec<u64>; 3] =
        [keys().collect(), (0..KEYS).map(v6).collect(), (0..KEYS).map(name).collect()];
    for keys in all {
        for (backend, &(_, weight)) in farm.iter().enumerate() {
            let found = keys.iter().filter(|&&key| maglev.find(key, |_, _| true) == Some(backend));
            let share = found.count() as f64 / f64::from(KEYS);
            let due = f64::from(weight) / total(&farm);
            assert!((share - due).abs() < 0.05, "{share} of {due}");
        }
    }
}

#[test]
fn each_backend_has_a_place_whatever_it_weighs() {
    let address = |n: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n));
    let farm: Vec<_> = (0..300).map(|n| (address(n), if n == 7 { 1 } else { 1000 })).collect();
    let maglev = Maglev::new(&farm);
    let placed: BTreeSet<_> = maglev.places.iter().collect();
    assert_eq!(placed.len(), farm.len());
}

/// A growing share keeps the keys that it has, and is proportional.
#[test]
fn a_number_is_the_same_for_each_key_and_backend() {
    let farm: Vec<_> = (1..=4).map(|n| (IpAddr::from([10, 0, 0, n]), 1)).collect();
    let maglev = Maglev::new(&farm);
    let of_first = |share: u32| {
        let accepts = |backend, number| backend != 0 || lot(number) < share;
        let is_its = |key: &u64| maglev.find(*key, accepts) == Some(0);
        keys().filter(is_its).collect::<BTreeSet<_>>()
    };
    let [little, half, whole] = [WHOLE / 10, WHOLE / 2, WHOLE].map(of_first);
    assert!(little.is_subset(&half) && half.is_subset(&whole));
    for (had, share) in [(little, 0.1), (half, 0.5)] {
        let had = had.len() as f64 / whole.len() as f64;
        assert!((had - share).abs() < 0.03, "{had} of {share}");
    }
}

#[test]
fn the_only_one_that_can_be_used_is_found() {
    let farm: Vec<_> = (1..=200).map(|n| (IpAddr::from([10, 0, 0, n]), 1)).collect();
    let maglev = Maglev::new(&farm);
    assert!(keys().take(1000).all(|key| maglev.find(key, |one, _| one == 17) == Some(17)));
    assert_eq!(maglev.find(1, |_, _| false), None);
    assert_eq!(Maglev::new(&[]).find(1, |_, _| true), None);
}

/// Choices are stable across gates and releases.
#[test]
fn choices_are_the_same_for_all_times() {
    let farm: Vec<_> = (1..=5).map(|n| (IpAddr::from([10, 0, 0, n]), 1)).collect();
    let maglev = Maglev::new(&farm);
    let choices: Vec<_> =
        keys().take(12).map(|key| maglev.find(key, |_, _| true).unwrap()).collect();
    assert_eq!(choices, [1, 0, 1, 2, 3, 4, 3, 2, 1, 0, 3, 1]);
    let v6 = maglev.find(of_address("fd00::9".parse().unwrap()), |_, _| true);
    let file = maglev.find(of_file(b"pxelinux.0"), |_, _| true);
    assert_eq!((v6, file), (Some(3), Some(3)));
}

#[test]
fn a_file_is_the_same_by_any_spelling() {
    for name in ["/boot/a.img", "boot\\a.img", "boot//./a.img", "boot/x/../a.img"] {
        assert_eq!(of_file(name.as_bytes()), of_file(b"boot/a.img"), "{name}");
    }
    assert_ne!(of_file(b"boot/A.img"), of_file(b"boot/a.img"));
    assert_ne!(of_file(b"../a.img"), of_file(b"a.img"));
}

#[test]
fn a_table_is_made_once_and_kept_while_it_is_used() {
    let member =
        |n, weight| Member { id: BackendId(0), address: IpAddr::from([10, 0, 0, n]), weight };
    let mut maglevs = Maglevs::default();
    let table = maglevs.of(&[member(1, 1), member(2, 1)]);
    assert!(Arc::ptr_eq(&table, &maglevs.of(&[member(1, 1), member(2, 1)])));
    let _ = maglevs.of(&[member(1, 1), member(2, 2)]);
    assert_eq!(maglevs.0.len(), 2);
    maglevs.tidy();
    assert!(Arc::ptr_eq(&table, &maglevs.of(&[member(1, 1), member(2, 1)])));
    assert_eq!(maglevs.0.len(), 1);
}
