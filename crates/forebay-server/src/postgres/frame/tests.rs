//! Frames as good clients send them, and as nobody should.

use super::*;

fn framed(letter: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[letter][..], &length.to_be_bytes(), body].concat()
}

async fn read(bytes: &[u8]) -> Vec<Result<Frame, Bad>> {
    let (mut frames, mut stream, mut out) = (Frames::default(), bytes, Vec::new());
    loop {
        let next = frames.next(&mut stream).await;
        let is_end = next.is_err();
        out.push(next);
        if is_end {
            return out;
        }
    }
}

#[tokio::test]
async fn what_was_sent_is_what_is_read() {
    let bind = [&b"p\0s\0"[..], &[0, 1, 0, 1, 0, 2, 0, 0, 0, 1, 7, 255, 255, 255, 255, 0, 1, 0, 1]].concat();
    let sent = [
        framed(b'Q', b"SELECT 1\0"),
        framed(b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x17"),
        framed(b'B', &bind),
        framed(b'D', b"Ss\0"),
        framed(b'E', b"p\0\0\0\0\x05"),
        framed(b'S', b""),
    ];
    let all = read(&sent.concat()).await;
    let all: Vec<&Frame> = all.iter().filter_map(|frame| frame.as_ref().ok()).collect();
    let (name, sql) = ("s".to_owned(), "SELECT $1".to_owned());
    let expected = [
        Frame::Query("SELECT 1".to_owned()),
        Frame::Parse { name: name.clone(), sql, types: vec![23] },
        Frame::Bind(Bind {
            portal: "p".to_owned(),
            statement: name.clone(),
            formats: vec![1],
            values: vec![Some(vec![7]), None],
            results: vec![1],
        }),
        Frame::Describe { kind: b'S', name },
        Frame::Execute { portal: "p".to_owned(), rows: 5 },
        Frame::Sync,
    ];
    assert_eq!(all, expected.iter().collect::<Vec<_>>());
}

/// Every prefix of good frames, and random bytes behind a good letter.
#[tokio::test]
async fn no_bytes_make_it_panic_or_hold_more_than_they_are() {
    let bind = [&b"p\0s\0"[..], &[0, 1, 0, 1, 0, 1, 0, 0, 0, 1, 7, 0, 0]].concat();
    let good =
        [framed(b'P', b"s\0SELECT $1\0\0\x01\0\0\0\x17"), framed(b'B', &bind), framed(b'E', b"\0\0\0\0\0")];
    for frame in &good {
        for end in 0..frame.len() {
            assert!(read(&frame[..end]).await.last().unwrap().is_err());
            let cut = framed(frame[0], &frame[5..end.max(5)]);
            let _ = read(&cut).await;
        }
    }
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let letters = b"QPBDECSHXpdcfZ\0\xff";
    let mut frames = 0;
    for _ in 0..20_000 {
        let body: Vec<u8> = (0..random() % 40).map(|_| (random() >> 13) as u8).collect();
        let letter = letters[(random() % letters.len() as u64) as usize];
        frames += read(&framed(letter, &body)).await.iter().filter(|frame| frame.is_ok()).count();
        let _ = first(&body);
    }
    assert!(frames > 1_000, "{frames}");
    // A length that is only claimed is refused, and nothing is made for it.
    for claimed in [[0xff, 0xff, 0xff, 0xff], [0x7f, 0xff, 0xff, 0xff], [0, 0, 0, 3]] {
        let bytes = [&b"Q"[..], &claimed].concat();
        assert!(matches!(read(&bytes).await.last(), Some(Err(Bad::Broken(_)))));
    }
}
