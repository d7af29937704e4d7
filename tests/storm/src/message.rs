//! Writes messages; [`wire::tftp`] reads them.

/// A request's or an OACK's options: names and values.
pub type Options<'a> = [(&'a str, u64)];

/// RRQ or WRQ (RFC 1350 §5, RFC 2347).
pub fn request(is_write: bool, file: &str, options: &Options) -> Vec<u8> {
    let mut bytes = vec![0, 1 + u8::from(is_write)];
    bytes.extend([file, "octet"].iter().flat_map(|word| word.bytes().chain([0])));
    append(&mut bytes, options);
    bytes
}

/// OACK (RFC 2347).
pub fn oack(options: &Options) -> Vec<u8> {
    let mut bytes = vec![0, 6];
    append(&mut bytes, options);
    bytes
}

/// ACK.
pub fn ack(block: u64) -> Vec<u8> {
    let [high, low] = (block as u16).to_be_bytes();
    vec![0, 4, high, low]
}

/// The front of a DATA.
pub fn data(block: u64) -> [u8; 4] {
    let [high, low] = (block as u16).to_be_bytes();
    [0, 3, high, low]
}

/// ERROR.
pub fn error(code: u16, text: &str) -> Vec<u8> {
    let [high, low] = code.to_be_bytes();
    [&[0, 5, high, low][..], text.as_bytes(), &[0]].concat()
}

fn append(bytes: &mut Vec<u8>, options: &Options) {
    for (name, value) in options {
        bytes.extend(name.bytes().chain([0]));
        bytes.extend(value.to_string().bytes().chain([0]));
    }
}
