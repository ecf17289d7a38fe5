//! How fast JSON becomes columns: nanoseconds of CPU for each record, best of five, beside Arrow's own reader.
//!
//! `cargo run --release -p forebay-connectors --example decode_speed [RECORDS]`
//!
//! The records are already in memory, as a source hands them over: values in one buffer, as views. Arrow's reader
//! takes a stream of bytes, so it is fed the same records one after the other (which is what makes a cut-off record
//! join its neighbour there; here each is decoded for itself). Where the kernel tells how long a thread ran, that is
//! counted and not the time on the wall, so other work on the machine disturbs less.

#![allow(clippy::print_stdout, reason = "a measuring program talks on stdout")]

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use arrow::array::{Array, BinaryViewArray, BinaryViewBuilder};
use arrow::buffer::Buffer;
use arrow::json::ReaderBuilder;
use forebay_connectors::formats::json::{JsonFormat, SPEC};
use forebay_core::format::{BadRecordMode, Format};
use forebay_core::options::Options;

/// Records of one batch: what a fetch of a few MiB holds.
const BATCH: usize = 32_768;

const SEED: &str = "device_id STRING, temperature DOUBLE, humidity DOUBLE, timestamp INT";

const NESTED: &str = "event_id STRING, ts TIMESTAMP, site STRUCT<plant: STRING, line: INT, pos: STRUCT<lat: DOUBLE, lon: DOUBLE>>, \
                      device STRUCT<id: STRING, fw: STRING>, readings ARRAY<DOUBLE>, status STRING, ok BOOLEAN, seq BIGINT";

fn main() -> Result<(), Box<dyn Error>> {
    let records: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let mut dice = Dice(42);
    let seed: Vec<String> = (0..records).map(|_| seed_record(&mut dice)).collect();
    let nested: Vec<String> = (0..records / 4).map(|number| nested_record(&mut dice, number)).collect();
    println!(
        "{:<34} {:>10} {:>10} {:>12}",
        "ns of CPU per record, best of 5", "forebay", "arrow-json", "bytes/record"
    );
    measure("the seed's event, 4 columns", SEED, &seed)?;
    measure("a nested event, 12 columns", NESTED, &nested)?;
    // Two kinds of devices that write their keys in another order, one of them without blanks.
    let turned: Vec<String> = seed
        .iter()
        .enumerate()
        .map(|(i, text)| if i % 2 == 0 { text.clone() } else { turned(text) })
        .collect();
    measure("the seed's event, two writings", SEED, &turned)?;
    Ok(())
}

fn measure(name: &str, ddl: &str, records: &[String]) -> Result<(), Box<dyn Error>> {
    let schema = forebay_core::ddl::parse(ddl)?;
    let bytes: usize = records.iter().map(String::len).sum();
    let options = Options::parse(&SPEC, &BTreeMap::new()).map_err(|problems| format!("{problems:?}"))?;
    let format = JsonFormat::new(schema.clone(), BadRecordMode::Quarantine, &options)?;
    let batches: Vec<BinaryViewArray> = records.chunks(BATCH).map(views).collect::<Result<_, _>>()?;

    let mut decoder = format.decoder();
    let ours = best_of_five(|| {
        for batch in &batches {
            let decoded = decoder.decode(batch)?;
            if decoded.rows.num_rows() != batch.len() {
                return Err("a good record was refused".into());
            }
            black_box(decoded);
        }
        Ok(())
    })?;
    let theirs = best_of_five(|| {
        let mut decoder = ReaderBuilder::new(schema.clone()).with_batch_size(BATCH).build_decoder()?;
        for batch in records.chunks(BATCH) {
            for record in batch {
                decoder.decode(record.as_bytes())?;
            }
            black_box(decoder.flush()?);
        }
        Ok(())
    })?;
    let each = |time: Duration| time.as_nanos() as f64 / records.len() as f64;
    println!(
        "{name:<34} {:>10.1} {:>10.1} {:>12.1}",
        each(ours),
        each(theirs),
        bytes as f64 / records.len() as f64
    );
    Ok(())
}

fn best_of_five(mut run: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let (start, ran) = (Instant::now(), thread_time());
        run()?;
        let elapsed = start.elapsed();
        best = best.min(match (ran, thread_time()) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => elapsed,
        });
    }
    Ok(best)
}

/// How long this thread has been on a core.
fn thread_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Records as views into one buffer, with the bytes of a record batch between them.
fn views(records: &[String]) -> Result<BinaryViewArray, Box<dyn Error>> {
    let mut buffer = Vec::new();
    let mut places = Vec::new();
    for record in records {
        buffer.extend_from_slice(&[0x8e, 0x02, 0x00, 0x01]);
        places.push((u32::try_from(buffer.len())?, u32::try_from(record.len())?));
        buffer.extend_from_slice(record.as_bytes());
    }
    let mut builder = BinaryViewBuilder::with_capacity(records.len());
    let block = builder.append_block(Buffer::from_vec(buffer));
    for (offset, length) in places {
        builder.try_append_view(block, offset, length)?;
    }
    Ok(builder.finish())
}

/// A small random number generator (xorshift): the figures do not depend on a library.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    /// A number with at most this many decimals, written as Python does: without zeros at the end.
    fn decimal(&mut self, least: u64, most: u64, places: u32) -> String {
        let scale = 10_u64.pow(places);
        let value = (least * scale + self.below((most - least) * scale)) as f64 / scale as f64;
        format!("{value:?}")
    }
}

fn seed_record(dice: &mut Dice) -> String {
    format!(
        "{{\"device_id\": \"device_{}\", \"temperature\": {}, \"humidity\": {}, \"timestamp\": {}}}",
        1 + dice.below(1000),
        dice.decimal(20, 80, 2),
        dice.decimal(30, 90, 2),
        1_732_150_000 + dice.below(100_000)
    )
}

fn turned(text: &str) -> String {
    let inner: Vec<&str> = text.trim_matches(['{', '}']).split(", ").collect();
    let members: Vec<String> = inner.iter().rev().map(|member| member.replace(": ", ":")).collect();
    format!("{{{}}}", members.join(","))
}

fn nested_record(dice: &mut Dice, number: usize) -> String {
    let readings: Vec<String> = (0..4 + dice.below(5)).map(|_| dice.decimal(0, 100, 3)).collect();
    format!(
        "{{\"event_id\": \"{:08x}-{:04x}\", \"ts\": \"2024-11-{:02}T{:02}:{:02}:{:02}.{:06}Z\", \
         \"site\": {{\"plant\": \"plant-{}\", \"line\": {}, \"pos\": {{\"lat\": {}, \"lon\": {}}}}}, \
         \"device\": {{\"id\": \"device_{}\", \"fw\": \"4.{}.{}\"}}, \"readings\": [{}], \"status\": \"{}\", \"ok\": {}, \"seq\": {number}}}",
        dice.below(1 << 32),
        dice.below(1 << 16),
        1 + dice.below(28),
        dice.below(24),
        dice.below(60),
        dice.below(60),
        dice.below(1_000_000),
        dice.below(9),
        1 + dice.below(20),
        dice.decimal(47, 54, 6),
        dice.decimal(6, 15, 6),
        1 + dice.below(1000),
        dice.below(10),
        dice.below(100),
        readings.join(", "),
        if dice.below(50) == 0 { "maintenance" } else { "running" },
        dice.below(20) != 0,
    )
}
