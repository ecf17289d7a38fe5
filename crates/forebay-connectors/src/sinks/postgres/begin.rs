//! How an epoch begins: its row locked, whoever still holds it ended by name, and a writer for each lane.
//!
//! What must stay true: rows go out only inside of a transaction that has locked the epoch's row and found an older number there.

use forebay_core::Result;
use forebay_core::sink::{Begun, EpochId, LaneWriter};
use forebay_storage::kill_point;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::load::{Failure, LanePart, Load, PostgresLane, WAITING};
use super::names::literal;
use super::{Current, PostgresSink, names, number};

impl PostgresSink {
    /// Gives the query's connections its name.
    pub(super) async fn named(&mut self, query_id: &str) -> Result<()> {
        let name = format!("forebay {query_id}");
        if self.name == name {
            return Ok(());
        }
        let sql = format!("SET application_name = {}", literal(&name));
        self.ready().await?.session.run("set up a session", &sql).await?;
        self.name = name;
        Ok(())
    }

    /// Begins the epoch's transaction: the newest epoch that the database holds.
    async fn lock(&mut self, id: &EpochId) -> Result<Option<i64>> {
        const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
        let what = "begin an epoch";
        let Some(epochs) = self.config.epoch_table.as_ref().map(names::TableName::sql) else {
            self.ready().await?.session.run(what, BEGIN).await?;
            return Ok(None);
        };
        let query = literal(&id.query_id);
        let look = format!("SELECT epoch FROM {epochs} WHERE query_id = {query} FOR UPDATE");
        let mut rows = self.ready().await?.session.try_rows(what, &format!("{BEGIN}; {look}")).await?;
        if rows.as_ref().is_err_and(|error| error.code().is_some_and(|state| state.code() == "55P03")) {
            tracing::warn!(query = %id.query_name, "an earlier connection of this query still holds its epoch: it is ended");
            let name = self.name.clone();
            self.ready = None;
            let ready = self.ready().await?;
            ready.session.end_ghosts(&name).await?;
            rows = ready.session.try_rows(what, &format!("{BEGIN}; {look}")).await?;
        }
        let session = &self.held()?.session;
        let mut rows = rows.map_err(|error| session.failed(what, &error))?;
        if rows.is_empty() {
            let name = literal(&id.query_name);
            let insert = format!(
                "INSERT INTO {epochs} (query_id, query_name) VALUES ({query}, {name}) ON CONFLICT DO NOTHING; {look}"
            );
            rows = session.rows(what, &insert).await?;
        }
        let newest = rows.into_iter().next().and_then(|row| row.into_iter().next());
        match newest {
            None => Err(Self::internal("told that the epoch's row was written, and it is not there")),
            Some(None) => Ok(None),
            Some(Some(epoch)) => {
                epoch.parse().map(Some).map_err(|_| Self::internal("told an epoch that is no number"))
            }
        }
    }

    /// The epoch's transaction with a writer for each lane, unless the database has the epoch.
    pub(super) async fn begin_epoch(&mut self, id: &EpochId, lanes: usize) -> Result<Begun> {
        self.named(&id.query_id).await?;
        let newest = self.lock(id).await?;
        kill_point("sink.postgres.begin.after");
        let number = number(id)?;
        if newest >= Some(number) {
            self.held()?.session.run("end a transaction", "ROLLBACK").await?;
            return Ok(Begun::AlreadyWritten);
        }
        let (config, twice, by_piece) = (self.config.clone(), self.twice, self.in_pieces > 0);
        let ready = self.held()?;
        if let Some(empty) = &ready.sql.empty {
            ready.session.run("empty the table", empty).await?;
        }
        let (to, from) = mpsc::channel(WAITING);
        let failure = Failure::default();
        let load = Load {
            session: ready.session.clone(),
            config: config.clone(),
            wires: ready.fit.wires.clone(),
            sql: ready.sql.clone(),
            copy: ready.copy.clone(),
            twice,
        };
        let lane = || {
            let (to, failure, config) = (to.clone(), failure.clone(), config.clone());
            let (wires, part) = (ready.fit.wires.clone(), LanePart::default());
            Box::new(PostgresLane { to, failure, config, wires, by_piece, part, buffer: Vec::new() })
                as Box<dyn LaneWriter>
        };
        let writers = (0..lanes).map(|_| lane()).collect();
        let told = failure.clone();
        let task = tokio::spawn(async move {
            let done = if by_piece { load.pieces(from).await } else { load.stream(from).await };
            if let Err(error) = &done {
                told.get_or_init(|| error.clone());
            }
            done
        });
        self.current = Some(Current { load: Some(AbortOnDropHandle::new(task)), failure, refused: 0 });
        Ok(Begun::Writers(writers))
    }
}
