use super::*;
use etherparse::Icmpv6Type;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 9]);
const VIP: [u8; 4] = [10, 0, 0, 100];

fn vip6() -> Ipv6Addr {
    "fd00::100".parse().unwrap()
}

/// The checksum of a message about neighbours, by another implementation.
fn sum(ip: &[u8], message: &[u8]) -> [u8; 2] {
    let address = |at: usize| -> [u8; 16] { ip[at..at + 16].try_into().unwrap() };
    let bytes5to8 = message[4..8].try_into().unwrap();
    let kind = Icmpv6Type::Unknown { type_u8: message[0], code_u8: message[1], bytes5to8 };
    kind.calc_checksum(address(8), address(24), &message[8..]).unwrap().to_be_bytes()
}

#[test]
fn gratuitous_arp_asks_everybody_for_its_own_address() {
    let frame = announcement(IpAddr::from(VIP), MAC);
    let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
    let said = [&MAC.0[..], &VIP, &[0; 6], &VIP].concat();
    assert_eq!(frame, [&[0xff; 6], &MAC.0[..], &head, &said].concat());
}

#[test]
fn an_unsolicited_advertisement_goes_to_all_nodes_and_overrides() {
    let frame = announcement(vip6().into(), MAC);
    assert_eq!(frame[..14], [&[0x33, 0x33, 0, 0, 0, 1], &MAC.0[..], &[0x86, 0xdd]].concat());
    let (ip, said) = frame[14..].split_at(40);
    assert_eq!(ip[..8], [0x60, 0, 0, 0, 0, 32, 58, 255]);
    assert_eq!((&ip[8..24], &ip[24..]), (&vip6().octets()[..], &ALL_NODES.octets()[..]));
    let checksum = sum(ip, &[&[136, 0, 0, 0], &said[4..]].concat());
    let head = [&[136, 0], &checksum[..], &[0x20, 0, 0, 0]].concat();
    assert_eq!(said, [&head[..], &vip6().octets(), &[2, 1], &MAC.0].concat());
}
