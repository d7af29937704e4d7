use super::*;
use crate::ethernet;
use crate::ip::Split;
use etherparse::Icmpv6Type;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 9]);
const ASKER: Mac = Mac([2, 0, 0, 0, 0, 7]);
const VIP: [u8; 4] = [10, 0, 0, 100];

fn vip6() -> Ipv6Addr {
    "fd00::100".parse().unwrap()
}

/// An ARP frame between two hosts.
fn arp(operation: u8, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, operation];
    let sender = [&ASKER.0[..], &sender].concat();
    [&[0xff; 6], &ASKER.0[..], &head, &sender, &[0; 6], &target].concat()
}

/// The checksum of a neighbour discovery message, computed by etherparse.
fn sum(ip: &[u8], message: &[u8]) -> [u8; 2] {
    let address = |at: usize| -> [u8; 16] { ip[at..at + 16].try_into().unwrap() };
    let bytes5to8 = message[4..8].try_into().unwrap();
    let kind = Icmpv6Type::Unknown { type_u8: message[0], code_u8: message[1], bytes5to8 };
    kind.calc_checksum(address(8), address(24), &message[8..]).unwrap().to_be_bytes()
}

/// A solicitation for the VIP, sent to the VIP itself, with this option.
fn solicitation(source: Ipv6Addr, hops: u8, option: &[u8]) -> Vec<u8> {
    solicitation_to(vip6(), source, hops, option)
}

fn solicitation_to(to: Ipv6Addr, source: Ipv6Addr, hops: u8, option: &[u8]) -> Vec<u8> {
    let mut body = [&[135, 0, 0, 0, 0, 0, 0, 0], &vip6().octets()[..], option].concat();
    let mut ip = Ipv6::new(Ipv6::ICMP, source, to, body.len());
    ip.set_hops(hops);
    let checksum = sum(ip.as_bytes(), &body);
    body[2..4].copy_from_slice(&checksum);
    let kind = U16::new(Ipv6::ETHER_TYPE);
    let ethernet = Ethernet { destination: Mac::BROADCAST, source: ASKER, kind };
    [ethernet.as_bytes(), ip.as_bytes(), &body].concat()
}

fn asked(frame: &mut [u8]) -> Option<Question<Ipv6Addr>> {
    let (ethernet, rest) = Ethernet::mut_from_prefix(frame).unwrap();
    let Split { ip, body, .. } = Ipv6::split(rest).unwrap();
    asked_by_solicitation(ethernet, ip, body)
}

#[test]
fn an_arp_request_is_answered_to_its_sender() {
    let mut frame = arp(1, [10, 0, 0, 7], VIP);
    let asker = Ipv4Addr::new(10, 0, 0, 7);
    let question = Question { asker, mac: ASKER, wanted: VIP.into() };
    assert_eq!(asked_by_arp(&frame), Some(question));
    answer_arp(&mut frame, MAC);
    let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, 2];
    let said = [&MAC.0[..], &VIP, &ASKER.0, &[10, 0, 0, 7]].concat();
    assert_eq!(frame, [&ASKER.0[..], &MAC.0, &head, &said].concat());
}

#[test]
fn what_asks_for_nothing_of_arp_is_left_alone() {
    let request = arp(1, [10, 0, 0, 7], VIP);
    assert_eq!(asked_by_arp(&arp(2, [10, 0, 0, 7], VIP)), None, "a reply");
    let group = [&request[..6], &[3], &request[7..22], &[3], &request[23..]].concat();
    assert_eq!(asked_by_arp(&group), None, "from a group");
    assert_eq!(asked_by_arp(&request[..41]), None, "too short");
    for at in [6, 15, 17, 18, 19, 22] {
        let mut other = request.clone();
        other[at] ^= 1;
        assert_eq!(asked_by_arp(&other), None, "byte {at}");
    }
}

#[test]
fn a_solicitation_is_answered_to_its_sender() {
    let asker: Ipv6Addr = "fd00::7".parse().unwrap();
    for option in [&[][..], &[1, 1, 2, 0, 0, 0, 0, 7]] {
        let mut frame = solicitation(asker, 255, option);
        let question = Question { asker, mac: ASKER, wanted: vip6() };
        assert_eq!(asked(&mut frame), Some(question));
        let (ethernet, rest) = Ethernet::mut_from_prefix(&mut frame).unwrap();
        let Split { ip, body, .. } = Ipv6::split(rest).unwrap();
        answer_solicitation(ethernet, ip, body, MAC);
        assert_eq!((ethernet.destination, ethernet.source), (ASKER, MAC));
        assert_eq!((ip.source(), ip.destination(), ip.hops()), (vip6(), asker, 255));
        let (ip, said) = frame[ethernet::HEADER..].split_at(40);
        let place = if option.is_empty() { vec![] } else { [&[2, 1], &MAC.0[..]].concat() };
        let flags = [0x60, 0, 0, 0];
        let checksum = sum(ip, &[&[136, 0, 0, 0], &said[4..]].concat());
        let head = [&[136, 0], &checksum[..], &flags].concat();
        assert_eq!(said, [head, vip6().octets().to_vec(), place].concat());
    }
}

