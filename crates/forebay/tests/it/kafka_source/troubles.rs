//! Brokers that go away while they are read, and transactions that were given up.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use forebay_connectors::kafka::NewRecord;
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::source::Source;
use forebay_core::{Position, Positions};

use super::Place;
use super::topic::{Record, Topic, ranges, read};

/// Reads while the broker goes away and comes back; `restart` does that, and returns once it answers again.
pub async fn restart_suite(place: &Place, restart: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    let topic = Topic::new(place, "restart", 2).await?;
    let records = 4_000_u64;
    let writing = async {
        let producer = topic.producer(&[("linger.ms", "1")]).await?;
        for number in 0..records {
            let text = number.to_string();
            // True times: a broker that restarts forgets producers whose last record is a day old.
            let record = NewRecord::value(&topic.name, text.as_bytes(), SystemClock.now_ms());
            producer.send(NewRecord { partition: Some((number % 2) as i32), ..record }).await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        producer.flush().await?;
        Ok::<_, anyhow::Error>(())
    };
    let reading = async {
        let mut source = topic.source(&[("startingOffsets", "earliest")])?;
        let mut at = source.start(false).await?;
        let mut found = Vec::new();
        let mut failures = 0;
        let deadline = Instant::now() + Duration::from_secs(300);
        while found.len() < records as usize {
            ensure!(Instant::now() < deadline, "{} of {records} records in time", found.len());
            // As the engine does: what may be tried again is tried again, from the same positions.
            let epoch = async {
                tokio::time::timeout(Duration::from_secs(60), source.wait(&at))
                    .await
                    .context("no news for long")??;
                let ends = source.available(&at).await?.ends;
                let got = read(&mut source, &ranges(&at, &ends), 2).await?;
                Ok::<_, anyhow::Error>((ends, got))
            };
            match epoch.await {
                Ok((ends, got)) => {
                    found.extend(got);
                    at = ends;
                }
                Err(error) => {
                    let known = error.downcast_ref::<forebay_core::Error>();
                    ensure!(known.is_some_and(forebay_core::Error::is_retryable), "{error:?}");
                    failures += 1;
                }
            }
        }
        tracing::info!("{} records, {failures} epochs were tried again", found.len());
        Ok(found)
    };
    let restarting = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        restart().await
    };
    let ((), found, ()) = tokio::try_join!(writing, reading, restarting)?;
    let mut next = [0_u64, 1];
    for record in &found {
        let number: u64 = std::str::from_utf8(record.value.as_deref().unwrap_or_default())?.parse()?;
        let expected = &mut next[record.partition.index as usize];
        ensure!(number == *expected, "{} has {number} where {expected} follows", record.partition);
        *expected += 2;
    }
    ensure!(next == [records, records + 1], "it ended at {next:?}");
    Ok(())
}

pub(super) async fn aborted_records_are_no_records(place: &Place, python: &str) -> Result<()> {
    let topic = Topic::new(place, "txn", 1).await?;
    let script = r#"
import sys
from confluent_kafka import Producer
bootstrap, topic = sys.argv[1:]
def producer(name):
    p = Producer({"bootstrap.servers": bootstrap, "transactional.id": topic + name, "linger.ms": 0})
    p.init_transactions()
    return p
a, b = producer("-a"), producer("-b")
def write(p, what, n):
    for i in range(n):
        p.produce(topic, value=f"{what}-{i}", partition=0)
    p.flush()
for round in range(3):
    a.begin_transaction(); b.begin_transaction()
    write(a, f"void{round}", 30); write(b, f"kept{round}", 20); write(a, f"void{round}b", 5)
    a.abort_transaction(); b.commit_transaction()
    a.begin_transaction(); write(a, f"after{round}", 10); a.commit_transaction()
b.begin_transaction(); write(b, "open", 7)
plain = Producer({"bootstrap.servers": bootstrap}); write(plain, "behind", 4)
print("ready", flush=True); sys.stdin.readline()
b.commit_transaction()
"#;
    let mut child = Command::new(python)
        .args(["-c", script, &place.bootstrap, &topic.name])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("cannot start python with confluent_kafka")?;
    let mut line = String::new();
    let stdout = child.stdout.take().context("no stdout")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
    ensure!(line.trim() == "ready", "the script failed");
    let text = |records: &[Record]| -> Vec<String> {
        records
            .iter()
            .map(|r| String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).into_owned())
            .collect()
    };
    let committed = text(&topic.read_all(&[], 1).await?);
    let kept: usize = 3 * (20 + 10);
    ensure!(committed.len() == kept, "{} records while a transaction is open", committed.len());
    ensure!(
        committed.iter().all(|value| value.starts_with("kept") || value.starts_with("after")),
        "{committed:?}"
    );
    let all = text(&topic.read_all(&[("kafka.isolation.level", "read_uncommitted")], 1).await?);
    ensure!(all.len() == kept + 3 * 35 + 7 + 4, "{} records uncommitted", all.len());
    child.stdin.take().map(|mut stdin| std::io::Write::write_all(&mut stdin, b"\n")).transpose()?;
    ensure!(child.wait()?.success(), "the script failed");
    let later = text(&topic.read_all(&[], 1).await?);
    ensure!(later.len() == kept + 7 + 4, "{} records once it is committed", later.len());
    // Ranges that cut through transactions give exactly their share.
    let mut source = topic.source(&[("startingOffsets", "earliest")])?;
    let start = source.start(false).await?;
    let end = source.available(&start).await?.ends;
    let mut pieces = Vec::new();
    let mut at = start;
    while at != end {
        let to: Positions =
            at.iter().map(|(p, from)| (p.clone(), Position((from.0 + 7).min(end[p].0)))).collect();
        pieces.extend(read(&mut source, &ranges(&at, &to), 1).await?);
        at = to;
    }
    ensure!(text(&pieces) == later, "reading in pieces gives other records");
    Ok(())
}
