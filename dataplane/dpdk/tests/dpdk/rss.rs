//! RSS: the key and table that a device is given put each client's frames on its owner's queue.

use crate::alone::alone;
use crate::support::{eal, pool};
use dpdk::{Port, PortConfig, Rss};
use engine::net::rss::{ENTRIES, Steer, key, owner, owner_v6, queue};
use std::net::{Ipv4Addr, Ipv6Addr};

#[test]
fn a_device_with_rss_takes_our_key_and_table() {
    alone("rss::a_device_with_rss_takes_our_key_and_table", || {
        let devices = ["--vdev=net_null0", "--vdev=net_null1", "--vdev=net_null2"];
        let eal = eal(&devices.map(String::from));
        let pool = pool(&eal);
        let start = |name, receive, steer| {
            let setup = PortConfig { receive, steer, ..PortConfig::new(3, 1500) };
            Port::find(&eal, name).unwrap().start(setup, &pool).unwrap().1
        };
        assert_eq!(start("net_null0", 2, Steer::BySource), Rss::ByClient(Steer::BySource));
        let by_destination = start("net_null1", 3, Steer::ByDestination);
        assert_eq!(by_destination, Rss::ByClient(Steer::ByDestination));
        assert_eq!(start("net_null2", 1, Steer::BySource), Rss::OneQueue);
    });
}

#[test]
fn a_device_without_rss_says_so() {
    alone("rss::a_device_without_rss_says_so", || {
        let eal = eal(&["--vdev=net_ring0".into()]);
        let pool = pool(&eal);
        let mut port = Port::find(&eal, "net_ring0").unwrap();
        assert_eq!(port.start(PortConfig::new(2, 1500), &pool).unwrap().1, Rss::Unable);
    });
}

#[test]
fn dpdks_own_hash_names_the_owner() {
    let mut random = 7u32;
    let mut next = || {
        random = random.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        random ^ random >> 15
    };
    for _ in 0..10_000 {
        let (client, other, ports) = (next(), next(), next());
        for (steer, mut tuple) in [
            (Steer::BySource, [client, other, ports]),
            (Steer::ByDestination, [other, client, ports]),
        ] {
            let key = key(steer, 40);
            // Without and with the ports.
            for words in [2, 3] {
                // SAFETY: the tuple has as many words, and the key the 40 bytes of the hash.
                let hash =
                    unsafe { dpdk_sys::rte_softrss(tuple.as_mut_ptr(), words, key.as_ptr()) };
                let queue = queue(hash as u16 % ENTRIES, 5);
                assert_eq!(queue, owner(Ipv4Addr::from_bits(client), 5));
            }
        }
        let mut tuple: [u32; 9] = std::array::from_fn(|_| next());
        let client = tuple[..4].iter().fold(0, |all, &word| all << 32 | u128::from(word));
        let key = key(Steer::BySource, 40);
        for words in [8, 9] {
            // SAFETY: as above.
            let hash = unsafe { dpdk_sys::rte_softrss(tuple.as_mut_ptr(), words, key.as_ptr()) };
            let queue = queue(hash as u16 % ENTRIES, 5);
            assert_eq!(queue, owner_v6(Ipv6Addr::from_bits(client), 5));
        }
    }
}
