//! Numbers and times as words.

use std::time::Duration;

/// A number of bytes in a readable unit.
pub fn size(bytes: u64) -> String {
    bytesize::ByteSize(bytes).to_string()
}

/// A time span by its largest unit, as in `5m`.
pub fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// A time span given in seconds, to a tenth while it is short.
pub fn seconds(seconds: f64) -> String {
    if seconds < 60.0 { format!("{seconds:.1} s") } else { span(Duration::from_secs_f64(seconds)) }
}

/// A rate per second, with a decimal while it is small.
pub fn rate(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { grouped(rate.round() as u64) }
}

/// A number in groups of three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun, in the plural if need be.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let spans = [0, 59, 60, 3599, 3600, 172_799, 172_800]
            .map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(spans, ["0 s", "59 s", "1 min", "59 min", "1 h", "47 h", "2 days"]);
        assert_eq!([seconds(0.25), seconds(75.0)], ["0.2 s", "1 min"]);
        assert_eq!([rate(0.04), rate(9.96), rate(1234.4)], ["0.0", "10.0", "1\u{202f}234"]);
        let numbers = [1, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(numbers, ["1", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        assert_eq!([count(1, "VIP"), count(2, "VIP")], ["1 VIP", "2 VIPs"]);
    }
}
