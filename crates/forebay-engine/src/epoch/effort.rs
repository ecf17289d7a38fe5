//! What queries take of the machine, and how long one rests between two epochs so that all get on.
//!
//! An epoch costs something before its first record: commits, and what wakes whom. A query by itself begins one as soon as there is
//! anything to read, which is quickest. Where many do so they take all cores for ever smaller epochs, each waits for all others, and so
//! do the log and whoever is to be told. So where there are more queries than cores, a query that has read all there is rests until its
//! epoch was no more than its part of the cores ([`SHARE`]): who takes little goes on soon, who takes much finds more in its next epoch.
//!
//! What must stay true: one that is behind never rests, and none rests longer than [`LONGEST`].

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// One core of so many is what the queries take together: the log, who is told of alerts and what comes suddenly have the rest.
const SHARE: u32 = 3;
/// Longest time from the beginning of one epoch to that of the next, as far as this decides it.
const LONGEST: Duration = Duration::from_millis(100);
/// Of so many epochs the one that took least tells what one takes: in the others somebody was in the way.
const EPOCHS: usize = 8;
/// A query that had no epoch for so long takes nothing.
const AWAKE: Duration = Duration::from_secs(1);

/// How long a query was at work, its waits for a disk among it, and for a core that others had. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effort(Arc<Spent>);

#[derive(Debug, Default)]
struct Spent {
    /// Of what is over.
    nanos: AtomicU64,
    /// Since when the query's own task is at work, if it is.
    since: Mutex<Option<Instant>>,
}

impl Effort {
    /// What it took since it was last asked.
    pub fn take(&self) -> Duration {
        if let Some(since) = &mut *self.0.since.lock() {
            self.add(since.elapsed());
            *since = Instant::now();
        }
        Duration::from_nanos(self.0.nanos.swap(0, Ordering::Relaxed))
    }

    /// The query's own task: what it waits for does not count.
    pub fn of<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        let (mut work, effort) = (Box::pin(work), self.clone());
        poll_fn(move |context| {
            *effort.0.since.lock() = Some(Instant::now());
            let polled = work.as_mut().poll(context);
            if let Some(since) = effort.0.since.lock().take() {
                effort.add(since.elapsed());
            }
            polled
        })
    }

    /// A task beside it.
    pub fn beside<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        let (mut work, effort) = (Box::pin(work), self.clone());
        poll_fn(move |context| effort.during(|| work.as_mut().poll(context)))
    }

    /// What `work` gives, on a thread beside it.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.add(began.elapsed());
        done
    }

    fn add(&self, took: Duration) {
        self.0.nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// The queries of this process: cores are the process's.
static CROWD: Mutex<Crowd> = Mutex::new(Crowd { next: 0, queries: BTreeMap::new() });

struct Crowd {
    next: u64,
    /// When each last ended an epoch, and what one of it takes.
    queries: BTreeMap<u64, (Instant, Duration)>,
}

/// The place of a query among those of the process.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    cores: usize,
    /// What its last epochs took, the oldest first.
    took: VecDeque<Duration>,
}

impl Place {
    pub fn new() -> Self {
        let mut crowd = CROWD.lock();
        crowd.next += 1;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { number: crowd.next, cores, took: VecDeque::with_capacity(EPOCHS) }
    }

    /// An epoch ended that took so much. How long after its beginning the next may begin.
    pub fn turn(&mut self, effort: Duration) -> Duration {
        if self.took.len() == EPOCHS {
            self.took.pop_front();
        }
        self.took.push_back(effort);
        let least = self.took.iter().min().copied().unwrap_or_default();
        let now = Instant::now();
        let mut crowd = CROWD.lock();
        crowd.queries.insert(self.number, (now, least));
        let awake =
            crowd.queries.values().filter(|(ended, _)| is_awake(now, *ended)).map(|(_, least)| *least);
        turn(least, &awake.collect::<Vec<_>>(), self.cores)
    }
}

fn is_awake(now: Instant, ended: Instant) -> bool {
    now.saturating_duration_since(ended) <= AWAKE
}

impl Drop for Place {
    fn drop(&mut self) {
        CROWD.lock().queries.remove(&self.number);
    }
}

/// From the beginning of an epoch that took `effort` to that of the next, where those who are awake take so much. Who takes less than they
/// do in the mean has a larger part: of works that are waited for, doing the short ones first makes all wait least.
fn turn(effort: Duration, awake: &[Duration], cores: usize) -> Duration {
    if awake.len() <= cores {
        return Duration::ZERO;
    }
    let mean = awake.iter().sum::<Duration>().as_secs_f64() / awake.len() as f64;
    let effort = effort.as_secs_f64();
    let parts = f64::from(SHARE) * awake.len() as f64 / cores.max(1) as f64;
    let turn = effort * parts * (effort / mean.max(f64::MIN_POSITIVE)).min(1.0);
    Duration::try_from_secs_f64(turn).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_little_goes_on_and_who_takes_much_rests() {
        let ms = Duration::from_millis;
        assert_eq!(turn(ms(50), &[ms(50); 2], 2), Duration::ZERO, "there is a core for each");
        assert_eq!(turn(ms(1), &[ms(1); 12], 2), ms(18));
        assert_eq!(turn(ms(2), &[ms(1); 12], 2), ms(36));
        assert_eq!(turn(ms(1), &[ms(2); 12], 2), ms(9));
        assert_eq!(turn(ms(500), &[ms(1); 12], 2), LONGEST);
        assert_eq!(turn(Duration::MAX, &[Duration::ZERO; 3], 0), LONGEST);
        assert_eq!(turn(Duration::ZERO, &[Duration::ZERO; 3], 2), Duration::ZERO);
    }

    #[test]
    fn what_tasks_and_threads_take_is_counted_and_not_what_they_wait_for() {
        let effort = Effort::default();
        let work = || std::thread::sleep(Duration::from_millis(5));
        effort.during(work);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let beside = effort.beside(async { work() });
        let took = runtime.block_on(effort.of(async {
            beside.await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            work();
            // In the middle of its own turn.
            effort.take()
        }));
        assert!(took >= Duration::from_millis(15) && took < Duration::from_millis(400), "{took:?}");
        assert!(effort.take() < Duration::from_millis(5));
    }

    #[test]
    fn queries_that_are_gone_or_asleep_take_nothing() {
        let mut place = Place::new();
        // Tests beside this one have queries too.
        place.turn(Duration::from_millis(1));
        let number = place.number;
        assert!(CROWD.lock().queries.contains_key(&number));
        drop(place);
        assert!(!CROWD.lock().queries.contains_key(&number));
        let ended = Instant::now();
        assert!(is_awake(ended + AWAKE, ended) && !is_awake(ended + AWAKE * 2, ended));
    }

    #[test]
    fn the_least_of_some_epochs_counts() {
        let mut place = Place::new();
        place.cores = 0;
        let slow: Vec<Duration> = (0..EPOCHS).map(|_| place.turn(Duration::from_secs(9))).collect();
        assert!(slow.iter().all(|turn| *turn == LONGEST));
        assert!(place.turn(Duration::ZERO) < LONGEST);
        for _ in 0..EPOCHS - 1 {
            assert_eq!(place.turn(Duration::from_secs(9)), Duration::ZERO, "somebody was in the way");
        }
        assert_eq!(place.turn(Duration::from_secs(9)), LONGEST);
    }
}
