//! The `forebay` binary: the command line and the wiring of the rooms.
//!
//! Data goes to stdout, talk to stderr. Exit status: 0 done, 1 failed, 2 wrong use. Each command is one file under
//! `commands/`; [`load`] turns a pipeline file into planned queries, [`alerts`] makes queries of its alerts, [`runnable`]
//! says what would keep them from running, [`pipeline`] runs them, [`reload`] takes a changed file while they run,
//! [`registry`] lists every connector there is, [`testing`] tries a file with records that its tests give, [`spark`]
//! makes a Spark job of a file, [`top`] watches a run from outside, over HTTP, [`backtest`] tries alerts on a table at rest.

mod alerts;
mod at_rest;
mod backtest;
mod broker;
mod channels;
mod cli;
mod commands;
mod control;
mod cycle;
mod definition;
mod devices;
mod embedded;
mod expect;
mod facts;
mod flaw;
mod fleet;
mod follow;
mod foresight;
mod gateways;
mod hosting;
mod json;
mod load;
mod log_access;
mod made;
mod occasions;
mod pipeline;
mod registry;
mod reload;
mod runnable;
mod sample;
mod serving;
mod site;
mod spark;
mod standing;
mod tables;
mod talk;
mod testing;
mod top;
mod warehouse;
mod why;
mod work;

use std::process::ExitCode;

use clap::Parser;

/// Fewest threads of the runtime, and how many there are for each core. Queries decode and fsync on them: they are more than the cores,
/// so that a query that computes or waits for its disk holds up neither the log nor the others. `TOKIO_WORKER_THREADS` says another number.
const LEAST_WORKERS: usize = 12;
const WORKERS_PER_CORE: usize = 4;

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        builder.worker_threads((cores * WORKERS_PER_CORE).max(LEAST_WORKERS));
    }
    builder.enable_all().build()
}

fn main() -> ExitCode {
    let cli = cli::Cli::parse().quiet_tests();
    talk::start(&cli.global);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            talk::say(&format!("error: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(commands::dispatch(cli));
    // Tasks that still hold a connection must not keep a finished command waiting.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    match outcome {
        Ok(code) => code,
        Err(error) => talk::failure(&error),
    }
}
