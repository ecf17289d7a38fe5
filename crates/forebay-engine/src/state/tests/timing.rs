//! Prints what a million keys cost; judges nothing. `cargo test --release … --lib -- state::tests::timing --ignored --nocapture`

use std::time::Instant;

use arrow::array::Float64Array;
use forebay_storage::Door;

use super::super::StateFiles;
use super::*;

const KEYS: u64 = 1_000_000;

fn wide_layout() -> Arc<Layout> {
    let keys = layout().keys.clone();
    let number = |name: &str, of: DataType| Field::new(name, of, true);
    let values = vec![
        number("count", DataType::Int64),
        number("sum", DataType::Float64),
        number("max", DataType::Float64),
        number("n", DataType::Int64),
    ];
    Layout::new(keys, Arc::new(Schema::new(values)))
}

fn batch(devices: impl Iterator<Item = u64> + Clone) -> Upserts {
    let rows = devices.clone().count();
    let names = StringArray::from_iter_values(devices.clone().map(|n| format!("device-{n:06}")));
    let counts: ArrayRef = Arc::new(Int64Array::from_iter_values(devices.clone().map(|n| n as i64)));
    let floats: ArrayRef = Arc::new(Float64Array::from_iter_values(devices.map(|n| n as f64)));
    Upserts {
        keys: vec![Arc::new(Int64Array::from_value(1_700_000_000_000_000, rows)), Arc::new(names)],
        expires: Int64Array::from_value(1_700_000_000_000, rows),
        values: vec![counts.clone(), floats.clone(), floats, counts],
    }
}

#[test]
#[ignore = "prints timings"]
fn a_million_keys() {
    let dir = tempfile::tempdir().unwrap();
    let named = [("wide".to_owned(), wide_layout())];
    let (mut files, mut tables) = StateFiles::open(dir.path(), Door::new(), &named, None).unwrap();
    let table = &mut tables[0];
    let began = Instant::now();
    for first in (0..KEYS).step_by(50_000) {
        let upserts = Some(batch(first..first + 50_000));
        table.apply(&Changes { upserts, ..Changes::default() }).unwrap();
        table.tidy();
    }
    println!("insert {KEYS}: {:?}; {} MB", began.elapsed(), table.bytes() / 1_000_000);
    let mut small = Table::new(wide_layout()).unwrap();
    small.apply(&Changes { upserts: Some(batch(0..10_000)), ..Changes::default() }).unwrap();
    for (name, table, spread) in [("1M", &mut *table, KEYS), ("10k", &mut small, 10_000)] {
        let (mut finds, mut reads, mut applies) = (vec![], vec![], vec![]);
        let (mut tidies, mut writes) = (vec![], vec![]);
        for epoch in 0..60u64 {
            // Ten thousand different keys, in no order.
            let devices = (0..10_000u64).map(move |n| (n * 99 + epoch * 31 + n / 7919) * 7919 % spread);
            let unique: std::collections::BTreeSet<u64> = devices.collect();
            let mut unique: Vec<u64> = unique.into_iter().collect();
            unique.sort_by_key(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let changes = Changes { upserts: Some(batch(unique.into_iter())), ..Changes::default() };
            let began = Instant::now();
            let keys = table.encode(&changes.upserts.as_ref().unwrap().keys).unwrap();
            let found: Vec<Slot> = table.find(&keys).into_iter().flatten().collect();
            finds.push(began.elapsed());
            let began = Instant::now();
            table.values(&found).unwrap();
            reads.push(began.elapsed());
            let began = Instant::now();
            table.apply(&changes).unwrap();
            applies.push(began.elapsed());
            let began = Instant::now();
            table.tidy();
            tidies.push(began.elapsed());
            if name == "1M" {
                let began = Instant::now();
                files.write(forebay_core::Epoch(epoch), &[changes]).unwrap();
                writes.push(began.elapsed());
            }
        }
        for (what, times) in [
            ("find", &mut finds),
            ("values", &mut reads),
            ("apply", &mut applies),
            ("tidy", &mut tidies),
            ("write", &mut writes),
        ] {
            times.sort();
            if let (Some(most), false) = (times.last(), times.is_empty()) {
                println!("{name} {what} 10k: median {:?}, most {most:?}", times[times.len() / 2]);
            }
        }
        println!("{name}: {} keys, {} MB", table.len(), table.bytes() / 1_000_000);
    }
    let began = Instant::now();
    files.committed(forebay_core::Epoch(59), &tables).unwrap();
    println!("committed: {:?}", began.elapsed());
    let began = Instant::now();
    files.settle();
    println!("snapshot in the background: {:?}", began.elapsed());
    drop(files);
    for _ in 0..3 {
        let began = Instant::now();
        let (_, tables) =
            StateFiles::open(dir.path(), Door::new(), &named, Some(forebay_core::Epoch(59))).unwrap();
        println!(
            "restore {} keys: {:?}, {} MB",
            tables[0].len(),
            began.elapsed(),
            tables[0].bytes() / 1_000_000
        );
    }
    let table = &mut tables[0];
    let began = Instant::now();
    println!("oldest {:?}: {:?}", table.oldest(), began.elapsed());
    let began = Instant::now();
    println!("due {}: {:?}", table.due(1_700_000_000_000).len(), began.elapsed());
    let began = Instant::now();
    table.apply(&Changes { evict_through: Some(1_700_000_000_000), ..Changes::default() }).unwrap();
    println!("evict all: {:?}, {} bytes", began.elapsed(), table.bytes());
}
