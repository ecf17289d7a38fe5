//! `forebay top`: the page's essentials in a terminal, live, or once as plain text.
//!
//! Live where stdin and stdout are a terminal that can be drawn on; else, or with `--once`, a snapshot. What must stay
//! true: one task owns the screen, so that nothing else writes between it and its end.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use forebay_core::Result;
use forebay_core::clock::{Clock, SystemClock};
use forebay_core::error::{Code, codes};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::cli::{Global, TopArgs};
use crate::talk;
use crate::top::model::{Model, Wish};
use crate::top::screen::{self, Screen};
use crate::top::server::{Server, TOKEN};
use crate::top::stream::{self, Message};
use crate::top::text::here;
use crate::top::words::Quarantine;
use crate::top::{verdict, view};

/// The time between two drawings: as often as numbers can be read.
const FRAME: Duration = Duration::from_millis(200);

/// Longest wait for a snapshot.
const PATIENCE: Duration = Duration::from_secs(15);

/// Messages that wait to be drawn: few, because each may be as large as a server likes to make it, within bounds.
const QUEUE: usize = 16;

/// Columns of a snapshot that is not for a terminal.
const PLAIN: usize = 100;

/// What asking again may mend; every other refusal before the first word is the end.
const PASSING: [&Code; 2] = [&codes::NO_SERVER, &codes::BUSY];

pub async fn run(global: &Global, args: &TopArgs) -> anyhow::Result<ExitCode> {
    let token = std::env::var(TOKEN).ok();
    let server = Server::new(args.server.as_deref(), global.http, token.as_deref())?;
    let can_draw = std::env::var("TERM").is_ok_and(|name| !matches!(name.as_str(), "" | "dumb"));
    let is_watched = can_draw && io::stdin().is_terminal() && io::stdout().is_terminal();
    if args.once || !is_watched { once(server).await } else { live(server).await }
}

