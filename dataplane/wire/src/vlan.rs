//! VLAN tags (IEEE 802.1Q), one or two of them (802.1ad).
//!
//! ```text
//!  0               6              12      14        16
//!  | destination   | source       | TPID  | VLAN id | once more, or the type
//! ```

use crate::ethernet::Mac;

/// Most tags of a frame.
pub const MOST: usize = 2;
/// Bytes of one tag.
pub const TAG: usize = 4;
/// Offset of the first tag: behind both hardware addresses.
pub const AT: usize = 2 * size_of::<Mac>();

/// TPID of the only tag, or of the inner one of two.
const CUSTOMER: u16 = 0x8100;
/// TPID of the outer tag (802.1ad).
const SERVICE: u16 = 0x88a8;
/// Mask of the VLAN id: the lower 12 bits. The upper ones are priority.
const ID: u16 = 0x0fff;

/// The VLANs of a frame, outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Vlans {
    ids: [u16; MOST],
    len: usize,
}

impl Vlans {
    /// No VLAN: untagged.
    pub const NONE: Vlans = Vlans { ids: [0; MOST], len: 0 };

    /// VLANs with ids from 1 to 4094 (IEEE 802.1Q §9.6). `None`: an invalid id, or too many.
    pub fn new(ids: &[u16]) -> Option<Vlans> {
        let mut vlans = Vlans { len: ids.len(), ..Vlans::NONE };
        vlans.ids.get_mut(..ids.len())?.copy_from_slice(ids);
        ids.iter().all(|id| (1..ID).contains(id)).then_some(vlans)
    }

    /// The VLANs of a frame, and the bytes of its tags. A tag with id 0 carries only a priority. Either TPID may come
    /// first: some drivers know only one.
    pub fn of(frame: &[u8]) -> (Vlans, usize) {
        let mut vlans = Vlans::NONE;
        let (tags, _) = frame.get(AT..).unwrap_or_default().as_chunks::<TAG>();
        let tagged = tags
            .iter()
            .take(MOST)
            .take_while(|[a, b, ..]| [CUSTOMER, SERVICE].contains(&u16::from_be_bytes([*a, *b])));
        let mut count = 0;
        for [.., high, low] in tagged {
            count += 1;
            let id = u16::from_be_bytes([*high, *low]) & ID;
            if id != 0 {
                vlans.ids[vlans.len] = id;
                vlans.len += 1;
            }
        }
        (vlans, count * TAG)
    }

    /// VLAN ids, outermost first.
    pub fn ids(&self) -> &[u16] {
        &self.ids[..self.len]
    }

    /// Whether the frame is untagged.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of the tags.
    pub fn size(&self) -> usize {
        self.len * TAG
    }

    /// Writes the tags to the first bytes.
    pub fn write(&self, bytes: &mut [u8]) {
        let (places, _) = bytes.as_chunks_mut::<TAG>();
        for (at, (place, id)) in places.iter_mut().zip(self.ids()).enumerate() {
            let kind = if at + 1 < self.len { SERVICE } else { CUSTOMER };
            let ([a, b], [c, d]) = (kind.to_be_bytes(), id.to_be_bytes());
            *place = [a, b, c, d];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tags: &[u8]) -> Vec<u8> {
        [&[2; AT][..], tags, &[8, 0], &[7; 40]].concat()
    }

    fn vlans(ids: &[u16]) -> Vlans {
        Vlans::new(ids).unwrap()
    }

    #[test]
    fn tags_are_read_as_they_are_written() {
        for ids in [&[][..], &[1], &[4094], &[100, 212]] {
            let vlans = vlans(ids);
            let mut tags = vec![0; vlans.size()];
            vlans.write(&mut tags);
            assert_eq!(Vlans::of(&frame(&tags)), (vlans, ids.len() * TAG));
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_standard() {
        let mut tags = [0; 8];
        vlans(&[100, 212]).write(&mut tags);
        assert_eq!(tags, [0x88, 0xa8, 0, 100, 0x81, 0, 0, 212]);
        let mut tag = [0; 4];
        vlans(&[212]).write(&mut tag);
        assert_eq!(tag, [0x81, 0, 0, 212]);
    }

    #[test]
    fn a_priority_is_no_vlan() {
        assert_eq!(Vlans::of(&frame(&[0x81, 0, 0xe0, 0])), (Vlans::NONE, 4));
        assert_eq!(Vlans::of(&frame(&[0x81, 0, 0xf0, 212])), (vlans(&[212]), 4));
        let both = frame(&[0x81, 0, 0xe0, 0, 0x88, 0xa8, 0, 5]);
        assert_eq!(Vlans::of(&both), (vlans(&[5]), 8));
    }

    #[test]
    fn a_third_tag_and_a_cut_one_are_left_where_they_are() {
        let three = [0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3];
        assert_eq!(Vlans::of(&frame(&three)), (vlans(&[1, 2]), 8));
        for len in 0..AT + TAG {
            assert_eq!(Vlans::of(&frame(&three)[..len]), (Vlans::NONE, 0));
        }
    }

    #[test]
    fn what_is_no_vlan() {
        for ids in [&[0][..], &[4095], &[1, 4096], &[1, 2, 3]] {
            assert_eq!(Vlans::new(ids), None, "{ids:?}");
        }
    }
}
