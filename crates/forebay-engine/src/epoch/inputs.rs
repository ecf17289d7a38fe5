//! The inputs of a query as one: several sources whose partitions are told apart by the number of their input.
//!
//! ```text
//! positions of all inputs ─split by number─▶ source 0, source 1, …     each sees its own partitions, as input 0
//!                         ◀──── numbered ───
//! ```
//!
//! A source that is read twice, as in a join with itself, is two inputs. What must stay true: what one source has told is
//! not lost because another fails. A source says once that positions were moved, or that a topic was made anew; where a
//! look fails elsewhere, that is kept for the next one.

use forebay_core::limits::{Limits, waiting};
use forebay_core::source::{self, Available, Source};
use forebay_core::{PositionRange, Positions, Result, TopicIds};
use futures::StreamExt;
use futures::future::{join_all, select_all};

/// The sources of a query, in the order of its plan's inputs.
pub(crate) struct Inputs(Vec<Read>);

/// One of them.
struct Read {
    source: Box<dyn Source>,
    limits: Limits,
    /// What it told in a look that failed elsewhere.
    kept: Available,
}

impl Inputs {
    pub fn new(inputs: impl IntoIterator<Item = (Box<dyn Source>, Limits)>) -> Self {
        let read = |(source, limits)| Read { source, limits, kept: Available::default() };
        Self(inputs.into_iter().map(read).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What each says of itself.
    pub fn descriptions(&self) -> Vec<String> {
        self.0.iter().map(|it| it.source.description()).collect()
    }

    /// How much an epoch reads of each: the limits are a source's own, as in Spark.
    pub fn limits(&self) -> impl Iterator<Item = &Limits> {
        self.0.iter().map(|it| &it.limits)
    }

    /// See [`Source::resume`].
    pub fn resume(&mut self, topics: &TopicIds) {
        for (number, it) in self.each() {
            let of_input = |(name, id): (&String, &String)| {
                let (input, name) = numbered(name);
                (input == number).then(|| (name.to_owned(), id.clone()))
            };
            it.source.resume(&topics.iter().filter_map(of_input).collect());
        }
    }

    /// See [`Source::topics`].
    pub fn topics(&self) -> TopicIds {
        let of_input = |(number, it): (usize, &Read)| {
            let topics = it.source.topics().into_iter();
            topics.map(
                move |(name, id)| if number == 0 { (name, id) } else { (format!("{number}/{name}"), id) },
            )
        };
        self.0.iter().enumerate().flat_map(of_input).collect()
    }

    /// See [`Source::start`].
    pub async fn start(&mut self, ends: bool) -> Result<Positions> {
        let started = join_all(self.each().map(async |(number, it)| {
            it.kept = Available::default();
            Ok(with(it.source.start(ends).await?, number))
        }));
        let started = started.await.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(started.into_iter().flatten().collect())
    }

    /// See [`Source::available`].
    pub async fn available(&mut self, from: &Positions) -> Result<Available> {
        // None is dropped half way because another fails.
        let looks = join_all(self.each().map(async |(number, it)| {
            let mut own = of(from, number);
            own.extend(it.kept.new.clone().into_iter().chain(it.kept.moved.clone()));
            let found = it.source.available(&own).await?;
            it.kept.ends = found.ends;
            it.kept.new.extend(found.new);
            it.kept.moved.extend(found.moved);
            Ok(())
        }));
        looks.await.into_iter().collect::<Result<()>>()?;
        let mut all = Available::default();
        for (number, it) in self.each() {
            let Available { ends, new, moved } = std::mem::take(&mut it.kept);
            all.ends.extend(with(ends, number));
            all.new.extend(with(new, number));
            all.moved.extend(with(moved, number));
        }
        Ok(all)
    }

    /// See [`Source::heard`]: of those that heard of something.
    pub fn heard(&self, positions: &Positions) -> Option<Positions> {
        let heard = self.0.iter().enumerate();
        let heard =
            heard.filter_map(|(number, it)| Some(with(it.source.heard(&of(positions, number))?, number)));
        heard.reduce(|mut all, more| {
            all.extend(more);
            all
        })
    }

    /// See [`Source::wait`]: for whichever is first.
    pub async fn wait(&mut self, from: &Positions) -> Result<()> {
        let own: Vec<Positions> = (0..self.len()).map(|number| of(from, number)).collect();
        let waits = self.0.iter_mut().zip(&own).map(|(it, from)| it.source.wait(from));
        select_all(waits).await.0
    }

    /// See [`Source::read`]: each lane with the number of its input. Inputs without records have none; the others share.
    pub async fn read(
        &mut self,
        ranges: &[PositionRange],
        lanes: usize,
    ) -> Result<Vec<(usize, source::Lane)>> {
        let each: Vec<Vec<PositionRange>> = (0..self.len()).map(|number| ranges_of(ranges, number)).collect();
        let shares = shares(lanes, &each);
        let mut all = Vec::new();
        for ((number, it), (ranges, lanes)) in self.each().zip(each.iter().zip(shares)) {
            if lanes == 0 {
                continue;
            }
            for lane in it.source.read(ranges, lanes).await? {
                all.push((number, if number == 0 { lane } else { numbering(lane, number) }));
            }
        }
        Ok(all)
    }

    /// See [`Source::confirm`].
    pub async fn confirm(&mut self, ranges: &[PositionRange]) -> Result<()> {
        for (number, it) in self.each() {
            it.source.confirm(&ranges_of(ranges, number)).await?;
        }
        Ok(())
    }

    /// See [`Source::committed`]: all are told; the first error.
    pub async fn committed(&mut self, through: &Positions) -> Result<()> {
        let told = self.each().map(async |(number, it)| it.source.committed(&of(through, number)).await);
        join_all(told).await.into_iter().collect()
    }

    /// See [`Source::close`].
    pub async fn close(&mut self) {
        join_all(self.0.iter_mut().map(|it| it.source.close())).await;
    }

    fn each(&mut self) -> impl Iterator<Item = (usize, &mut Read)> {
        self.0.iter_mut().enumerate()
    }
}

/// The positions of one input, as its source knows them.
pub(crate) fn of(positions: &Positions, input: usize) -> Positions {
    let own = positions.iter().filter(|(partition, _)| usize::from(partition.input) == input);
    own.map(|(partition, at)| (partition.of_input(0), *at)).collect()
}

/// What a source says of its positions, as those of an input.
fn with(positions: Positions, input: usize) -> Positions {
    if input == 0 {
        return positions;
    }
    positions.into_iter().map(|(partition, at)| (partition.of_input(number(input)), at)).collect()
}

fn ranges_of(ranges: &[PositionRange], input: usize) -> Vec<PositionRange> {
    let own = ranges.iter().filter(|range| usize::from(range.partition.input) == input);
    own.map(|range| PositionRange { partition: range.partition.of_input(0), ..range.clone() }).collect()
}

/// A query has far fewer inputs than this can tell.
fn number(input: usize) -> u16 {
    u16::try_from(input).unwrap_or(u16::MAX)
}

/// The number of the input and the name of a topic, as [`TopicIds`] holds it.
fn numbered(name: &str) -> (usize, &str) {
    let of_input = |(number, name)| Some((str::parse(number).ok().filter(|number| *number > 0)?, name));
    name.split_once('/').and_then(of_input).unwrap_or((0, name))
}

/// The same records, told as those of an input.
fn numbering(lane: source::Lane, input: usize) -> source::Lane {
    lane.map(move |envelope| {
        let mut envelope = envelope?;
        envelope.partition.input = number(input);
        Ok(envelope)
    })
    .boxed()
}

/// How many lanes each input gets: one where there is anything to read, and of those that are left each goes to where
/// most waits for a lane. More than an input has partitions are of no use.
pub(super) fn shares(lanes: usize, each: &[Vec<PositionRange>]) -> Vec<usize> {
    let mut shares: Vec<usize> = each.iter().map(|ranges| usize::from(!ranges.is_empty())).collect();
    let size: Vec<u64> = each.iter().map(|ranges| waiting(ranges)).collect();
    for _ in shares.iter().sum()..lanes {
        let takes = |at: &usize| shares[*at] > 0 && shares[*at] < each[*at].len();
        let Some(at) = (0..each.len()).filter(takes).max_by_key(|at| size[*at] / shares[*at] as u64) else {
            break;
        };
        shares[at] += 1;
    }
    shares
}
