use super::frame::LENGTH;
use super::*;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::{join, time};

/// Both ends of a connection.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (near, far) = join!(TcpStream::connect(address), listener.accept());
    (near.expect("a connection"), far.expect("a connection").0)
}

fn key() -> Key {
    Key::draw().expect("a key")
}

/// Two linked gates: the one that connected, and the one that accepted.
async fn linked() -> (Link, Link) {
    let ((near, far), key) = (connection().await, key());
    let (near, far) = join!(Link::connect(near, &key), Link::accept(far, &key));
    (near.expect("a link"), far.expect("a link"))
}

/// Passes a stream's bytes on until its end, and returns them.
async fn pass(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) -> Vec<u8> {
    let (mut all, mut some) = (vec![], [0; 4096]);
    loop {
        match from.read(&mut some).await {
            Ok(0) | Err(_) => break,
            Ok(size) => {
                all.extend_from_slice(&some[..size]);
                to.write_all(&some[..size]).await.expect("it is read");
            }
        }
    }
    let _ = to.shutdown().await;
    all
}

/// Sends two frames behind the handshake, `hello` and `again`, which somebody on the way changes; returns the first that is
/// received.
async fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Result<Option<Vec<u8>>, LinkError> {
    let key = key();
    let ((near, mut way_in), (way_out, far)) = (connection().await, connection().await);
    let ends = async { join!(Link::connect(near, &key), Link::accept(far, &key)) };
    let (answers, mut requests) = way_out.into_split();
    let middle = async {
        let mut begin = vec![0; LENGTH + 48];
        way_in.read_exact(&mut begin).await.expect("an offer");
        requests.write_all(&begin).await.expect("it is read");
        let (mut from, mut to) = way_in.into_split();
        let answers = tokio::spawn(async move { pass(answers, &mut to).await });
        let mut proof = vec![0; LENGTH + 16];
        from.read_exact(&mut proof).await.expect("a proof");
        requests.write_all(&proof).await.expect("it is read");
        (from, requests, answers)
    };
    let ((near, far), (mut from, mut requests, _answers)) = join!(ends, middle);
    let (mut sender, _) = near.expect("a link").split();
    let (_hold, mut receiver) = far.expect("a link").split();
    sender.send(b"hello").await.expect("it is read");
    sender.send(b"again").await.expect("it is read");
    let mut frames = vec![0; 2 * (LENGTH + 5 + 16)];
    from.read_exact(&mut frames).await.expect("two frames");
    change(&mut frames);
    requests.write_all(&frames).await.expect("it is read");
    drop(requests);
    receiver.receive().await
}

#[tokio::test]
async fn messages_go_both_ways() {
    let (near, far) = linked().await;
    let ((mut near_sends, mut near_receives), (mut far_sends, mut far_receives)) =
        (near.split(), far.split());
    for message in [&b"a"[..], b"", &[7; 1000]] {
        near_sends.send(message).await.expect("sent");
        far_sends.send(message).await.expect("sent");
        assert_eq!(far_receives.receive().await.expect("one").as_deref(), Some(message));
        assert_eq!(near_receives.receive().await.expect("one").as_deref(), Some(message));
    }
    drop(near_sends);
    assert_eq!(far_receives.receive().await.expect("the end"), None);
    far_sends.send(b"still").await.expect("sent");
    assert_eq!(near_receives.receive().await.expect("one").as_deref(), Some(&b"still"[..]));
}

#[tokio::test]
async fn many_messages_keep_their_order() {
    let (near, far) = linked().await;
    let ((mut sender, _near), (_far, mut receiver)) = (near.split(), far.split());
    let size = |n: usize| n * 37 % 3000;
    let sending = async move {
        for n in 0..2000 {
            sender.send(&vec![n as u8; size(n)]).await.expect("sent");
        }
    };
    let receiving = async {
        for n in 0..2000 {
            let message = receiver.receive().await.expect("a message").expect("a message");
            assert!(message == vec![n as u8; size(n)], "message {n}");
        }
        assert_eq!(receiver.receive().await.expect("the end"), None);
    };
    join!(sending, receiving);
}

#[tokio::test]
async fn a_message_has_at_most_so_many_bytes() {
    let (near, far) = linked().await;
    let ((mut sender, _near), (_far, mut receiver)) = (near.split(), far.split());
    let longest: Vec<_> = (0..MOST).map(|n| n as u8).collect();
    let too_long = sender.send(&[0; MOST + 1]).await;
    assert!(matches!(too_long, Err(LinkError::TooLong(65_520))), "{too_long:?}");
    // Nothing was sent, and the link goes on.
    let (sent, received) = join!(sender.send(&longest), receiver.receive());
    sent.expect("sent");
    assert!(received.expect("a message").expect("a message") == longest);
}

#[tokio::test]
async fn another_key_is_told_on_both_sides() {
    let (near, far) = connection().await;
    let (one, other) = (key(), key());
    let (near, far) = join!(Link::connect(near, &one), Link::accept(far, &other));
    for side in [near, far] {
        let error = side.expect_err("the keys differ");
        assert!(matches!(error, LinkError::OtherKey), "{error}");
        assert_eq!(error.to_string(), "the peer has another key, or is no gate");
    }
}

