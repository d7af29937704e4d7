//! Bytes of a command that some server drops before it reads the command.

/// What begins Telnet's commands (RFC 854).
const IAC: u8 = 0xff;
/// The least of these: SE.
pub(super) const SE: u8 = 0xf0;
/// WILL, WON'T, DO and DON'T, behind which an option stands.
const WILL: u8 = 0xfb;
const DONT: u8 = 0xfe;

/// A line without NUL, CR and Telnet's commands, wherever these stand. vsftpd takes NUL for white space, ProFTPD for the
/// end.
pub fn without_noise(line: &[u8]) -> impl Iterator<Item = u8> {
    without_telnet(line).filter(|&byte| !is_noise(byte))
}

/// Whether a stream of FTP can begin with this byte, Telnet's commands and what servers drop included. One of TLS begins
/// with 22, or, by a hello of SSL 2's form, with one that only continues a character of UTF-8.
pub fn is_text(first: u8) -> bool {
    let is_control = first.is_ascii_control() && !matches!(first, 0 | b'\t'..=b'\r');
    !is_control && !matches!(first, 0x80..=0xbf)
}

/// What nobody writes into a command.
pub(super) fn is_noise(byte: u8) -> bool {
    matches!(byte, 0 | b'\r')
}

/// A line without Telnet's commands, which ProFTPD drops or answers, and without any other byte behind an IAC, as BSD's
/// ftpd has it. An IAC that is doubled is a byte of its own.
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

/// Whether a segment may be urgent: Telnet's signals, and commands that interrupt a transfer (RFC 959 §4.1.3). A server
/// that does not take urgent data in its place reads all other lines without that byte.
pub fn is_signal(data: &[u8]) -> bool {
    let words = data.iter().position(|&byte| byte < SE).map_or(&[][..], |at| &data[at..]);
    let words = words.trim_ascii_end();
    [&b""[..], b"ABOR", b"STAT", b"QUIT"].iter().any(|known| words.eq_ignore_ascii_case(known))
}
