//! Problems that ICMP errors report, independent of the address family. Problems that both families know are translated
//! by RFC 7915 §4.2 and §5.2.

/// Why a packet was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcmpProblem {
    /// No route to the destination.
    NoRoute,
    /// A router on the path or the receiver prohibits the packet.
    Prohibited,
    /// The receiver does not know the packet's protocol.
    NoProtocol,
    /// No socket listens on the port.
    NoPort,
    /// The next link is too small: its MTU, less an IP header without options.
    TooBig(u16),
    /// The hop limit (TTL) has expired.
    Expired,
    /// The fragment reassembly time is exceeded.
    Incomplete,
    /// A header field is invalid: an index into [`Fields`].
    Malformed(usize),
}

/// Byte ranges of an IP header's fields: version, class, length, protocol, hops, source, destination.
pub type Fields = [std::ops::RangeInclusive<u8>; 7];

impl IcmpProblem {
    /// The problem with the field at this byte; `None`: the other address family has no such field.
    pub(crate) fn at(byte: u32, fields: &Fields) -> Option<IcmpProblem> {
        let byte = u8::try_from(byte).ok()?;
        fields.iter().position(|field| field.contains(&byte)).map(IcmpProblem::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use crate::ip::Ip;
    use crate::ipv4::Ipv4;
    use crate::ipv6::Ipv6;

    /// RFC 7915 §4.2.
    #[test]
    fn from_icmp_to_icmpv6() {
        let to_v6 = |what, rest| Ipv4::problem(what, rest).map(Ipv6::error);
        for code in [0, 1, 5, 6, 7, 8, 11, 12] {
            assert_eq!(to_v6([3, code], 0), Some(([1, 0], 0)));
        }
        for code in [9, 10, 13, 15] {
            assert_eq!(to_v6([3, code], 0), Some(([1, 1], 0)));
        }
        assert_eq!(to_v6([3, 2], 0), Some(([4, 1], 6)));
        assert_eq!(to_v6([3, 3], 0), Some(([1, 4], 0)));
        for (mtu, told) in [(1480, 1500), (1400, 1420), (1260, 1280), (576, 1280), (0, 1280)] {
            assert_eq!(to_v6([3, 4], mtu), Some(([2, 0], told)));
        }
        assert_eq!(to_v6([11, 0], 0), Some(([3, 0], 0)));
        assert_eq!(to_v6([11, 1], 0), Some(([3, 1], 0)));
        let pointers = [(0, 0), (1, 1), (2, 4), (3, 4), (8, 7), (9, 6), (12, 8), (15, 8), (16, 24)];
        for (pointer, other) in pointers {
            assert_eq!(to_v6([12, 0], pointer << 24), Some(([4, 0], other)));
        }
        for nothing in [[3, 14], [3, 99], [4, 0], [8, 0], [12, 1]] {
            assert_eq!(to_v6(nothing, 0), None);
        }
        for pointer in [4, 5, 6, 7, 10, 11, 20, 255] {
            assert_eq!(to_v6([12, 0], pointer << 24), None);
        }
    }

    /// RFC 7915 §5.2.
    #[test]
    fn from_icmpv6_to_icmp() {
        let to_v4 = |what, rest| Ipv6::problem(what, rest).map(Ipv4::error);
        for code in [0, 2, 3] {
            assert_eq!(to_v4([1, code], 0), Some(([3, 1], 0)));
        }
        assert_eq!(to_v4([1, 1], 0), Some(([3, 10], 0)));
        assert_eq!(to_v4([1, 4], 0), Some(([3, 3], 0)));
        for (mtu, told) in [(1500, 1480), (1280, 1260), (u32::MAX, 65_515)] {
            assert_eq!(to_v4([2, 0], mtu), Some(([3, 4], told)));
        }
        assert_eq!(to_v4([3, 0], 0), Some(([11, 0], 0)));
        assert_eq!(to_v4([3, 1], 0), Some(([11, 1], 0)));
        assert_eq!(to_v4([4, 1], 40), Some(([3, 2], 0)));
        let pointers =
            [(0, 0), (1, 1), (4, 2), (5, 2), (6, 9), (7, 8), (8, 12), (23, 12), (39, 16)];
        for (pointer, other) in pointers {
            assert_eq!(to_v4([4, 0], pointer), Some(([12, 0], other << 24)));
        }
        for nothing in [[1, 5], [1, 99], [4, 2], [128, 0]] {
            assert_eq!(to_v4(nothing, 0), None);
        }
        for pointer in [2, 3, 40, 256 + 8, u32::MAX] {
            assert_eq!(to_v4([4, 0], pointer), None);
        }
    }
}
