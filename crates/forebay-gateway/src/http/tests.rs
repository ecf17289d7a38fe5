use std::io::Write as _;

use async_trait::async_trait;
use forebay_core::clock::SystemClock;
use forebay_core::config::{Payload, RouteConfig, Target, UserConfig};
use forebay_core::route::Pattern;
use parking_lot::Mutex;

use super::*;
use crate::{Delivery, RouteTable, Users, delivery};

/// A log in memory that may be away.
#[derive(Default)]
struct Memory {
    records: Mutex<Vec<Record>>,
    /// How many more it takes before it is away; `None`: any.
    takes: Mutex<Option<usize>>,
}

#[async_trait]
impl Log for Memory {
    async fn submit(&self, records: Vec<Record>) -> Vec<Delivery> {
        let mut all = Vec::new();
        for record in records {
            let (settle, waits) = delivery();
            let mut takes = self.takes.lock();
            if *takes == Some(0) {
                settle.settle(Err(Refusal::Unknown(Error::new(&codes::SOURCE_UNAVAILABLE, "away"))));
            } else {
                *takes = takes.map(|left| left - 1);
                let mut records = self.records.lock();
                let place =
                    Place { topic: Arc::clone(&record.topic), partition: 0, offset: records.len() as i64 };
                records.push(record);
                settle.settle(Ok(place));
            }
            all.push(waits);
        }
        all
    }
}

fn ingest(log: &Arc<Memory>) -> Ingest {
    let target = Target {
        topic: "log".into(),
        key: None,
        payload: Payload::Json,
        wrap: None,
        fields: Vec::new(),
        received_at: Some("at".into()),
        headers: Vec::new(),
        properties: false,
        rebirth: false,
    };
    let route = |pattern: &str, target| RouteConfig { pattern: Pattern::parse(pattern).unwrap(), target };
    let table = RouteTable::new(&[route("p/+", Some(target)), route("debug", None)]);
    let user = UserConfig {
        name: "uno".into(),
        sha256: None,
        certificate: None,
        publish: vec!["p/#".into(), "debug".into(), "q".into()],
        subscribe: Vec::new(),
    };
    let access = Arc::new(Users::new(Some(&[user])));
    let limits = Limits { messages: 3, body: 1_000, keys: 2, ..Limits::default() };
    let log: Arc<dyn Log> = Arc::<Memory>::clone(log);
    Ingest::new("g", Arc::new(table), (access, true), log, Arc::new(SystemClock), limits)
}

async fn post(
    ingest: &Ingest,
    topic: &str,
    split: Split,
    body: &str,
    key: Option<&str>,
) -> Result<Vec<Taken>, NotTaken> {
    let who = Identity("uno".into());
    ingest.take(Post { who: &who, topic, split, body: Bytes::copy_from_slice(body.as_bytes()), key }).await
}

fn offsets(taken: &[Taken]) -> Vec<Option<i64>> {
    let offset = |it: &Taken| match it {
        Taken::There(place) | Taken::Known(place) => Some(place.offset),
        _ => None,
    };
    taken.iter().map(offset).collect()
}

#[tokio::test]
async fn one_lines_and_arrays_are_answered_message_by_message() {
    let log = Arc::new(Memory::default());
    let ingest = ingest(&log);
    let one = post(&ingest, "p/a", Split::Json, " {\"a\":1}\n", None).await.unwrap();
    assert_eq!(offsets(&one), [Some(0)]);
    let lines = post(&ingest, "p/a", Split::Lines, "{\"a\":1}\r\n\n{broken\n{\"at\":1}", None).await.unwrap();
    assert_eq!(offsets(&lines), [Some(1), Some(2), None]);
    assert!(matches!(&lines[2], Taken::Refused(error) if error.code() == &codes::MESSAGE_REFUSED));
    let array = post(&ingest, "p/a", Split::Json, "[ {\"a\": 1} ,[2]]", None).await.unwrap();
    assert_eq!(offsets(&array), [Some(3), Some(4)]);
    let records = log.records.lock().clone();
    assert_eq!((&records[2].value[..], &records[4].value[..]), (&b"{broken"[..], &b"[2]"[..]));
    assert!(records[3].value.ends_with(b",\"a\": 1}"));
    assert!(matches!(post(&ingest, "debug", Split::Whole, "x", None).await.unwrap()[..], [Taken::Dropped]));
    let counted = ingest.counted();
    assert_eq!((counted.posts, counted.taken, counted.refused, counted.dropped), (4, 5, 1, 1));
}

#[tokio::test]
async fn what_is_no_post_of_this_sender_is_refused_whole() {
    let log = Arc::new(Memory::default());
    let ingest = ingest(&log);
    assert!(matches!(post(&ingest, "x", Split::Json, "{}", None).await, Err(NotTaken::Denied)));
    assert!(matches!(post(&ingest, "q", Split::Json, "{}", None).await, Err(NotTaken::NoRoute)));
    for (body, split) in [
        ("[1,", Split::Json),
        ("[1] 2", Split::Json),
        ("[1,1,1,1]", Split::Json),
        ("1\n1\n1\n1", Split::Lines),
    ] {
        assert!(matches!(post(&ingest, "p/a", split, body, None).await, Err(NotTaken::Bad(_))), "{body}");
    }
    assert!(matches!(post(&ingest, "q", Split::Lines, "1\n2", None).await, Err(NotTaken::NoRoute)));
    let many = vec![Bytes::from_static(b"1"); 2];
    let who = Identity("uno".into());
    assert!(matches!(ingest.take_messages(&who, "q", many).await, Err(NotTaken::NoRoute)));
    assert!(log.records.lock().is_empty());
    // Denied, no route, four that are broken, and twice two without a route.
    let counted = ingest.counted();
    assert_eq!((counted.posts, counted.refused, counted.taken), (9, 10, 0));
}

