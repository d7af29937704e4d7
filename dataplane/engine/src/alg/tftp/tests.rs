//! The lesson of each message, and messages that are refused.

use super::earlier::Reach;
use super::*;
use proptest::prelude::*;

const TID: u16 = 5000;

type Known = super::Known<fn() -> u16>;

const ASKED: Known = Known {
    tid: None,
    earlier: Earlier::NONE,
    service_port: || 69,
    answers_seen: true,
    progress: Progress::NEW,
};
const RUNNING: Known = Known { tid: Some(TID), ..ASKED };

fn message(bytes: &[u8]) -> Message<'_> {
    Message::parse(bytes).expect("a message")
}

fn data(block: u16, len: u16) -> Message<'static> {
    Message::Data { block, len }
}

fn ack(block: u16) -> Message<'static> {
    Message::Ack { block }
}

/// The end of an exchange; `true` marks the client's messages.
fn end(script: &[(bool, Message)]) -> Option<EndReason> {
    let mut known = RUNNING;
    script.iter().find_map(|&(by_client, message)| {
        let heard = if by_client { from_client } else { from_server };
        let lesson = heard(&known, TID, message).expect("part of the transfer");
        known.progress = lesson.progress;
        lesson.end
    })
}

#[test]
fn the_first_answer_teaches_and_no_later_one() {
    for bytes in [&b"\0\x03\0\x01"[..], b"\0\x04\0\0", b"\0\x05\0\x01", b"\0\x06"] {
        assert_eq!(from_server(&ASKED, TID, message(bytes)).unwrap().learn, Some(TID));
        assert_eq!(from_server(&RUNNING, TID, message(bytes)).unwrap().learn, None);
        assert_eq!(from_server(&RUNNING, TID + 1, message(bytes)), Err(DropReason::StrayTid));
        assert_eq!(from_server(&RUNNING, 69, message(bytes)), Err(DropReason::StrayTid));
    }
}

/// Messages that a server sends, and how far its earlier transfer must have come for each to begin a new one.
#[test]
fn an_old_tid_is_learned_when_it_can_only_be_a_beginning() {
    use Reach::{Beginning, FirstBlock, Over, Past};
    let error = Message::Error { code: 1 };
    let begun: [(Message, &[Reach]); 4] = [
        (message(b"\0\x06"), &[Over, Past, FirstBlock]),
        (ack(0), &[Over, Past, FirstBlock]),
        (data(1, 9), &[Over, Past]),
        (error, &[Over]),
    ];
    for reach in [Over, Past, FirstBlock, Beginning] {
        let mut earlier = Earlier::NONE;
        earlier.push(TID, reach);
        let known = Known { earlier, ..ASKED };
        // A server whose transfer is over sends nothing more, and another one may have its port.
        let no = if reach == Over { DropReason::NoTransfer } else { DropReason::StrayTid };
        for (said, reaches) in begun {
            let learned = from_server(&known, TID, said).map(|lesson| lesson.learn);
            let expected = if reaches.contains(&reach) { Ok(Some(TID)) } else { Err(no) };
            assert_eq!(learned, expected, "{reach:?} {said:?}");
        }
        for said in [data(0, 512), data(2, 512), ack(1)] {
            assert_eq!(from_server(&known, TID, said), Err(no), "{reach:?} {said:?}");
        }
        assert_eq!(from_server(&known, TID + 1, data(2, 512)), Err(DropReason::StrayTid));
    }
}

#[test]
fn a_server_s_one_port_is_always_learned_and_never_told_off() {
    let mut earlier = Earlier::NONE;
    earlier.push(69, Reach::Beginning);
    let known = Known { earlier, ..ASKED };
    for said in [ack(0), data(1, 512), message(b"\0\x06")] {
        assert_eq!(from_server(&known, 69, said).unwrap().learn, Some(69));
    }
    assert_eq!(from_server(&known, 69, data(2, 512)), Err(DropReason::NoTransfer));
}

