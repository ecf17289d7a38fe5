//! A detector whose model counts: the rows of a key so far, and their sum.

use arrow::array::{BooleanArray, StringArray};
use forebay_core::Result;
use forebay_core::detect::{Judge, Model, verdict_fields};
use proptest::prelude::*;

use forebay_core::Epoch;
use forebay_storage::Door;

use super::*;
use crate::operators::detect::Detection;
use crate::plan::graph::DetectSpec;
use crate::state::{StateFiles, Table, show};

/// `meaning` is what its state is said to mean; beside it, `ballast` bytes are remembered of a key.
#[derive(Debug, Default)]
pub(super) struct Counting {
    pub remembers: bool,
    pub meaning: &'static str,
    pub ballast: usize,
}

#[derive(Default)]
struct Counter(Vec<(u64, f64)>, usize);

impl Counter {
    fn key(&mut self, key: u32) -> &mut (u64, f64) {
        let most = self.0.len().max(key as usize + 1);
        self.0.resize(most, (0, 0.0));
        &mut self.0[key as usize]
    }
}

impl Model for Counting {
    fn meaning(&self) -> String {
        self.meaning.to_owned()
    }

    fn remembers(&self) -> bool {
        self.remembers
    }

    fn judge(&self) -> Result<Box<dyn Judge>> {
        Ok(Box::new(Counter(Vec::new(), self.ballast)))
    }
}

impl Judge for Counter {
    fn judge(
        &mut self,
        keys: &[u32],
        times: Option<&ArrayRef>,
        inputs: &[ArrayRef],
    ) -> Result<[ArrayRef; 4]> {
        let numbers = inputs[0].as_primitive::<arrow::datatypes::Float64Type>();
        let times = times.map(|times| times.as_primitive::<TimestampMicrosecondType>());
        let mut said = Vec::new();
        for (row, key) in keys.iter().enumerate() {
            let known = self.key(*key);
            let at = times.map_or(-1, |times| times.value(row));
            said.push((known.0 as f64, known.1, at % 2 == 1, format!("after {} rows", known.0)));
            *known = (known.0 + 1, known.1 + numbers.value(row));
        }
        let column = |of: fn(&(f64, f64, bool, String)) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(said.iter().map(of)))
        };
        let flags: ArrayRef = Arc::new(BooleanArray::from_iter(said.iter().map(|it| Some(it.2))));
        let words: ArrayRef = Arc::new(StringArray::from_iter_values(said.iter().map(|it| &it.3)));
        Ok([column(|it| it.0), column(|it| it.1), flags, words])
    }

    fn save(&mut self, key: u32, out: &mut Vec<u8>) {
        let (count, sum) = self.0.get(key as usize).copied().unwrap_or_default();
        out.extend(count.to_le_bytes());
        out.extend(sum.to_le_bytes());
        out.resize(out.len() + self.1, 7);
    }

    fn load(&mut self, key: u32, bytes: &[u8]) -> Result<()> {
        *self.key(key) = (
            u64::from_le_bytes(bytes[..8].try_into().unwrap()),
            f64::from_le_bytes(bytes[8..16].try_into().unwrap()),
        );
        Ok(())
    }
}

pub(super) fn spec(keys: &[&str], model: Counting) -> DetectSpec {
    let input = schema();
    let output = input.fields().iter().cloned().chain(verdict_fields()).collect::<Vec<_>>();
    DetectSpec {
        name: "detect-0".to_owned(),
        keys: keys.iter().map(|key| input.index_of(key).unwrap()).collect(),
        columns: vec![3],
        time: Some(0),
        input,
        output: Arc::new(Schema::new(output)),
        told: Vec::new(),
        model: Arc::new(model),
    }
}

fn world(keys: &[&str]) -> World {
    weighing(keys, 0)
}

fn weighing(keys: &[&str], ballast: usize) -> World {
    let spec = spec(keys, Counting { remembers: true, meaning: "counting", ballast });
    World::new(Arc::new(Detection::new(Arc::new(spec)).unwrap()), Append, 0)
}

#[test]
fn every_row_comes_out_with_what_was_known_of_its_key_before() {
    let mut world = world(&["device"]);
    let lanes =
        vec![vec![batch(&[(1, "a", 10), (2, "b", 20)]), batch(&[(3, "a", 5)])], vec![batch(&[(9, "c", 1)])]];
    assert_eq!(
        lines(&world.lanes(lanes)),
        [
            "1 a 10 10.0 0.0 0.0 false after 0 rows",
            "2 b 20 20.0 0.0 0.0 false after 0 rows",
            "3 a 5 5.0 1.0 10.0 false after 1 rows",
            "9 c 1 1.0 0.0 0.0 false after 0 rows"
        ]
    );
    assert_eq!(world.epoch(&[(4, "a", 1)]), ["4 a 1 1.0 2.0 15.0 false after 2 rows"]);
    assert!(world.epoch(&[]).is_empty() && world.settle().is_empty());
    assert_eq!(world.tables[0].len(), 3, "a key is never forgotten");
    assert_eq!(world.counts, Counts::default(), "every row goes on");
    assert!(world.operator.passes_rows());
}