#[tokio::test]
async fn a_post_that_is_repeated_sends_only_what_is_not_known_to_be_there() {
    let log = Arc::new(Memory::default());
    let ingest = ingest(&log);
    *log.takes.lock() = Some(1);
    let first = post(&ingest, "p/a", Split::Lines, "1\n2\n3", Some("k")).await.unwrap();
    assert_eq!(offsets(&first), [Some(0), None, None]);
    *log.takes.lock() = None;
    for known in [1, 3] {
        let again = post(&ingest, "p/a", Split::Lines, "1\n2\n3", Some("k")).await.unwrap();
        assert_eq!(offsets(&again), [Some(0), Some(1), Some(2)]);
        assert_eq!(again.iter().filter(|it| matches!(it, Taken::Known(_))).count(), known);
    }
    let headers: Vec<String> =
        log.records.lock().iter().map(|it| String::from_utf8(it.headers[0].1.to_vec()).unwrap()).collect();
    assert_eq!(headers, ["k/0", "k/1", "k/2"]);
    assert_eq!((ingest.counted().taken, ingest.counted().repeated, ingest.counted().unknown), (3, 4, 2));
    assert!(matches!(post(&ingest, "p/a", Split::Lines, "1", Some("k")).await, Err(NotTaken::OtherPost)));
    assert!(matches!(
        post(&ingest, "p/b", Split::Lines, "1\n2\n3", Some("k")).await,
        Err(NotTaken::OtherPost)
    ));
    // Two more keys, and the first is forgotten.
    for key in ["l", "m"] {
        post(&ingest, "p/a", Split::Lines, "1", Some(key)).await.unwrap();
    }
    assert_eq!(offsets(&post(&ingest, "p/a", Split::Lines, "1\n2\n3", Some("k")).await.unwrap())[0], Some(5));
}

#[test]
fn an_empty_body_is_no_json() {
    for body in ["", " \n"] {
        let body = Bytes::from_static(body.as_bytes());
        assert!(matches!(Split::Json.messages(&body, 10), Err(BodyError::Broken(_))));
        assert_eq!(Split::Lines.messages(&body, 10).unwrap().len(), 0);
        assert_eq!(Split::Whole.messages(&body, 10).unwrap().len(), 1);
    }
}

#[test]
fn a_key_is_held_by_one_post_at_a_time() {
    let keys = Keys::new(1, Duration::from_millis(10));
    let held = keys.claim("u", "k", ("t", Split::Whole, b"1"), 0).unwrap();
    assert!(matches!(keys.claim("u", "k", ("t", Split::Whole, b"1"), 100), Err(NotTaken::UnderWay)));
    let others: [(&str, Split, &[u8]); 3] =
        [("t", Split::Whole, b"2"), ("s", Split::Whole, b"1"), ("t", Split::Json, b"1")];
    for other in others {
        assert!(matches!(keys.claim("u", "k", other, 100), Err(NotTaken::OtherPost)), "{other:?}");
    }
    drop(keys.claim("v", "k", ("t", Split::Whole, b"1"), 100).unwrap());
    drop(held);
    drop(keys.claim("u", "k", ("t", Split::Whole, b"1"), 5).unwrap());
    assert!(keys.claim("u", "k", ("t", Split::Whole, b"2"), 200).is_ok(), "it is forgotten after its time");
}

#[test]
fn what_is_packed_comes_out_as_it_was_and_no_bomb_does() {
    let text = b"{\"a\":1}".repeat(20);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&text).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::stream::encode_all(&text[..], 3).unwrap();
    for (packing, packed) in [(Packing::Gzip, &gzip), (Packing::Zstd, &zstd)] {
        let unpack = |bytes: &[u8], most| packing.unpack(Bytes::copy_from_slice(bytes), most);
        assert_eq!(unpack(packed, text.len()).unwrap(), text);
        assert!(matches!(unpack(packed, text.len() - 1), Err(BodyError::TooLarge(_))));
        for broken in [&packed[..packed.len() - 1], b"", b"{}"] {
            let came = unpack(broken, 1_000);
            assert!(
                matches!(came, Err(BodyError::Broken(_))) || came.is_ok_and(|it| it.is_empty()),
                "{packing:?}"
            );
        }
    }
    let bomb = zstd::stream::encode_all(&vec![0; 100 << 20][..], 3).unwrap();
    assert!(matches!(Packing::Zstd.unpack(bomb.into(), 1 << 20), Err(BodyError::TooLarge(_))));
    assert_eq!((Packing::of("br"), Packing::of("GZIP")), (None, Some(Packing::Gzip)));
    assert_eq!(
        (Split::of("text/html"), Split::of("Application/JSON; charset=utf-8")),
        (None, Some(Split::Json))
    );
}
