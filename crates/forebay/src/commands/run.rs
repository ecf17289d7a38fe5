//! `forebay run`: a pipeline, until it ends or is stopped. At SIGHUP, and with `--watch` whenever the file changes, the
//! file is read again.

use std::process::ExitCode;

use crate::cli::{Global, RunArgs};
use crate::load;
use crate::occasions::{Hangups, Watched};
use crate::pipeline::{self, Overrides};
use crate::runnable::Run;

pub async fn run(global: &Global, args: &RunArgs) -> anyhow::Result<ExitCode> {
    // Before anything is read: what changes from here on is noticed.
    let (hangups, watched) = (Hangups::catch(), args.watch.then(|| Watched::new(&args.file)));
    let run = Run { data: &global.data, trigger: args.trigger, needs_tables: true, only: &args.queries };
    let Some(loaded) = load::load_or_explain(&args.file, Some(run))? else { return Ok(ExitCode::FAILURE) };
    let overrides = Overrides {
        queries: args.queries.clone(),
        trigger: args.trigger,
        embedded_log: args.embedded_log,
        no_live: args.no_live,
        server: args.server.clone(),
        log: args.log.clone(),
    };
    let running = pipeline::start(global, loaded, &overrides, Some(&args.file)).await?;
    let asks = running.asks();
    let changes = async {
        match watched {
            Some(watched) => watched.ask(&asks).await,
            None => std::future::pending().await,
        }
    };
    let stop = async {
        tokio::select! {
            () = pipeline::stop_signal() => {}
            () = hangups.ask(&asks) => {}
            () = changes => {}
        }
    };
    Ok(running.finish(stop).await?)
}
