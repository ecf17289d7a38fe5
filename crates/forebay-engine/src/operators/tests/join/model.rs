//! Joins against a model: every row of the one side with every row of the other, and a list of those that are held.

use proptest::prelude::*;

use super::*;

type Kept = (Option<i64>, Option<&'static str>, i64);

#[derive(Clone, Debug)]
struct Held {
    row: Kept,
    met: bool,
    is_new: bool,
}

/// The plainest join.
struct Model {
    kind: JoinKind,
    near: bool,
    ends: [SideEnds; 2],
    sides: [Vec<Held>; 2],
    late: i64,
    counts: [Counts; 2],
}

impl Model {
    fn epoch(&mut self, watermark: i64, new: [&[Kept]; 2]) -> Vec<String> {
        for (side, new) in new.into_iter().enumerate() {
            for row in new {
                if row.0.is_some_and(|ts| ts <= self.late) {
                    self.counts[side].late += 1;
                } else {
                    self.sides[side].push(Held { row: *row, met: false, is_new: true });
                }
            }
        }
        self.late = watermark;
        let mut out = Vec::new();
        let [lefts, rights] = &mut self.sides;
        for left in lefts.iter_mut() {
            for right in rights.iter_mut() {
                let (l, r) = (left.row, right.row);
                let is_near = || l.0.zip(r.0).is_some_and(|(l, r)| r <= l + 10 && l <= r + 20);
                let equal = l.1.is_some() && l.1 == r.1;
                let is_over = self.kind == LeftSemi && left.met;
                if !(left.is_new || right.is_new) || !equal || (self.near && !is_near()) || is_over {
                    continue;
                }
                match self.kind {
                    LeftSemi => out.push(one(l)),
                    _ => out.push(format!("{} {}", one(l), one(r))),
                }
                (left.met, right.met) = (true, true);
            }
        }
        for (side, held) in self.sides.iter_mut().enumerate() {
            let outer = match self.kind {
                Inner | LeftSemi => false,
                Left => side == 0,
                Right => side == 1,
                Full => true,
            };
            let is_past = |row: &Kept| match self.ends[side] {
                SideEnds::Time { shift_ms, .. } => row.0.is_some_and(|ts| ts <= watermark + shift_ms),
                _ => false,
            };
            let counts = &mut self.counts[side];
            held.retain_mut(|held| {
                let goes = is_past(&held.row)
                    || (self.kind == LeftSemi && side == 0 && held.met)
                    || (!outer && held.row.1.is_none());
                if held.is_new {
                    *(if goes && !held.met { &mut counts.unmatched } else { &mut counts.taken }) += 1;
                }
                if goes && outer && !held.met {
                    let (row, none) = (one(held.row), "NULL NULL");
                    out.push(if side == 0 { format!("{row} {none}") } else { format!("{none} {row}") });
                }
                held.is_new = false;
                !goes
            });
        }
        out.sort_unstable();
        out
    }
}

fn one(row: Kept) -> String {
    let ts = row.0.map_or_else(|| "NULL".to_owned(), |ts| ts.to_string());
    format!("{ts} {}", row.2)
}

fn rows(most: usize) -> impl Strategy<Value = Vec<Kept>> {
    let device = prop_oneof![6 => Just(Some("a")), 3 => Just(Some("b")), 1 => Just(None)];
    let ts = prop_oneof![19 => (1_i64..150).prop_map(Some), 1 => Just(None)];
    prop::collection::vec((ts, device, 0_i64..99), 0..most)
}

fn kinds() -> impl Strategy<Value = JoinKind> {
    prop_oneof![Just(Inner), Just(Left), Just(Right), Just(Full), Just(LeftSemi)]
}

fn ends() -> impl Strategy<Value = [SideEnds; 2]> {
    let one = || {
        prop_oneof![
            1 => Just(SideEnds::Never),
            4 => (-30_i64..3).prop_map(|shift_ms| SideEnds::Time { column: 0, shift_ms })
        ]
    };
    [one(), one()]
}

fn meet(kind: JoinKind, is_near: bool, ends: [SideEnds; 2]) -> Meet {
    Meet::new(On { kind, keys: vec!["device"], condition: is_near.then(near), ends })
}

fn batches(rows: &[Maybe<'_>], lanes: usize) -> Vec<RecordBatch> {
    rows.chunks(rows.len().div_ceil(lanes).max(1)).map(maybe).collect()
}

/// Rows of one side in three lanes, each at its place: a rank, and the number of a lane.
fn scattered(rows: &[Kept], places: &[(u16, usize)]) -> Vec<RecordBatch> {
    let mut placed: Vec<_> = rows.iter().zip(places.iter().cycle()).collect();
    placed.sort_by_key(|(_, (rank, _))| *rank);
    let of = |lane: usize| placed.iter().filter(move |(_, (_, own))| *own == lane).map(|(row, _)| **row);
    (0..3).map(|lane| maybe(&of(lane).collect::<Vec<_>>())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_epoch_gives_what_the_model_gives(
        epochs in prop::collection::vec((rows(12), rows(12), 0_i64..40, any::<bool>(), 1_usize..4), 1..9),
        kind in kinds(), is_near in any::<bool>(), ends in ends(),
    ) {
        let mut model =
            Model { kind, near: is_near, ends, sides: Default::default(), late: 0, counts: Default::default() };
        let (mut calm, mut rough) = (meet(kind, is_near, ends), meet(kind, is_near, ends));
        let mut watermark = 0;
        for (left, right, more, restarts, lanes) in &epochs {
            watermark += more;
            let given = calm.epoch(watermark, left, right);
            if *restarts {
                rough.restart();
            }
            let other = rough.lanes(watermark, [batches(left, *lanes), batches(right, *lanes)]);
            prop_assert_eq!(&told(&other), &given, "the order depends on nothing but the rows");
            let mut given = given;
            given.sort_unstable();
            prop_assert_eq!(given, model.epoch(watermark, [left, right]));
            prop_assert_eq!(calm.counts, model.counts);
            prop_assert_eq!(calm.held(), (model.sides[0].len(), model.sides[1].len()));
            prop_assert_eq!(rough.held(), calm.held());
        }
    }

    /// Rows come by their times, so that none is late: then the epochs that they come in do not matter, nor which lane has
    /// which of an epoch's rows, and in what order.
    #[test]
    fn any_split_into_epochs_and_any_interleaving_give_the_same_rows(
        mut all in prop::collection::vec((rows(2), rows(2)), 1..25), kind in kinds(),
        cuts in prop::collection::vec(0_usize..25, 0..9), places in prop::collection::vec((any::<u16>(), 0_usize..3), 50),
    ) {
        let time = |(left, right): &(Vec<Kept>, Vec<Kept>)| left.first().or(right.first()).and_then(|row| row.0);
        for (left, right) in &mut all {
            // Both rows of a step at one time.
            let ts = left.first().map(|row| row.0);
            right.iter_mut().for_each(|row| row.0 = ts.unwrap_or(row.0));
        }
        all.sort_by_key(|step| time(step).unwrap_or(75));
        let of = |steps: &[(Vec<Kept>, Vec<Kept>)]| {
            let left: Vec<Kept> = steps.iter().flat_map(|step| step.0.clone()).collect();
            let right: Vec<Kept> = steps.iter().flat_map(|step| step.1.clone()).collect();
            (left, right)
        };
        let mut model =
            Model { kind, near: true, ends: by_near(), sides: Default::default(), late: 0, counts: Default::default() };
        let (left, right) = of(&all);
        let mut whole = model.epoch(0, [&left, &right]);
        whole.extend(model.epoch(10_000, [&[], &[]]));
        whole.sort_unstable();

        let mut bounds: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).chain([0, all.len()]).collect();
        bounds.sort_unstable();
        let (mut meet, mut given, mut watermark, mut next) = (Meet::new(On::near(kind)), Vec::new(), 0, 0);
        for bound in bounds.windows(2) {
            let steps = &all[bound[0]..bound[1]];
            let (left, right) = of(steps);
            let (lefts, rights) = places.split_at(places.len() / 2);
            given.extend(told(&meet.lanes(watermark, [scattered(&left, lefts), scattered(&right, rights)])));
            next = steps.iter().filter_map(time).fold(next, i64::max);
            meet.restart();
            given.extend(meet.epoch(watermark.max(next - 1), &[], &[]));
            watermark = watermark.max(next - 1);
        }
        given.extend(meet.epoch(10_000, &[], &[]));
        prop_assert!(meet.counts.iter().all(|counts| counts.late == 0));
        given.sort_unstable();
        prop_assert_eq!(given, whole);
    }
}
