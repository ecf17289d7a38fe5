//! The serial gateway: lines of a port, such as an Arduino's on USB, become messages.
//!
//! ```text
//!  port ─▶ bytes ─▶ lines ─▶ form (JSON of a line) ─▶ routes ─▶ queue ─▶ log
//!    ▲ opened again, with growing pauses, when it is gone       bounded     tried until it has them
//! ```
//!
//! What must stay true: a line counts only if its beginning and its end were seen: the first after each opening is left out, since
//! nobody can tell whether it is whole, and so is one without an end. A line that is too long is left out whole. What cannot be
//! made into JSON goes on as it came. A serial line cannot be asked again, so lines wait for a log that is away, in memory, to a bound;
//! whatever is left out is counted.

mod form;
mod lines;
#[cfg(unix)]
mod port;
mod queue;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use forebay_core::Error;
use forebay_core::clock::Clock;
use forebay_core::error::codes;
use forebay_storage::kill_point;
use tokio_util::sync::CancellationToken;

pub use self::form::Form;
use self::lines::{Found, Lines};
use self::queue::Queue;
use crate::doors::{Standing, State};
use crate::{Counts, Log, Message, Refusal, Routed, Routes};

/// Pauses between attempts to open the port: from the first, twice as long each time, up to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// Pause before the log is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// What the file says of a serial gateway.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The gateway's name.
    pub name: String,
    /// The device file.
    pub port: PathBuf,
    /// Bits a second.
    pub baud: u32,
    /// What a line is.
    pub form: Form,
    /// Longest line in bytes.
    pub max_line: usize,
    /// Most bytes of lines that wait for the log.
    pub buffer: usize,
}

/// A serial gateway.
#[derive(Debug)]
pub struct Serial {
    settings: Settings,
    queue: Queue,
    standing: Standing,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    opened: AtomicU64,
    lines: AtomicU64,
    taken: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    torn: AtomicU64,
    too_long: AtomicU64,
    no_room: AtomicU64,
}

impl Serial {
    /// A gateway that opens nothing yet.
    pub fn new(settings: Settings) -> Self {
        let queue = Queue::new(settings.buffer);
        Self { settings, queue, standing: Standing::default(), counters: Counters::default() }
    }

    /// Reads until `stop`; then what was read goes to the log, and it ends.
    pub async fn run(
        self: Arc<Self>,
        routes: Arc<dyn Routes>,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) {
        let read = async {
            self.read(&*routes, &*clock, &stop).await;
            self.queue.close();
        };
        tokio::join!(read, self.send(&*log, &stop));
    }

