//! Merging of frames by a network interface of Linux (GRO, LRO) before a driver on it reads them: what `ethtool -k` shows
//! and `ethtool -K` changes (linux/ethtool.h).

use std::ffi::c_char;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

/// Features that merge received frames, by the kernel's names. A merged frame is longer than any link allows, and
/// longer than a driver's buffers.
const MERGING: [&str; 5] =
    ["rx-gro", "rx-gro-hw", "rx-lro", "rx-gro-list", "rx-udp-gro-forwarding"];

/// The number of the string set with the features' names (`ETH_SS_FEATURES`).
const FEATURES: u32 = 4;
/// Bytes of a name.
const NAME: usize = 32;
/// Room for features, in words of 32; Linux 6 has some 60 features.
const WORDS: usize = 4;
const MOST: usize = WORDS * 32;

/// An interface whose frames are not merged until this value is dropped.
#[derive(Debug)]
pub struct Unmerged {
    interface: String,
    /// Features that were on before.
    changed: Vec<&'static str>,
}

impl Unmerged {
    /// Switches off the features that merge frames on `interface`.
    ///
    /// # Errors
    ///
    /// The kernel's answer: no such interface, no privilege, or a feature that can't be switched off, which is named.
    pub fn new(interface: &str) -> io::Result<Unmerged> {
        let socket = UnixDatagram::unbound()?;
        let known = Known::read(&socket, interface)?;
        let changed: Vec<_> = MERGING.into_iter().filter(|name| known.is_on(name)).collect();
        // From here on, dropping the value restores what was changed.
        let unmerged = Unmerged { interface: interface.to_owned(), changed };
        known.set(&socket, interface, &unmerged.changed, false)?;
        let left = Known::read(&socket, interface)?;
        let stuck: Vec<_> =
            unmerged.changed.iter().copied().filter(|name| left.is_on(name)).collect();
        if stuck.is_empty() {
            Ok(unmerged)
        } else {
            Err(io::Error::other(format!("{} can't be switched off", stuck.join(", "))))
        }
    }

    /// The features that were on before.
    pub fn changed(&self) -> &[&'static str] {
        &self.changed
    }
}

impl Drop for Unmerged {
    /// Switches the features on again. The interface may be gone.
    fn drop(&mut self) {
        let _ = UnixDatagram::unbound().and_then(|socket| {
            let known = Known::read(&socket, &self.interface)?;
            known.set(&socket, &self.interface, &self.changed, true)
        });
    }
}

/// An interface's features: their names, and whether they are on.
struct Known {
    names: Vec<String>,
    words: [Word; WORDS],
}

/// 32 features (`struct ethtool_get_features_block`).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    available: u32,
    requested: u32,
    active: u32,
    never_changed: u32,
}

/// Changes to 32 features (`struct ethtool_set_features_block`).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct FeatureChange {
    valid: u32,
    requested: u32,
}

/// `struct ethtool_sset_info`, for one set.
#[repr(C)]
struct SetInfo {
    command: u32,
    reserved: u32,
    mask: u64,
    len: u32,
}

/// `struct ethtool_gstrings`.
#[repr(C)]
struct Strings {
    command: u32,
    set: u32,
    len: u32,
    names: [[u8; NAME]; MOST],
}

/// `struct ethtool_gfeatures` and `struct ethtool_sfeatures`.
#[repr(C)]
struct Features<T> {
    command: u32,
    words: u32,
    all: [T; WORDS],
}

impl Known {
    fn read(socket: &UnixDatagram, interface: &str) -> io::Result<Known> {
        const ETHTOOL_GSSET_INFO: u32 = 0x37;
        const ETHTOOL_GSTRINGS: u32 = 0x1b;
        const ETHTOOL_GFEATURES: u32 = 0x3a;
        let mut info =
            SetInfo { command: ETHTOOL_GSSET_INFO, reserved: 0, mask: 1 << FEATURES, len: 0 };
        // SAFETY: the kernel writes `mask`, and a number for each of its bits: one.
        unsafe { ask(socket, interface, &mut info)? };
        let len = info.len as usize;
        if info.mask == 0 || len > MOST {
            return Err(io::Error::other(format!("{len} features are not what is known here")));
        }
        let mut strings = Strings {
            command: ETHTOOL_GSTRINGS,
            set: FEATURES,
            len: info.len,
            names: [[0; NAME]; MOST],
        };
        // SAFETY: the kernel writes `len` names, for which there is room.
        unsafe { ask(socket, interface, &mut strings)? };
        let mut features = Features {
            command: ETHTOOL_GFEATURES,
            words: WORDS as u32,
            all: [Word::default(); WORDS],
        };
        // SAFETY: the kernel writes no more than `words` of them.
        unsafe { ask(socket, interface, &mut features)? };
        let name = |bytes: &[u8; NAME]| {
            let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(text).into_owned()
        };
        Ok(Known { names: strings.names[..len].iter().map(name).collect(), words: features.all })
    }

    fn is_on(&self, name: &str) -> bool {
        let place = self.place(name);
        place.is_some_and(|(word, bit)| self.words[word].active & bit != 0)
    }

    fn set(
        &self,
        socket: &UnixDatagram,
        interface: &str,
        names: &[&str],
        on: bool,
    ) -> io::Result<()> {
        const ETHTOOL_SFEATURES: u32 = 0x3b;
        let mut features = Features {
            command: ETHTOOL_SFEATURES,
            // The kernel takes no other number than its own.
            words: self.names.len().div_ceil(32) as u32,
            all: [FeatureChange::default(); WORDS],
        };
        for (word, bit) in names.iter().filter_map(|name| self.place(name)) {
            features.all[word].valid |= bit;
            features.all[word].requested |= if on { bit } else { 0 };
        }
        // SAFETY: the kernel reads `words` of them, which are there.
        unsafe { ask(socket, interface, &mut features) }
    }

    /// A feature's word, and its bit there.
    fn place(&self, name: &str) -> Option<(usize, u32)> {
        let place = self.names.iter().position(|known| known == name)?;
        Some((place / 32, 1 << (place % 32)))
    }
}

/// `struct ifreq` with a pointer.
#[repr(C)]
struct Request<T> {
    name: [c_char; libc::IFNAMSIZ],
    data: *mut T,
    // As large as the union's largest member.
    rest: [u8; 16],
}

/// Sends an ethtool command about an interface to the kernel.
///
/// # Safety
///
/// `data` must have the layout of its command, and room for the kernel's answer.
unsafe fn ask<T>(socket: &UnixDatagram, interface: &str, data: &mut T) -> io::Result<()> {
    let mut request =
        Request { name: [0; libc::IFNAMSIZ], data: std::ptr::from_mut(data), rest: [0; 16] };
    if interface.len() >= libc::IFNAMSIZ {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    for (place, byte) in request.name.iter_mut().zip(interface.bytes()) {
        *place = byte as c_char;
    }
    // SAFETY: `request` is as large as the kernel reads, and what it points to is as the caller says.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &mut request) } {
        -1 => Err(io::Error::last_os_error()),
        // The other bits of the answer tell how it was understood: the features are read again.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_says_what_it_merges() {
        let socket = UnixDatagram::unbound().unwrap();
        let known = Known::read(&socket, "lo").unwrap();
        assert!(MERGING.iter().filter(|name| known.place(name).is_some()).count() >= 3);
        let none = Known::read(&socket, "no-such-link").map(|_| ());
        assert_eq!(none.unwrap_err().raw_os_error(), Some(libc::ENODEV));
        let too_long = Known::read(&socket, "a-name-of-too-many-bytes").map(|_| ());
        assert_eq!(too_long.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
