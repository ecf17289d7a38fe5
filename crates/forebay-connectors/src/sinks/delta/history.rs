//! What a Delta table's log says of its commits: DESCRIBE HISTORY.
//!
//! Read from the version files themselves, newest first, one line of each: the one with `commitInfo`, which every writer may
//! leave out or fill with words of its own. What must stay true: nothing but the log's names and so many of its files is read,
//! and a version whose file is gone (the log is tidied behind checkpoints) ends the list there, as it does in Spark.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use forebay_core::Result;
use forebay_core::clock::SystemClock;
use forebay_storage::Door;
use serde::Deserialize;
use serde_json::Value;

use super::fault;
use super::store::Location;
use super::table::Table;

/// A version, as its writer tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The version.
    pub version: u64,
    /// Milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// `STREAMING UPDATE`, `OPTIMIZE`, …
    pub operation: Option<String>,
    /// Its parameters by name; what is no text is JSON.
    pub parameters: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    commit_info: Option<Info>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Info {
    timestamp: Option<Value>,
    in_commit_timestamp: Option<Value>,
    operation: Option<Value>,
    operation_parameters: Option<Value>,
}

/// The newest commits of the table that an option `path` names, at most so many, with options for buckets beside it; relative paths
/// lie under `data_dir`. None if there is no table.
///
/// # Errors
/// `SINK_UNAVAILABLE` where the log cannot be read, and those of the path.
pub async fn history(
    path: &str,
    given: &BTreeMap<String, String>,
    data_dir: &Path,
    most: usize,
) -> Result<Vec<Told>> {
    let table = Table::at(&Location::new(path, given, data_dir)?, Door::new(), Arc::new(SystemClock))?;
    table.ask(move |table| newest(table, most)).await
}

fn newest(table: &Table, most: usize) -> Result<Vec<Told>> {
    let is_version = |name: &str| name.len() == 20 && name.bytes().all(|digit| digit.is_ascii_digit());
    let names = table.log_names()?;
    let mut versions: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".json").filter(|name| is_version(name))?.parse().ok())
        .collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    let mut told = Vec::new();
    for version in versions.into_iter().take(most) {
        let name = table.version_file(version);
        let text = table.store.read(&name);
        let text =
            text.map_err(|e| fault::refused("a commit cannot be read", &table.store.path(&name), e))?;
        // It was tidied away meanwhile, and so was what is older.
        let Some(text) = text else { break };
        told.push(of_commit(version, &text));
    }
    Ok(told)
}

fn of_commit(version: u64, text: &[u8]) -> Told {
    let mut lines = text.split(|byte| *byte == b'\n').map(serde_json::from_slice::<Line>);
    let Some(info) = lines.find_map(|line| line.ok()?.commit_info) else {
        return Told { version, ..Told::default() };
    };
    let parameters = match info.operation_parameters {
        Some(Value::Object(parameters)) => {
            parameters.into_iter().map(|(name, it)| (name, plain(it))).collect()
        }
        _ => BTreeMap::new(),
    };
    Told {
        version,
        timestamp_ms: [info.in_commit_timestamp, info.timestamp].iter().flatten().find_map(Value::as_i64),
        operation: info.operation.map(plain),
        parameters,
    }
}

/// A text as it is, anything else as JSON.
fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        let log = folder.join("t/_delta_log");
        Door::new().create_dir_all(&log).unwrap();
        Door::new().write_atomic(&log.join(name), text.as_bytes()).unwrap();
    }

    #[tokio::test]
    async fn the_newest_commits_come_first_whoever_wrote_them() {
        let data = tempfile::tempdir().unwrap();
        let none = BTreeMap::new();
        assert_eq!(history("t", &none, data.path(), 10).await.unwrap(), []);
        let name = |version: u64| format!("{version:020}.json");
        write(data.path(), &name(9), "{\"add\":{\"path\":\"x\"}}\n");
        write(
            data.path(),
            &name(10),
            "{\"txn\":{}}\n{\"commitInfo\":{\"timestamp\":1700000000000,\"operation\":\"WRITE\",\
             \"operationParameters\":{\"mode\":\"Append\",\"n\":[1]}}}\n",
        );
        write(
            data.path(),
            &name(11),
            "{\"commitInfo\":{\"timestamp\":1,\"inCommitTimestamp\":2,\"operation\":7}}",
        );
        write(data.path(), "00000000000000000010.checkpoint.parquet", "");
        write(data.path(), "_last_checkpoint", "{}");
        write(data.path(), "00000000000000000012.json.tmp", "");
        let told = history("t", &none, data.path(), 10).await.unwrap();
        let versions: Vec<u64> = told.iter().map(|told| told.version).collect();
        assert_eq!(versions, [11, 10, 9]);
        assert_eq!((told[0].timestamp_ms, told[0].operation.as_deref()), (Some(2), Some("7")));
        assert_eq!(
            (told[1].timestamp_ms, told[1].operation.as_deref()),
            (Some(1_700_000_000_000), Some("WRITE"))
        );
        assert_eq!(told[1].parameters["mode"], "Append");
        assert_eq!(told[1].parameters["n"], "[1]");
        assert_eq!(told[2], Told { version: 9, ..Told::default() });
        assert_eq!(history("t", &none, data.path(), 2).await.unwrap().len(), 2);
    }
}
