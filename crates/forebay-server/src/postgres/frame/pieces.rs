//! Frames as a net delivers them: cut anywhere, ended too early, with numbers in them that lie.

use tokio::io::AsyncReadExt;

use super::super::room::Room;
use super::*;

/// Of a client that was let in.
fn let_in(room: usize) -> Frames {
    let mut frames = Frames::default();
    frames.long(Room::new(room).none());
    frames
}

fn framed(letter: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [letter, &length.to_be_bytes(), body].concat()
}

/// One good frame of each kind.
fn good() -> Vec<Vec<u8>> {
    let bind = [
        &b"portal\0statement\0"[..],
        &[0, 2, 0, 1, 0, 0],
        &[0, 2, 0, 0, 0, 1, 7, 255, 255, 255, 255],
        &[0, 1, 0, 1],
    ]
    .concat();
    vec![
        framed(b"Q", "SELECT 'ü'\0".as_bytes()),
        framed(b"P", b"s\0SELECT $1, $2\0\0\x02\0\0\0\x17\0\0\0\0"),
        framed(b"B", &bind),
        framed(b"D", b"Sstatement\0"),
        framed(b"E", b"portal\0\0\0\0\x05"),
        framed(b"C", b"Pportal\0"),
        framed(b"S", b""),
        framed(b"H", b""),
        framed(b"X", b""),
        framed(b"p", b"SCRAM-SHA-256\0\0\0\0\x01n"),
        framed(b"d", b"x"),
    ]
}

#[tokio::test]
async fn a_message_is_the_same_wherever_the_net_cuts_it() {
    for bytes in good() {
        let whole = Frames::default().next(&mut &bytes[..]).await.unwrap();
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let mut frames = Frames::default();
            let cut = frames.next(&mut head.chain(tail)).await.unwrap();
            assert_eq!((cut, frames.ahead()), (whole.clone(), 0), "{bytes:?} at {at}");
        }
        // Byte by byte, with another behind it.
        let (mut sender, mut receiver) = tokio::io::duplex(1);
        let both = [&bytes[..], &framed(b"S", b"")].concat();
        let sent = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut sender, &both).await.unwrap();
        });
        let mut frames = Frames::default();
        assert_eq!(frames.next(&mut receiver).await.unwrap(), whole);
        assert_eq!(frames.next(&mut receiver).await.unwrap(), Frame::Sync);
        assert!(matches!(frames.next(&mut receiver).await, Err(Bad::Gone)));
        sent.await.unwrap();
    }
}

#[tokio::test]
async fn a_start_is_the_same_wherever_the_net_cuts_it() {
    for bytes in [
        framed(b"", &TLS.to_be_bytes()),
        framed(b"", &GSS.to_be_bytes()),
        framed(b"", &[&CANCEL.to_be_bytes()[..], &[0, 0, 0, 7, 255, 255, 255, 255]].concat()),
        framed(b"", b"\0\x03\0\0user\0ana\0database\0plant\0\0"),
    ] {
        let whole = Frames::default().first(&mut &bytes[..]).await.unwrap();
        for at in 0..bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(Frames::default().first(&mut head.chain(tail)).await.unwrap(), whole);
            assert!(matches!(Frames::default().first(&mut &*head).await, Err(Bad::Gone)));
            // A body that is shorter than what it should say.
            let short = framed(b"", bytes.get(4..at).unwrap_or_default());
            if short.len() < bytes.len() {
                assert!(matches!(Frames::default().first(&mut &short[..]).await, Err(Bad::Broken(_))));
            }
        }
    }
}

#[tokio::test]
async fn what_a_message_claims_to_hold_is_not_believed() {
    for (letter, body) in [
        // So many types, formats and values are claimed, and none is there.
        (b"P", &b"s\0SELECT 1\0\xff\xff"[..]),
        (b"B", b"p\0s\0\xff\xff"),
        (b"B", b"p\0s\0\0\0\xff\xff\0\0\0\x01a"),
        // A value that is longer than its message, and one of a negative length.
        (b"B", b"p\0s\0\0\0\0\x01\x7f\xff\xff\xffa\0\0"),
        (b"B", b"p\0s\0\0\0\0\x01\xff\xff\xff\xfea\0\0"),
        (b"Q", b"SELECT 1"),
        (b"Q", b"SELECT \xff\0"),
        (b"E", b"p\0\0"),
        (b"D", b""),
        (b"D", b"S"),
    ] {
        let bytes = framed(letter, body);
        let read = Frames::default().next(&mut &bytes[..]).await;
        assert!(matches!(read, Err(Bad::Broken(_))), "{body:?}: {read:?}");
    }
    // The longest of each kind is known before its body is there.
    for (letter, most) in [(b"Q", MAX_STATEMENT), (b"B", MAX_VALUES), (b"p", MAX_PASSWORD), (b"S", MAX_OTHER)]
    {
        let length = u32::try_from(most + 1).unwrap();
        let bytes = [&letter[..], &length.to_be_bytes()].concat();
        assert!(matches!(let_in(1 << 30).next(&mut &bytes[..]).await, Err(Bad::Broken(_))));
        let length = u32::try_from(most).unwrap();
        let bytes = [&letter[..], &length.to_be_bytes()].concat();
        assert!(matches!(let_in(1 << 30).next(&mut &bytes[..]).await, Err(Bad::Gone)));
    }
}

#[tokio::test]
async fn who_was_not_let_in_sends_nothing_long() {
    for letter in [b"Q", b"P", b"B"] {
        let length = u32::try_from(MAX_OTHER + 1).unwrap();
        let bytes = [&letter[..], &length.to_be_bytes()].concat();
        assert!(matches!(Frames::default().next(&mut &bytes[..]).await, Err(Bad::Broken(_))));
        assert!(matches!(let_in(1 << 30).next(&mut &bytes[..]).await, Err(Bad::Gone)));
    }
}

#[tokio::test]
async fn a_long_message_without_room_is_passed_over_and_the_next_one_is_read() {
    let long = framed(b"Q", format!("SELECT '{}'\0", "x".repeat(200_000)).as_bytes());
    let both = [&long[..], &framed(b"S", b"")].concat();
    let mut frames = let_in(100_000);
    let mut stream = &both[..];
    assert_eq!(frames.next(&mut stream).await.unwrap(), Frame::NoRoom(b'Q'));
    assert_eq!(frames.next(&mut stream).await.unwrap(), Frame::Sync);
    // With room it is read, and gives its room back.
    let room = Room::new(COPIES * long.len());
    let mut frames = Frames::default();
    frames.long(room.none());
    let mut stream = &both[..];
    assert!(matches!(frames.next(&mut stream).await.unwrap(), Frame::Query(_)));
    assert!(room.hold(COPIES * long.len() / 2).is_err(), "it is there");
    assert_eq!(frames.next(&mut stream).await.unwrap(), Frame::Sync);
    assert!(room.hold(COPIES * long.len()).is_ok());
    let _ = frames.next(&mut stream).await;
    assert!(frames.read.capacity() <= 4 * PIECE, "{}", frames.read.capacity());
}
