//! The inputs of a query as one: several sources whose partitions are told apart by the number of their input.
//!
//! ```text
//! positions of all inputs ─split by number─▶ source 0, source 1, …     each sees its own partitions, as input 0
//!                         ◀──── numbered ───
//! ```
//!
//! A source that is read twice, as in a join or a union with itself, is two inputs, which go together: each gets of a look what all
//! of them saw, so a record comes to both in the same epoch. What must stay true: what one source has told is
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
    /// The first input that reads the same source.
    first: usize,
}

impl Inputs {
    /// Inputs of these names; those of the same one go together.
    pub fn new(inputs: impl IntoIterator<Item = (String, Box<dyn Source>, Limits)>) -> Self {
        let mut names: Vec<String> = Vec::new();
        let read = |(name, source, limits)| {
            let first = names.iter().position(|other| *other == name).unwrap_or(names.len());
            names.push(name);
            Read { source, limits, kept: Available::default(), first }
        };
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
        let started = join_all(self.each().map(async |(_, it)| {
            it.kept = Available::default();
            it.source.start(ends).await
        }));
        let mut started = started.await.into_iter().collect::<Result<Vec<_>>>()?;
        self.together(&mut started);
        Ok(started.into_iter().enumerate().flat_map(|(number, it)| with(it, number)).collect())
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
        let mut ends: Vec<Positions> =
            self.0.iter_mut().map(|it| std::mem::take(&mut it.kept.ends)).collect();
        self.together(&mut ends);
        let news = self.news(from);
        let mut all = Available::default();
        for ((number, it), (ends, new)) in self.each().zip(ends.into_iter().zip(news)) {
            it.kept.new.retain(|partition, _| !new.contains_key(partition));
            all.ends.extend(with(ends, number));
            all.new.extend(with(new, number));
            all.moved.extend(with(std::mem::take(&mut it.kept.moved), number));
        }
        Ok(all)
    }

    /// Of what inputs of the same source say of partitions, what all of them say, and the lesser position of each.
    fn together(&self, each: &mut [Positions]) {
        for first in 0..self.len() {
            let all: Vec<usize> = self.of_source(first).collect();
            let Some((last, others)) = all.split_last().filter(|(_, others)| !others.is_empty()) else {
                continue;
            };
            let mut common = each[*last].clone();
            common.retain(|partition, at| {
                others.iter().all(|other| {
                    let there = each[*other].get(partition);
                    *at = there.map_or(*at, |there| (*there).min(*at));
                    there.is_some()
                })
            });
            all.into_iter().for_each(|number| each[number].clone_from(&common));
        }
    }

    /// The new partitions of each input: those that all inputs of its source have seen by now.
    fn news(&self, from: &Positions) -> Vec<Positions> {
        let of_input = |(number, it): (usize, &Read)| {
            let mut new = it.kept.new.clone();
            new.retain(|partition, at| {
                self.of_source(it.first).filter(|other| *other != number).all(|other| {
                    let there = self.0[other].kept.new.get(partition);
                    *at = there.map_or(*at, |there| (*there).min(*at));
                    there.is_some() || from.contains_key(&partition.of_input(self::number(other)))
                })
            });
            new
        };
        self.0.iter().enumerate().map(of_input).collect()
    }

    /// The inputs that read the source of this one, of which it is the first.
    fn of_source(&self, first: usize) -> impl Iterator<Item = usize> {
        let inputs = self.0.iter().enumerate();
        inputs.filter(move |(_, it)| it.first == first).map(|(number, _)| number)
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

    /// See [`Source::passed`].
    pub fn passed(&mut self, ranges: &[PositionRange]) {
        for (number, it) in self.each() {
            it.source.passed(&ranges_of(ranges, number));
        }
    }

    /// See [`Source::confirm`].
    pub async fn confirm(&mut self, ranges: &[PositionRange]) -> Result<()> {
        for (number, it) in self.each() {
            it.source.confirm(&ranges_of(ranges, number)).await?;
        }
        Ok(())
    }

    /// See [`Source::committed`]: all are told; the first error. Inputs of one source are told the same, that up to which
    /// all of them have read: what they show of it outside, such as a consumer group's offsets, is one thing.
    pub async fn committed(&mut self, through: &Positions) -> Result<()> {
        let firsts: Vec<usize> = self.0.iter().map(|it| it.first).collect();
        let told = self.each().map(async |(number, it)| {
            let mut own = of(through, number);
            for (other, _) in firsts.iter().enumerate().filter(|(_, first)| **first == it.first) {
                for (partition, at) in of(through, other) {
                    let known = own.entry(partition).or_insert(at);
                    *known = at.min(*known);
                }
            }
            it.source.committed(&own).await
        });
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
