//! Update mode against a model: whatever happens to a table, it is what a map would be.

use std::collections::BTreeMap as Map;

use proptest::prelude::*;

use super::others::foreign_append;
use super::update::{keyed, update};
use super::*;

/// Something that happens to a table.
#[derive(Clone, Debug)]
enum Step {
    Epoch(Vec<(Option<i64>, Option<&'static str>)>),
    /// An epoch that dies before its commit.
    Lost(Vec<(Option<i64>, Option<&'static str>)>),
    Foreign(Vec<i64>),
    Optimize,
    Tidy,
    Restart,
}

fn key() -> impl Strategy<Value = (Option<i64>, Option<&'static str>)> {
    let texts = [None, Some(""), Some("a"), Some("b/c")];
    (proptest::option::of(-3..8i64), proptest::sample::select(texts.to_vec()))
}

fn step() -> impl Strategy<Value = Step> {
    let keys = || proptest::collection::vec(key(), 0..12);
    prop_oneof![
        6 => keys().prop_map(Step::Epoch),
        1 => keys().prop_map(Step::Lost),
        1 => proptest::collection::vec(-3..8i64, 1..4).prop_map(Step::Foreign),
        1 => Just(Step::Optimize),
        1 => Just(Step::Tidy),
        1 => Just(Step::Restart),
    ]
}

type Model = Map<(Option<i64>, Option<String>), Vec<i64>>;

/// Rows of an epoch, each key once, as a query gives them.
fn rows_of(
    keys: &[(Option<i64>, Option<&'static str>)],
    partitioned: bool,
    value: i64,
) -> Vec<(Option<i64>, Option<&'static str>, i64)> {
    let mut seen = std::collections::BTreeSet::new();
    let known = |p: Option<&'static str>| p.filter(|p| !partitioned || !p.is_empty());
    keys.iter().filter(|(k, p)| seen.insert((*k, known(*p)))).map(|(k, p)| (*k, known(*p), value)).collect()
}

async fn play(steps: Vec<Step>, partitioned: bool) {
    let options: &[(&'static str, &str)] = if partitioned {
        &[("partitionBy", "p"), ("autoCompact.minNumFiles", "2"), ("delta.checkpointInterval", "2")]
    } else {
        &[("autoCompact.minNumFiles", "2"), ("delta.checkpointInterval", "2")]
    };
    let lake = update(&["p", "k"], options);
    let schema = keyed(&[]).schema();
    let mut sink = lake.opened(&schema).await;
    let (mut model, mut number) = (Model::new(), 0u64);
    for (value, step) in (0i64..).zip(steps) {
        match step {
            Step::Epoch(keys) => {
                let rows = rows_of(&keys, partitioned, value);
                write(&mut sink, number, vec![vec![keyed(&rows)], vec![]]).await.unwrap().unwrap();
                for (k, p, value) in rows {
                    model.insert((k, p.map(str::to_owned)), vec![value]);
                }
                number += 1;
            }
            Step::Lost(keys) => {
                let Begun::Writers(mut writers) = sink.begin(&epoch(number), 1).await.unwrap() else {
                    panic!()
                };
                writers[0].write(keyed(&rows_of(&keys, partitioned, value))).await.unwrap();
                sink.abort(&epoch(number)).await.unwrap();
            }
            Step::Foreign(keys) => {
                let rows: Vec<_> = keys.iter().map(|k| (Some(*k), Some("a"), value)).collect();
                foreign_append(&lake, keyed(&rows)).await;
                for k in keys {
                    model.entry((Some(k), Some("a".to_owned()))).or_default().push(value);
                }
            }
            Step::Optimize => {
                let url = url::Url::from_directory_path(lake.root()).unwrap();
                deltalake_core::open_table(url).await.unwrap().optimize().await.unwrap();
            }
            Step::Tidy => tidied(&mut sink).await,
            Step::Restart => sink = lake.opened(&schema).await,
        }
    }
    let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    let mut expected: Vec<_> = model
        .into_iter()
        .flat_map(|((k, p), values)| {
            let row = move |v: i64| vec![text(k.map(|k| k.to_string())), text(p.clone()), v.to_string()];
            values.into_iter().map(row)
        })
        .collect();
    let mut found = lake.query("SELECT k, p, v FROM t").await;
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_table_is_what_a_map_would_be(
        steps in proptest::collection::vec(step(), 1..20),
        partitioned in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(play(steps, partitioned));
    }
}
