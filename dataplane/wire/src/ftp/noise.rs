//! Noise: bytes of a command that some server drops before it reads the command.

/// Telnet's IAC, which begins each command (RFC 854).
const IAC: u8 = 0xff;
/// SE, the lowest code of a Telnet command.
pub(super) const SE: u8 = 0xf0;
/// WILL, the first of WILL, WON'T, DO and DON'T, which take an option byte.
const WILL: u8 = 0xfb;
const DONT: u8 = 0xfe;

/// A line without NUL, CR and Telnet commands, wherever they stand. vsftpd takes NUL for white space, ProFTPD for the
/// line's end.
pub fn without_noise(line: &[u8]) -> impl Iterator<Item = u8> {
    without_telnet(line).filter(|&byte| !is_noise(byte))
}

/// Whether an FTP stream can begin with this byte; Telnet commands and noise count as FTP. A TLS stream begins with 22
/// or, with an SSL 2 hello, with a continuation byte of UTF-8.
pub fn is_text(first: u8) -> bool {
    let is_control = first.is_ascii_control() && !matches!(first, 0 | b'\t'..=b'\r');
    !is_control && !matches!(first, 0x80..=0xbf)
}

/// Whether the byte is noise: no client writes it into a command.
pub(super) fn is_noise(byte: u8) -> bool {
    matches!(byte, 0 | b'\r')
}

/// A line without Telnet commands, which ProFTPD drops or answers. Any other byte behind an IAC is dropped too, as
/// BSD's ftpd does; a doubled IAC is one data byte.
pub(super) fn without_telnet(line: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            let (byte, after) = match rest {
                [IAC] | [IAC, WILL..=DONT] | [] => return None,
                [IAC, IAC, after @ ..] => (IAC, after),
                [IAC, WILL..=DONT, _, after @ ..] | [IAC, _, after @ ..] => {
                    rest = after;
                    continue;
                }
                [byte, after @ ..] => (*byte, after),
            };
            rest = after;
            return Some(byte);
        }
    })
}

/// Whether the segment may carry urgent data: Telnet's signals, and commands that interrupt a transfer (RFC 959
/// §4.1.3). A server that does not read urgent data in line reads all other lines without that byte.
pub fn is_signal(data: &[u8]) -> bool {
    let words = data.iter().position(|&byte| byte < SE).map_or(&[][..], |at| &data[at..]);
    let words = words.trim_ascii_end();
    [&b""[..], b"ABOR", b"STAT", b"QUIT"].iter().any(|known| words.eq_ignore_ascii_case(known))
}