#[test]
fn where_answers_are_not_seen_an_old_tid_is_learned_from_what_answers_a_beginning() {
    for reach in [Reach::Past, Reach::FirstBlock, Reach::Beginning] {
        let mut earlier = Earlier::NONE;
        earlier.push(TID, reach);
        let unseen = Known { earlier, answers_seen: false, ..ASKED };
        for said in [ack(0), ack(1), data(1, 9), Message::Error { code: 8 }] {
            assert_eq!(from_client(&unseen, TID, said).unwrap().learn, Some(TID), "{said:?}");
        }
        for said in [ack(2), data(2, 512)] {
            assert_eq!(from_client(&unseen, TID, said), Err(DropReason::WrongTid), "{said:?}");
            assert_eq!(from_client(&unseen, TID + 1, said).unwrap().learn, Some(TID + 1));
        }
    }
}

#[test]
fn a_last_block_is_known_again_once() {
    let mut earlier = Earlier::NONE;
    assert!(!earlier.is_last_block(0));
    earlier.note_last_block(7);
    assert!(!earlier.is_last_block(8) && earlier.is_last_block(7) && !earlier.is_last_block(7));
}

#[test]
fn only_where_answers_are_not_seen_the_client_teaches() {
    assert_eq!(from_client(&ASKED, TID, ack(0)), Err(DropReason::NoTransfer));
    let unseen = Known { answers_seen: false, ..ASKED };
    assert_eq!(from_client(&unseen, TID, ack(0)).unwrap().learn, Some(TID));
    assert_eq!(from_client(&unseen, TID, data(1, 512)).unwrap().learn, Some(TID));
}

#[test]
fn a_client_may_use_the_service_s_port_instead_of_the_tid() {
    assert!(from_client(&RUNNING, 69, ack(1)).is_ok());
    assert_eq!(from_client(&RUNNING, 70, ack(1)), Err(DropReason::WrongTid));
}

#[test]
fn nobody_says_what_is_the_other_s_to_say() {
    let request = message(b"\0\x01f\0octet\0");
    assert_eq!(from_server(&RUNNING, TID, request), Err(DropReason::BadTftp));
    assert_eq!(from_client(&RUNNING, TID, request), Err(DropReason::BadTftp));
    assert_eq!(from_client(&RUNNING, TID, message(b"\0\x06")), Err(DropReason::BadTftp));
}

#[test]
fn the_ack_of_the_last_short_block_is_the_end() {
    let done = Some(EndReason::Completed);
    assert_eq!(end(&[(false, data(1, 511)), (true, ack(1))]), done);
    assert_eq!(end(&[(false, data(1, 512)), (true, ack(1))]), None);
    assert_eq!(
        end(&[(false, data(1, 512)), (true, ack(1)), (false, data(2, 0)), (true, ack(2))]),
        done
    );
    assert_eq!(end(&[(false, data(2, 9)), (true, ack(1))]), None);
    assert_eq!(end(&[(true, data(1, 9)), (false, ack(1))]), done);
    let oack = |bytes| (false, message(bytes));
    let large = oack(b"\0\x06blksize\x001428\0");
    assert_eq!(end(&[large, (false, data(1, 1428)), (true, ack(1))]), None);
    assert_eq!(end(&[large, (false, data(1, 1427)), (true, ack(1))]), done);
    let small = oack(b"\0\x06BLKSIZE\x008\0");
    assert_eq!(end(&[small, (false, data(1, 8)), (true, ack(1))]), None);
    let none = oack(b"\0\x06tsize\x008\0");
    assert_eq!(end(&[none, (false, data(1, 512)), (true, ack(1))]), None);
}

#[test]
fn errors_mean_what_they_say_and_who_says_it() {
    let error = |code| Message::Error { code };
    assert_eq!(end(&[(true, error(8))]), Some(EndReason::SizeProbe));
    assert_eq!(end(&[(true, error(0))]), Some(EndReason::SizeProbe));
    assert_eq!(end(&[(true, error(3))]), Some(EndReason::Failed));
    assert_eq!(end(&[(true, ack(0)), (true, error(8))]), Some(EndReason::Failed));
    assert_eq!(end(&[(false, error(1))]), Some(EndReason::NotFound));
    assert_eq!(end(&[(false, error(2))]), Some(EndReason::Failed));
    assert_eq!(end(&[(false, error(0))]), Some(EndReason::Failed));
}