    /// Opens the port, reads it to its end, and opens it again.
    async fn read(&self, routes: &dyn Routes, clock: &dyn Clock, stop: &CancellationToken) {
        let mut pause = PAUSES.0;
        let mut is_told = false;
        while !stop.is_cancelled() {
            let ended = tokio::select! {
                ended = self.read_once(routes, clock, &mut pause, &mut is_told) => ended,
                () = stop.cancelled() => return,
            };
            let port = self.settings.port.display();
            let problem = Error::new(&codes::DEVICE_LINE, format!("no port at {port}")).with_detail(&ended);
            self.standing.down(clock.now_ms(), Some(problem));
            // Told once for each time that it is gone.
            if !std::mem::replace(&mut is_told, true) {
                let (port, name) = (self.settings.port.display(), &self.settings.name);
                tracing::warn!(gateway = %name, %port, error = %ended, "the serial port is not there; it is opened when it is back");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSES.1),
            }
        }
    }

    #[cfg(unix)]
    async fn read_once(
        &self,
        routes: &dyn Routes,
        clock: &dyn Clock,
        pause: &mut Duration,
        is_told: &mut bool,
    ) -> std::io::Error {
        let port = match port::Port::open(&self.settings.port, self.settings.baud) {
            Ok(port) => port,
            Err(error) => return error,
        };
        (*pause, *is_told) = (PAUSES.0, false);
        self.standing.up(clock.now_ms(), None);
        self.counters.opened.fetch_add(1, Ordering::Relaxed);
        tracing::info!(gateway = %self.settings.name, port = %self.settings.port.display(), "the serial port is open");
        let mut lines = Lines::new(self.settings.max_line);
        let mut buffer = vec![0; 4 << 10];
        loop {
            match port.read(&mut buffer).await {
                Ok(0) => return std::io::ErrorKind::UnexpectedEof.into(),
                Ok(count) => lines.push(&buffer[..count], |found| self.take(found, routes, clock)),
                Err(error) => return error,
            }
        }
    }

    #[cfg(not(unix))]
    async fn read_once(
        &self,
        _: &dyn Routes,
        _: &dyn Clock,
        _: &mut Duration,
        _: &mut bool,
    ) -> std::io::Error {
        std::io::ErrorKind::Unsupported.into()
    }

    /// A line, or that one is left out.
    fn take(&self, found: Found<'_>, routes: &dyn Routes, clock: &dyn Clock) {
        let count = |count: &AtomicU64| {
            count.fetch_add(1, Ordering::Relaxed);
        };
        let line = match found {
            Found::Line(line) => line,
            Found::Torn => return count(&self.counters.torn),
            Found::TooLong => return count(&self.counters.too_long),
        };
        if line.trim_ascii().is_empty() {
            return;
        }
        count(&self.counters.lines);
        let (word, payload) = self.settings.form.read(line);
        let name = &self.settings.name;
        let topic = word.map_or_else(|| name.clone(), |word| format!("{name}/{word}"));
        let from = self.settings.port.to_string_lossy();
        let at = clock.now_ms();
        let message = Message { topic: &topic, payload, from: &from, properties: &[], at, repeat: false };
        match routes.route(&message) {
            Routed::Records(records) if records.is_empty() => count(&self.counters.dropped),
            Routed::Records(records) => {
                for record in records {
                    if !self.queue.push(record) {
                        count(&self.counters.no_room);
                    }
                }
                kill_point("gateway.serial.read");
            }
            Routed::Nowhere => {
                tracing::debug!(gateway = %name, %topic, "no route takes the topic of a line");
                count(&self.counters.refused);
            }
            Routed::Wrong(error) => {
                tracing::debug!(gateway = %name, %topic, %error, "a line was refused");
                count(&self.counters.refused);
            }
        }
    }

    /// Brings what waits to the log, in its order, and again what is not known to be there.
    async fn send(&self, log: &dyn Log, stop: &CancellationToken) {
        while let Some(mut waiting) = self.queue.next().await {
            while !waiting.is_empty() {
                let mut again = Vec::new();
                let deliveries = log.submit(waiting.clone()).await;
                for (record, delivery) in waiting.drain(..).zip(deliveries) {
                    let count = match delivery.wait().await {
                        Ok(_) => &self.counters.taken,
                        Err(Refusal::Never(error)) => {
                            tracing::warn!(gateway = %self.settings.name, %error, "the log does not take a line");
                            &self.counters.refused
                        }
                        Err(Refusal::Unknown(_)) => {
                            again.push(record);
                            continue;
                        }
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                }
                waiting = again;
                if !waiting.is_empty() && stop.is_cancelled() {
                    let lost = waiting.len();
                    tracing::error!(gateway = %self.settings.name, lost, "lines are not known to be in the log at the end of the run");
                    return;
                }
                if !waiting.is_empty() {
                    tokio::time::sleep(AGAIN).await;
                }
            }
            self.queue.done();
        }
    }
}

impl Counts for Serial {
    fn counts(&self) -> Vec<(&'static str, u64)> {
        let Counters { opened, lines, taken, dropped, refused, torn, too_long, no_room } = &self.counters;
        let all = [
            ("opened", opened),
            ("lines", lines),
            ("taken", taken),
            ("dropped", dropped),
            ("refused", refused),
            ("torn", torn),
            ("too_long", too_long),
            ("no_room", no_room),
        ];
        all.into_iter().map(|(what, count)| (what, count.load(Ordering::Relaxed))).collect()
    }

    fn state(&self) -> Option<State> {
        Some(self.standing.state())
    }
}

/// The bytes that a record takes in memory, about.
fn size_of(record: &crate::Record) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    128 + record.value.len() + record.key.as_ref().map_or(0, Bytes::len) + headers
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
