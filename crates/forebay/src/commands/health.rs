//! `forebay health`: one question to a server, for those who only look at an exit status.
//!
//! Images without a shell have nothing else to ask with. What must stay true: a server that answers is alive, whatever it
//! says; only its own word that all is well is success without `--alive`.

use std::process::ExitCode;

use crate::cli::{Global, HealthArgs};
use crate::talk;
use crate::top::server::Server;

pub async fn run(global: &Global, args: &HealthArgs) -> anyhow::Result<ExitCode> {
    let server = Server::new(args.server.as_deref(), global.http, None)?;
    let is_well = server.is_well().await?;
    talk::print(if is_well { "ok\n" } else { "failing\n" })?;
    Ok(if is_well || args.alive { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