#[test]
fn a_second_answer_that_the_client_turns_down_is_no_news() {
    let unseen = Known { answers_seen: false, ..RUNNING };
    let error = Message::Error { code: 5 };
    let lesson = from_client(&unseen, TID + 1, error).unwrap();
    assert_eq!((lesson.learn, lesson.end, lesson.progress), (None, None, unseen.progress));
    assert_eq!(from_client(&RUNNING, TID + 1, error), Err(DropReason::WrongTid));
}

/// Everybody knows the service's port.
#[test]
fn a_client_is_assured_by_the_port_that_only_its_server_has_told() {
    let ack = Message::Ack { block: 1 };
    let lesson = from_client(&RUNNING, 69, ack).unwrap();
    assert_eq!(lesson.assurance, Assurance::Renewed);
    assert!(lesson.progress.client_spoke() && !lesson.progress.is_assured());
    let known = Known { progress: lesson.progress, ..RUNNING };
    assert_eq!(from_client(&known, 69, ack).unwrap().assurance, Assurance::Renewed);
    let lesson = from_client(&known, TID, ack).unwrap();
    assert_eq!(lesson.assurance, Assurance::Given);
    assert!(lesson.progress.is_assured());
    let known = Known { progress: lesson.progress, ..RUNNING };
    let lesson = from_client(&known, TID, ack).unwrap();
    assert!(lesson.assurance == Assurance::Unchanged && lesson.progress.is_assured());
    // From now on the client sends nothing elsewhere.
    for said in [ack, Message::Data { block: 2, len: 17 }, Message::Error { code: 0 }] {
        assert_eq!(from_client(&known, 69, said), Err(DropReason::WrongTid));
    }
    // A server may have no other port; and in `dsr` any port counts as its own.
    let single = Known { tid: Some(69), ..RUNNING };
    let unseen = Known { answers_seen: false, ..ASKED };
    for (known, port) in [(single, 69), (unseen, TID)] {
        assert_eq!(from_client(&known, port, ack).unwrap().assurance, Assurance::Given);
    }
}

proptest! {
    /// The fast path agrees with the full judgement.
    #[test]
    fn the_fast_path_is_for_what_teaches_nothing(
        blksize in prop_oneof![Just(512u16), 8u16..40], last_block in 0u16..3,
        flags in prop_oneof![0u16..4, SPOKE_TO_SERVICE..SPOKE_TO_SERVICE + 4],
        opcode in 0u8..7, block in 0u16..3, len in prop_oneof![0usize..40, 500usize..520],
        short in 0usize..8,
    ) {
        let progress = Progress { blksize, last_block, flags };
        let known = Known { tid: Some(TID), progress, ..ASKED };
        let [high, low] = block.to_be_bytes();
        let mut bytes = [&[0, opcode, high, low][..], &vec![7; len]].concat();
        if short < 4 {
            bytes.truncate(short);
        }
        if let Some(usual) = steady(progress, &bytes) {
            let message = message(&bytes);
            let data = (opcode == 3).then_some(usual.len);
            prop_assert_eq!((usual.block, data.unwrap_or_default()), (block, usual.len));
            let nothing = Lesson { data, ..known.lesson() };
            prop_assert_eq!(from_client(&known, TID, message), Ok(nothing));
            prop_assert_eq!(from_server(&known, TID, message), Ok(nothing));
        }
    }

    /// A known TID stays and a stale one is not learned, whatever arrives from any port.
    #[test]
    fn a_tid_is_learned_once(
        script in prop::collection::vec(
            (any::<bool>(), 0u16..4, prop::collection::vec(any::<u8>(), 0..4), 0u8..7), 1..40),
        answers_seen: bool,
    ) {
        let earlier = Earlier::running([1, 2], [false, true]);
        let mut known = Known { answers_seen, earlier, service_port: || 2, ..ASKED };
        for (by_client, port, rest, opcode) in script {
            let bytes = [&[0, opcode][..], &rest].concat();
            let Ok(message) = Message::parse(&bytes) else { continue };
            let heard = if by_client { from_client } else { from_server };
            let Ok(lesson) = heard(&known, port, message) else { continue };
            if let Some(learned) = lesson.learn {
                prop_assert_eq!(known.tid, None);
                prop_assert_eq!(learned, port);
                prop_assert!(learned != 1 || !answers_seen);
                known.tid = lesson.learn;
            }
            known.progress = lesson.progress;
        }
    }
}
