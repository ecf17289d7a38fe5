//! What takes the rows of an input behind its filters: for `forebay why row`.

use crate::plan::StreamPlan;
use crate::plan::graph::{DeduplicateSpec, Feed, Graph, StepPlan};

/// What the rows of an input come to first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taker {
    /// Nothing that remembers: they are rows of the query.
    Nobody,
    /// GROUP BY or DISTINCT: they count in a group.
    Groups,
    /// GROUP BY with `session_window`: they count in a session.
    Sessions,
    /// `deduplicate`: the first of each key goes on.
    Once(Once),
    /// A join of two streams.
    Side {
        /// The side that they are on.
        is_left: bool,
    },
    /// A detector: they go on with what it says of them.
    Detector,
    /// LIMIT: so many go on, and no other ever.
    First(usize),
    /// Something else.
    Other,
}

/// How `deduplicate` knows a row again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// The columns of the key, among those that the input's executors give.
    pub keys: Vec<usize>,
    /// A key is forgotten so long (µs) after the event time of its first row.
    pub within_us: Option<i64>,
}

impl StreamPlan {
    /// What takes the rows of the input of this number.
    pub fn taker(&self, input: u16) -> Taker {
        let graph = self.graph();
        let Some((at, port)) = behind(graph, Feed::Input(usize::from(input))) else { return Taker::Nobody };
        match &graph.steps[at].plan {
            StepPlan::Aggregate(_) => Taker::Groups,
            StepPlan::Session(_) => Taker::Sessions,
            StepPlan::Deduplicate(spec) => {
                let DeduplicateSpec { keys, within_us, .. } = spec.as_ref();
                Taker::Once(Once { keys: keys.clone(), within_us: *within_us })
            }
            StepPlan::Join(_) => Taker::Side { is_left: port == 0 },
            StepPlan::Detect(_) => Taker::Detector,
            StepPlan::Limit(spec) => Taker::First(spec.most),
            StepPlan::Union if behind(graph, Feed::Step(at)).is_none() => Taker::Nobody,
            StepPlan::Union | StepPlan::Stages(_) | StepPlan::Sort(_) => Taker::Other,
        }
    }
}

/// The step that takes these rows, and by which of its ports.
fn behind(graph: &Graph, feed: Feed) -> Option<(usize, usize)> {
    let port = |from: &[Vec<Feed>]| from.iter().position(|feeds| feeds.contains(&feed));
    graph.steps.iter().enumerate().find_map(|(at, step)| Some((at, port(&step.from)?)))
}

#[cfg(test)]
mod tests {
    use forebay_core::ddl;
    use forebay_core::output_mode::OutputMode;

    use super::*;
    use crate::plan::{Catalog, Deduplicate, SourceColumns, SourceTime, plan_query};

    fn plan(sql: &str, once: Option<&Deduplicate>) -> StreamPlan {
        let mut catalog = Catalog::new();
        for name in ["a", "b"] {
            let schema = ddl::parse("id STRING, at TIMESTAMP, v INT").unwrap();
            catalog.add_source(name, SourceColumns::Decoded(schema)).unwrap();
            catalog.set_watermark(name, SourceTime { column: "at".to_owned(), delay_ms: 0 });
        }
        plan_query(&catalog, sql, None, OutputMode::Append, once).unwrap()
    }

    #[test]
    fn each_input_tells_what_takes_its_rows() {
        let joined = "SELECT a.id FROM b JOIN a ON a.id = b.id AND a.at = b.at";
        for (sql, takers, can_be_late) in [
            ("SELECT id FROM a WHERE v > 1", vec![Taker::Nobody], false),
            ("SELECT id FROM a UNION ALL SELECT id FROM b", vec![Taker::Nobody; 2], false),
            ("SELECT count(*) FROM a GROUP BY window(at, '1 minute')", vec![Taker::Groups], true),
            (
                "SELECT count(*) FROM a GROUP BY session_window(at, '1 minute'), id",
                vec![Taker::Sessions],
                true,
            ),
            (joined, vec![Taker::Side { is_left: true }, Taker::Side { is_left: false }], true),
            ("SELECT id FROM a LIMIT 3", vec![Taker::First(3)], false),
        ] {
            let plan = plan(sql, None);
            let told: Vec<Taker> = (0..).take(plan.inputs().len()).map(|input| plan.taker(input)).collect();
            assert_eq!((told, plan.can_be_late()), (takers, can_be_late), "{sql}");
        }
    }

    #[test]
    fn of_a_key_it_is_told_where_it_stands_and_when_it_is_forgotten() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        let ever = Deduplicate { keys: keys(&["v"]), within_us: None };
        let sql = "SELECT id, v FROM a";
        assert_eq!(plan(sql, Some(&ever)).taker(0), Taker::Once(Once { keys: vec![1], within_us: None }));
        let within = Deduplicate { keys: keys(&["id"]), within_us: Some(5) };
        let plan = plan("SELECT at, id FROM a", Some(&within));
        assert_eq!(plan.taker(0), Taker::Once(Once { keys: vec![1], within_us: Some(5) }));
        assert!(plan.can_be_late());
    }
}