#[test]
fn what_is_no_solicitation_and_nothing_else_is_left_alone() {
    let asker = "fd00::7".parse().unwrap();
    let link_address = [&[1, 1], &ASKER.0[..]].concat();
    assert_eq!(asked(&mut solicitation(asker, 254, &link_address)), None, "it was forwarded");
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    for option in [
        &nonce[..],
        &[&link_address[..], &nonce].concat(),
        &[1, 1, 2, 0, 0, 0, 0, 8],
        &link_address[..7],
    ] {
        assert_eq!(asked(&mut solicitation(asker, 255, option)), None, "{option:?}");
    }
    for at in [54, 55, 56, 60] {
        let mut other = solicitation(asker, 255, &link_address);
        other[at] ^= 1;
        assert_eq!(asked(&mut other), None, "byte {at}");
    }
    let mut to_all = solicitation_to(ALL_NODES, asker, 255, &[]);
    assert_eq!(asked(&mut to_all), None, "who asks all has to say where it is");
    to_all = solicitation_to(ALL_NODES, asker, 255, &link_address);
    assert_eq!(asked(&mut to_all).map(|question| question.asker), Some(asker));
    let mut behind = solicitation(asker, 255, &[]);
    behind.splice(54..54, [58, 0, 1, 4, 0, 0, 0, 0]);
    (behind[19], behind[20]) = (32, 0);
    assert_eq!(asked(&mut behind), None, "behind options for every hop");
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

/// The other host of a conflict.
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 0x99]);

#[test]
fn announcements_and_answers_are_claims() {
    for address in [IpAddr::from(VIP), vip6().into()] {
        let claimed = Some(Claim { address, mac: OTHER });
        assert_eq!(claim(&announcement(address, OTHER)), claimed, "{address}");
        assert_eq!(claim(&announcement(address, MAC)).map(|claim| claim.mac), Some(MAC));
    }
    let mut answer = arp(1, [10, 0, 0, 7], VIP);
    answer_arp(&mut answer, OTHER);
    assert_eq!(claim(&answer), Some(Claim { address: IpAddr::from(VIP), mac: OTHER }));
    // Without the option, the host is where the frame is from.
    let mut bare = announcement(vip6().into(), OTHER);
    bare.truncate(14 + 40 + 24);
    (bare[18], bare[19]) = (0, 24);
    let (ip, body) = bare[14..].split_at(40);
    let checksum = sum(ip, &[&body[..2], &[0; 2], &body[4..]].concat());
    bare[56..58].copy_from_slice(&checksum);
    assert_eq!(claim(&bare), Some(Claim { address: vip6().into(), mac: OTHER }));
}

#[test]
fn malformed_and_forwarded_frames_claim_nothing() {
    for address in [IpAddr::from(VIP), vip6().into()] {
        let sound = announcement(address, OTHER);
        for len in 0..sound.len() {
            assert_eq!(claim(&sound[..len]), None, "{len} bytes of {address}");
        }
    }
    let mut group = announcement(IpAddr::from(VIP), OTHER);
    group[22] |= 1;
    assert_eq!(claim(&group), None, "a group's hardware address");
    for at in [20, 21, 54, 55, 56, 62, 80] {
        let mut other = announcement(vip6().into(), OTHER);
        other[at] ^= 1;
        assert_eq!(claim(&other), None, "byte {at}");
    }
}

#[test]
fn a_probe_asks_for_an_address_and_claims_none() {
    let frame = probe(IpAddr::from(VIP), MAC);
    let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
    let said = [&MAC.0[..], &[0; 4], &[0; 6], &VIP].concat();
    assert_eq!(frame, [&[0xff; 6], &MAC.0[..], &head, &said].concat());
    assert_eq!(claim(&frame), Some(Claim { address: Ipv4Addr::UNSPECIFIED.into(), mac: MAC }));

    let frame = probe(vip6().into(), MAC);
    let [.., a, b, c] = vip6().octets();
    assert_eq!(frame[..14], [&[0x33, 0x33, 0xff, a, b, c], &MAC.0[..], &[0x86, 0xdd]].concat());
    let (ip, said) = frame[14..].split_at(40);
    assert_eq!(ip[..8], [0x60, 0, 0, 0, 0, 24, 58, 255]);
    let group = [&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff], &[a, b, c][..]].concat();
    assert_eq!((&ip[8..24], &ip[24..]), (&[0; 16][..], &group[..]));
    let checksum = sum(ip, &[&[135, 0, 0, 0], &said[4..]].concat());
    assert_eq!(said, [&[135, 0], &checksum[..], &[0; 4], &vip6().octets()].concat());
    assert_eq!(claim(&frame), None);
}