/// What is there now, printed.
async fn once(server: Server) -> anyhow::Result<ExitCode> {
    let mut model = Model::new(server.shown(), SystemClock.now_ms());
    let known = tokio::time::timeout(PATIENCE, gather(&server, &mut model)).await;
    known.map_err(|_| server.silent())??;
    let width = if io::stdout().is_terminal() { screen::size().0 } else { PLAIN };
    let lines = view::snapshot(&model, width, here);
    talk::print(&lines.iter().map(|line| format!("{}\n", line.text().trim_end())).collect::<String>())?;
    Ok(if verdict::verdict(&model, here).is_failure { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Listens until everything was told: the second tick of a stream has the rates of the second before it.
async fn gather(server: &Server, model: &mut Model) -> Result<()> {
    let (_views, wanted) = watch::channel(model.view());
    let (sender, mut messages) = mpsc::channel(QUEUE);
    tokio::spawn(stream::follow(server.clone(), wanted, sender));
    let (mut ticks, mut is_heard) = (0, false);
    while let Some(message) = messages.recv().await {
        match &message {
            // A stream that ended, as when the server reads its file again, is opened again.
            Message::Lost(why) if is_heard && PASSING.contains(&why.code()) => is_heard = false,
            Message::Lost(why) => return Err(why.clone()),
            Message::Hello(_) => (ticks, is_heard) = (0, true),
            Message::Tick(_) => ticks += 1,
            _ => {}
        }
        model.apply(message, SystemClock.now_ms());
        if ticks == 2 {
            break;
        }
    }
    // The tick's is counted beside it, and may not be there yet.
    let mut counted = server.at("quarantine");
    counted.query_pairs_mut().append_pair("limit", "1");
    let quarantine: Quarantine = server.get(counted).await?;
    if let Some(tick) = &mut model.tick {
        tick.quarantine = quarantine;
    }
    Ok(())
}

/// Until a key or a signal ends it.
async fn live(server: Server) -> anyhow::Result<ExitCode> {
    let mut model = Model::new(server.shown(), SystemClock.now_ms());
    // Before the terminal is taken, so that whatever comes from now on gives it back.
    let mut ends =
        [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?];
    let mut resized = signal(SignalKind::window_change())?;
    let mut screen = Screen::take(talk::wants_colors())?;
    let mut size = screen::size();
    let mut shown = draw(&mut model, &mut screen, size);
    let (views, wanted) = watch::channel(model.view());
    let (sender, mut messages) = mpsc::channel(QUEUE);
    tokio::spawn(stream::follow(server, wanted, sender));
    let mut keys = screen::read_keys(io::stdin());
    let mut frames = tokio::time::interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_changed = false;
    loop {
        // A terminal that is gone takes nothing any more, and nobody looks.
        if shown.is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        let is_urgent = tokio::select! {
            () = any(&mut ends) => return Ok(ExitCode::SUCCESS),
            key = keys.recv() => match key.map(|key| model.press(key)) {
                Some(Wish::Nothing) => true,
                Some(Wish::End) | None => return Ok(ExitCode::SUCCESS),
            },
            _ = resized.recv() => {
                size = screen::size();
                shown = screen.forget();
                true
            }
            Some(message) = messages.recv() => {
                if let Message::Lost(why) = &message
                    && model.tick.is_none()
                    && !PASSING.contains(&why.code())
                {
                    return Err(why.clone().into());
                }
                model.apply(message, SystemClock.now_ms());
                is_changed = true;
                false
            }
            _ = frames.tick() => is_changed,
        };
        if is_urgent && shown.is_ok() {
            is_changed = false;
            shown = draw(&mut model, &mut screen, size);
            let view = model.view();
            views.send_if_modified(|wanted| (*wanted != view).then(|| *wanted = view).is_some());
        }
    }
}

fn draw(model: &mut Model, screen: &mut Screen<io::Stdout>, size: (usize, usize)) -> io::Result<()> {
    // Where rows end follows from the room that there is, and is known only after a drawing.
    let mut frame = view::draw(model, size, here);
    if model.give_room(frame.room) {
        frame = view::draw(model, size, here);
    }
    screen.draw(frame.lines)
}

/// Completes with the first of these signals.
async fn any(signals: &mut [Signal; 3]) {
    let signals = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
    futures::future::select_all(signals).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::fake::{Fake, Told};

    const TICK: &str = "event: hello\ndata: {}\n\nevent: tick\ndata: {\"now\": 1}\n\n";
    const TWO_TICKS: &str =
        "event: hello\ndata: {}\n\nevent: tick\ndata: {\"now\": 2}\n\nevent: tick\ndata: {\"now\": 3}\n\n";
    const TORN: &str = "event: hello\ndata: {}\n\nevent: tick\ndata: [\n\n";
    const NONE: &str = r#"{"alerts": []}"#;

    #[tokio::test]
    async fn a_snapshot_survives_a_reload() {
        const STREAMS: &[(&str, Duration)] = &[(TICK, Duration::ZERO), (TWO_TICKS, Duration::from_secs(20))];
        let fake = Fake::start(Told { streams: STREAMS, open: NONE, cleared: NONE }).await;
        let mut model = Model::new(fake.server.shown(), 0);
        gather(&fake.server, &mut model).await.unwrap();
        assert_eq!(model.tick.map(|tick| tick.now), Some(3), "two of the same stream");
        assert_eq!(fake.asked("/live").len(), 2);
    }

    #[tokio::test]
    async fn a_snapshot_of_what_cannot_be_read_is_an_error() {
        const STREAMS: &[(&str, Duration)] = &[(TORN, Duration::ZERO)];
        let fake = Fake::start(Told { streams: STREAMS, open: NONE, cleared: NONE }).await;
        let refused = gather(&fake.server, &mut Model::new("http://x", 0)).await.unwrap_err();
        assert_eq!(refused.code(), &codes::HTTP, "{refused}");
        assert_eq!(fake.asked("/live").len(), 1, "asking again mends nothing");
    }
}