#[test]
fn without_a_key_all_rows_are_of_one_thing() {
    let mut world = world(&[]);
    assert_eq!(world.epoch(&[(0, "a", 1), (2, "b", 2)]).len(), 2);
    assert_eq!(world.epoch(&[(4, "c", 3)]), ["4 c 3 3.0 2.0 3.0 false after 2 rows"]);
    assert_eq!(world.tables[0].len(), 1);
}

#[test]
fn a_model_that_remembers_nothing_has_no_table() {
    let spec = spec(&["device"], Counting { meaning: "counting", ..Counting::default() });
    let mut world = World::new(Arc::new(Detection::new(Arc::new(spec)).unwrap()), Append, 0);
    assert!(world.tables.is_empty());
    for _ in 0..2 {
        assert_eq!(world.epoch(&[(0, "a", 1)]), ["0 a 1 1.0 0.0 0.0 false after 0 rows"]);
    }
}

#[test]
fn state_of_another_model_or_key_is_another_state() {
    let layouts = |keys: &[&str], meaning| {
        let spec = spec(keys, Counting { remembers: true, meaning, ballast: 0 });
        format!("{:?}", Detection::new(Arc::new(spec)).unwrap().layouts())
    };
    let own = layouts(&["device"], "counting");
    assert_eq!(own, layouts(&["device"], "counting"));
    for other in [layouts(&["n"], "counting"), layouts(&[], "counting"), layouts(&["device"], "counting(2)")]
    {
        assert_ne!(own, other);
    }
}

/// Every key of a table and what is remembered of it, in the keys' order.
fn content(table: &Table) -> Vec<(Vec<u8>, Vec<u8>)> {
    let slots = table.all();
    let states = table.values(&slots).unwrap();
    let states = states[0].as_binary::<i64>();
    let row = |at: usize| (table.key(slots[at]).to_vec(), states.value(at).to_vec());
    let mut rows: Vec<_> = (0..slots.len()).map(row).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn what_weighs_much_is_learned_again_after_a_restart() {
    const EPOCHS: u64 = 40;
    for (keys, ballast) in [(&["device"][..], 4_096), (&[], 4_096), (&["device"], 0)] {
        let dir = tempfile::tempdir().unwrap();
        let mut world = weighing(keys, ballast);
        let named = vec![("detect-0".to_owned(), world.operator.layouts().remove(0))];
        let open =
            |through: Option<u64>| StateFiles::open(dir.path(), Door::new(), &named, through.map(Epoch));
        let (mut files, _) = open(None).unwrap();
        // Small enough that there are snapshots on the way.
        files.least_changes = if ballast > 0 { 4 << 10 } else { 1 << 10 };
        for epoch in 0..EPOCHS {
            let at = epoch as i64;
            let device = ["a", "b", "c"][epoch as usize % 3];
            let lanes =
                vec![vec![batch(&[(at, device, at), (at, "d", 1)]), batch(&[(at + 9, device, 2)])], vec![]];
            let step = world.step(lanes);
            assert_eq!(step.changes[0].cause.is_some(), ballast > 0);
            files.write(Epoch(epoch), &step.changes).unwrap();
            files.committed(Epoch(epoch), &world.tables).unwrap();
            if epoch == EPOCHS / 2 {
                files.settle();
            }
        }
        drop(files);
        let names =
            std::fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
        let changes: Vec<String> = names.filter(|name| name.starts_with("changes")).collect();
        assert!(changes.len() > 1, "{changes:?}");
        let written = |name: &String| std::fs::metadata(dir.path().join(name)).unwrap().len();
        assert!(changes.iter().map(written).sum::<u64>() < EPOCHS * 2_048, "what weighs much is not written");
        let (_, tables) = open(Some(EPOCHS - 1)).unwrap();
        assert_eq!(content(&tables[0]), content(&world.tables[0]), "{keys:?}");
        // Without the model its keys are known.
        let shown = show(dir.path(), Some(Epoch(EPOCHS - 1))).unwrap();
        assert_eq!(shown[0].keys, world.tables[0].len());
    }
}

proptest! {
    #[test]
    fn rows_are_judged_alike_however_they_are_cut_into_epochs(
        rows in prop::collection::vec((1_i64..30, prop_oneof![Just("a"), Just("b"), Just("c")], 0_i64..50), 0..60),
        cuts in prop::collection::vec(0_usize..60, 0..12),
    ) {
        let expected = world(&["device"]).epoch(&rows);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows.len())).chain([0, rows.len()]).collect();
        cuts.sort_unstable();
        let (mut world, mut found) = (world(&["device"]), Vec::new());
        for pair in cuts.windows(2) {
            found.extend(world.epoch(&rows[pair[0]..pair[1]]));
        }
        prop_assert_eq!(found, expected);
    }
}
