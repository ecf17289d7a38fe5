//! One query that cycles, with one archive.

use std::io::{Seek as _, Write as _};

use forebay_core::error::codes;
use forebay_core::{Error, Result};

use super::iot::Iot;
use crate::shown::cycles::{Archive, Cycle, Cycles, Opened, Stage, no_cycles};

/// What is in it.
pub(crate) const CONTENT: &str = "n\n1\n2\n";

impl Cycles for Iot {
    fn list(&self, archives: usize) -> Result<Vec<Cycle>> {
        let archive =
            Archive { cycle: 0, name: "old/a.csv".into(), rows: 2, bytes: CONTENT.len() as u64, at_ms: 5 };
        Ok(vec![Cycle {
            query: "lake".into(),
            every_ms: 120_000,
            repeat: None,
            template: "old/{name}_{yyyyMMdd_HHmmss}.csv".into(),
            stage: Stage::Collecting,
            number: Some(1),
            since_ms: Some(6),
            count: 1,
            rows: 2,
            bytes: CONTENT.len() as u64,
            archives: [archive].into_iter().take(archives).collect(),
        }])
    }

    fn open(&self, query: &str, archive: &str) -> Result<Opened> {
        match (query, archive) {
            ("lake", "old/a.csv" | "a.csv") => {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(CONTENT.as_bytes()).unwrap();
                file.rewind().unwrap();
                Ok(Opened { file, name: "a.csv".into(), bytes: CONTENT.len() as u64 })
            }
            ("lake", _) => {
                Err(Error::new(&codes::NO_RESOURCE, "no archive has this name").with_hint("/cycles"))
            }
            _ => Err(no_cycles(query)),
        }
    }
}