#[tokio::test]
async fn a_peer_that_is_no_gate_is_told() {
    for garbage in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], &[0; 200], &[255; 200], &{
        // Of the right length.
        let mut frame = [9; LENGTH + 48];
        frame[..LENGTH].copy_from_slice(&[0, 48]);
        frame
    }] {
        let (near, mut far) = connection().await;
        far.write_all(garbage).await.expect("sent");
        let error = Link::connect(near, &key()).await.expect_err("no gate");
        assert!(matches!(error, LinkError::OtherKey), "{garbage:?}: {error}");
        let (mut near, far) = connection().await;
        near.write_all(garbage).await.expect("sent");
        let error = Link::accept(far, &key()).await.expect_err("no gate");
        assert!(matches!(error, LinkError::OtherKey), "{garbage:?}: {error}");
    }
    // A scan of ports connects and goes.
    let (near, far) = connection().await;
    drop(near);
    let error = Link::accept(far, &key()).await.expect_err("no gate");
    assert!(matches!(error, LinkError::OtherKey), "{error}");
}

#[tokio::test]
async fn a_silent_peer_is_given_up() {
    let (near, far) = connection().await;
    let (mut slow, other) = connection().await;
    slow.write_all(&[0, 48, 1, 2, 3]).await.expect("sent");
    time::pause();
    let begin = time::Instant::now();
    let error = Link::accept(far, &key()).await.expect_err("nobody speaks");
    assert!(matches!(error, LinkError::TimedOut), "{error}");
    assert_eq!(begin.elapsed().as_secs(), 5);
    let error = Link::connect(near, &key()).await.expect_err("the peer is gone");
    assert!(!matches!(error, LinkError::TimedOut), "{error}");
    let error = Link::connect(other, &key()).await.expect_err("the peer stops");
    assert!(matches!(error, LinkError::TimedOut), "{error}");
}

#[tokio::test]
async fn frames_that_were_not_touched_pass() {
    assert_eq!(changed(|_| ()).await.expect("a message").as_deref(), Some(&b"hello"[..]));
}

#[tokio::test]
async fn a_changed_byte_is_noticed() {
    for place in [LENGTH, LENGTH + 4, LENGTH + 5, LENGTH + 20] {
        let outcome = changed(|frames| frames[place] ^= 1).await;
        assert!(matches!(outcome, Err(LinkError::Forged)), "{place}: {outcome:?}");
    }
    for (length, place) in [(20, "shorter"), (0, "none"), (22, "longer")] {
        let outcome = changed(|frames| frames[1] = length).await;
        assert!(matches!(outcome, Err(LinkError::Forged)), "{place}: {outcome:?}");
    }
}

#[tokio::test]
async fn frames_come_once_and_in_their_order() {
    let size = LENGTH + 5 + 16;
    let missing = changed(|frames| drop(frames.drain(..size))).await;
    assert!(matches!(missing, Err(LinkError::Forged)), "{missing:?}");
    let turned = changed(|frames| frames.rotate_left(size)).await;
    assert!(matches!(turned, Err(LinkError::Forged)), "{turned:?}");
}

#[tokio::test]
async fn a_cut_within_a_frame_is_no_end() {
    let size = LENGTH + 5 + 16;
    for end in [1, LENGTH, LENGTH + 1, size - 1] {
        let outcome = changed(|frames| frames.truncate(end)).await;
        assert!(matches!(outcome, Err(LinkError::Cut)), "{end}: {outcome:?}");
    }
    let outcome = changed(Vec::clear).await;
    assert!(matches!(outcome, Ok(None)), "{outcome:?}");
}

#[tokio::test]
async fn a_recording_is_worth_nothing() {
    let key = key();
    let ((near, way_in), (way_out, far)) = (connection().await, connection().await);
    let ((in_reads, in_writes), (out_reads, out_writes)) =
        (way_in.into_split(), way_out.into_split());
    let [requests, answers] =
        [tokio::spawn(pass(in_reads, out_writes)), tokio::spawn(pass(out_reads, in_writes))];
    let (near, far) = join!(Link::connect(near, &key), Link::accept(far, &key));
    let (mut sender, near_receives) = near.expect("a link").split();
    let (mut far_sends, mut receiver) = far.expect("a link").split();
    sender.send(b"hello").await.expect("sent");
    far_sends.send(b"hello").await.expect("sent");
    assert!(receiver.receive().await.expect("a message").is_some());
    drop((sender, near_receives, far_sends, receiver));
    let (requests, answers) =
        (requests.await.expect("a recording"), answers.await.expect("a recording"));
    assert_eq!([requests.len(), answers.len()], [50 + 18 + 23, 50 + 23]);

    let (mut near, far) = connection().await;
    near.write_all(&requests).await.expect("sent");
    let error = Link::accept(far, &key).await.expect_err("a recording");
    assert!(matches!(error, LinkError::OtherKey), "{error}");
    let (near, mut far) = connection().await;
    far.write_all(&answers).await.expect("sent");
    let error = Link::connect(near, &key).await.expect_err("a recording");
    assert!(matches!(error, LinkError::OtherKey), "{error}");
}

#[tokio::test]
async fn a_cancelled_wait_loses_nothing() {
    let (near, far) = linked().await;
    let ((mut sender, _near), (_far, mut receiver)) = (near.split(), far.split());
    let long = vec![1; MOST];
    let sending = async {
        for _ in 0..20 {
            sender.send(&long).await.expect("sent");
        }
    };
    let receiving = async {
        let mut count = 0;
        while count < 20 {
            tokio::select! {
                biased;
                message = receiver.receive() => {
                    assert!(message.expect("a message").expect("a message") == long);
                    count += 1;
                }
                () = tokio::task::yield_now() => {}
            }
        }
    };
    join!(sending, receiving);
}

#[tokio::test]
async fn errors_of_the_stream_are_told() {
    let (near, far) = connection().await;
    // A reset, not an end.
    far.set_zero_linger().expect("an option");
    drop(far);
    let error = Link::connect(near, &key()).await.expect_err("a reset");
    let kinds = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
    assert!(matches!(&error, LinkError::Io(error) if kinds.contains(&error.kind())), "{error}");
}
