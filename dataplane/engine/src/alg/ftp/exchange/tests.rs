//! Replies and the commands that they answer.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

const PASV: Heard = Heard::To(Asked::Pasv);

/// Sends the client's commands, then the server's lines. Returns the meaning of each line.
fn hear(exchange: &mut Exchange, commands: &[&str], lines: &[&str]) -> Vec<Heard> {
    for command in commands {
        match *command {
            "PASV" => exchange.asks(Asked::Pasv),
            "EPSV" => exchange.asks(Asked::Epsv),
            "AUTH TLS" => exchange.asks(Asked::Auth),
            other => exchange.command(other.as_bytes()),
        }
    }
    lines.iter().map(|line| exchange.hear(line.as_bytes())).collect()
}

#[test]
fn a_reply_is_the_oldest_commands() {
    use Heard::{Other, Text};
    for (commands, lines, heard) in [
        (&["PASV"][..], &["227 (1)"][..], &[PASV][..]),
        (&["EPSV"], &["229 (1)", "229 (2)"], &[Heard::To(Asked::Epsv), Other]),
        (&["PASV"], &["220 Hello", "227 (1)"], &[Other, PASV]),
        (&["PASV"], &["220-Hello", "227 (1)", "220 you", "227 (1)"], &[Text, Text, Other, PASV]),
        (&["CWD a", "PASV"], &["227 (1)", "227 (2)"], &[Other, PASV]),
        (&["CWD a", "PASV"], &["550 a", "227 (2)"], &[Other, PASV]),
        (
            &["STAT /", "PASV"],
            &["213-", "227 (1)", "213 End", "227 (2)"],
            &[Text, Text, Other, PASV],
        ),
        (&["STAT", "PASV"], &["211-", "213 x", "211-y", "211 End"], &[Text, Text, Text, Other]),
        (&["RETR a", "PASV"], &["150 a", "226 b", "227 (2)"], &[Text, Other, PASV]),
        (&["RETR a", "PASV"], &["150-a", "227 (1)", "150 a", "226 b"], &[Text, Text, Text, Other]),
        (&["PASV"], &["227-(1)", "227 (2)", "227 (3)"], &[Text, PASV, Other]),
        (&["PASV"], &["500 What?", "227 (1)"], &[PASV, Other]),
        (&["PASV", "PASV"], &["421 Too late", "227 (1)"], &[PASV, PASV]),
        (&["AUTH TLS", "PASV"], &["234 Go", "227 (1)"], &[Heard::To(Asked::Auth), PASV]),
        (&["REIN", "PASV"], &["220 Hi", "220 Again", "227 (1)"], &[Other, Other, PASV]),
        (&[], &["227 (1)", "227", "22", "227(1)", "x"], &[Other, Other, Text, Text, Text]),
    ] {
        let mut exchange = Exchange::default();
        assert_eq!(hear(&mut exchange, commands, lines), heard, "{commands:?}");
    }
}

/// A client that waits for its replies stays in step, whatever the server does with these commands.
#[test]
fn what_may_be_answered_or_not_is_not_counted() {
    for odd in ["", " ", "ABOR", "\x7f", "P_ORT", "a!", "\\"] {
        for replies in [&[][..], &["500 What?"], &["426 Gone", "226 Done"]] {
            let mut exchange = Exchange::default();
            hear(&mut exchange, &[odd], replies);
            assert_eq!(hear(&mut exchange, &["PASV"], &["227 (1)"]), [PASV], "{odd:?} {replies:?}");
        }
    }
}

#[test]
fn who_has_lost_count_gets_nothing_until_all_are_silent() {
    let mut exchange = Exchange::default();
    hear(&mut exchange, &["SITE SILENT"], &[]);
    assert_eq!(hear(&mut exchange, &["PASV"], &["227 (1)"]), [Heard::Other]);
    exchange.forget();
    assert_eq!(hear(&mut exchange, &["PASV"], &["227 (1)"]), [PASV]);
}

#[test]
fn too_many_at_a_time_get_nothing() {
    let mut exchange = Exchange::default();
    let heard = hear(&mut exchange, &["PASV"; MOST + 2], &["227 (1)"; MOST + 2]);
    assert_eq!(heard[..MOST], [PASV; MOST]);
    assert_eq!(heard[MOST..], [Heard::Other; 2]);
    assert_eq!(hear(&mut exchange, &["PASV"], &["227 (1)"]), [PASV]);
}

#[derive(Debug, Clone)]
enum Step {
    Command(Option<Asked>),
    Odd,
    /// The first line of several, if there are more, and the last one.
    Reply(u16, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let asked = prop::sample::select(vec![Asked::Pasv, Asked::Epsv, Asked::Auth]);
    let code = prop::sample::select(vec![150, 200, 213, 220, 226, 227, 229, 234, 421, 550]);
    prop_oneof![
        prop::option::of(asked).prop_map(Step::Command),
        Just(Step::Odd),
        (code, prop_oneof![2 => Just(0), 1 => 1u8..4])
            .prop_map(|(code, more)| Step::Reply(code, more)),
    ]
}

proptest! {
    /// The reference is a queue without limit.
    #[test]
    fn each_reply_finds_its_command(steps in prop::collection::vec(step(), 0..60)) {
        let mut exchange = Exchange::default();
        exchange.hear(b"220 Hello");
        let mut waiting = VecDeque::new();
        for step in steps {
            match step {
                Step::Command(Some(asked)) => {
                    let awaited = waiting.iter().filter(|one| Option::is_some(one)).count();
                    exchange.asks(asked);
                    waiting.push_back(Some(asked).filter(|_| awaited < MOST));
                }
                Step::Command(None) => {
                    exchange.command(b"LIST -l");
                    waiting.push_back(None);
                }
                Step::Odd => exchange.command(b"\r\n"),
                Step::Reply(code, more) => {
                    for n in 0..more {
                        let inside = if n == 0 { format!("{code}-") } else { "227 (1,2,3,4,5,6)".into() };
                        prop_assert!(n > 0 && code == 227 || exchange.hear(inside.as_bytes()) == Heard::Text);
                    }
                    let heard = exchange.hear(format!("{code} x").as_bytes());
                    if code < 200 {
                        prop_assert_eq!(heard, Heard::Text);
                        continue;
                    }
                    let expected = waiting.pop_front().flatten().map_or(Heard::Other, Heard::To);
                    prop_assert_eq!(heard, expected);
                }
            }
        }
    }
}
