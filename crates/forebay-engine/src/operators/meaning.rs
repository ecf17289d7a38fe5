//! What the state of an operator means, as a text that is the same as long as its state is good.
//!
//! The columns of a table alone do not tell `sum(a)` from `sum(b)`, nor windows of a minute from those of an hour: state of the
//! one would be taken for the other. So a table's layout carries this text, and a query that means something else is
//! refused. Columns are told by what they are of the sources' columns ([`crate::plan::told`]). Where in its rows the operator
//! finds one is not part of it: a filter more may move columns. The promise as pairs of queries: `plan/tests/resumed.rs`.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use crate::plan::graph::{AggregateSpec, DeduplicateSpec, DetectSpec, Gap, JoinSpec, SessionSpec, SideEnds};
use crate::plan::told::{Told, column_of, function, text_of_pair, text_over};
use crate::state::MEANING;

/// Values with their meaning.
pub(super) fn values(fields: Vec<Arc<Field>>, meaning: String) -> SchemaRef {
    Arc::new(Schema::new(fields).with_metadata([(MEANING.to_owned(), meaning)].into()))
}

/// Of an aggregation.
pub(super) fn aggregate(spec: &AggregateSpec) -> String {
    let window = spec.window.as_ref().map(|window| {
        let sliding = window.sliding;
        let parts = (sliding.size_us, sliding.slide_us, sliding.start_us);
        let ts = text_over(&window.ts, &spec.told);
        format!("window({ts}, {} µs, {} µs, {} µs)", parts.0, parts.1, parts.2)
    });
    let sets: Vec<String> = spec.sets.iter().map(|set| set.number.to_string()).collect();
    let sets = if sets.is_empty() { String::new() } else { format!(", in sets {}", sets.join(", ")) };
    let groups = Groups {
        keys: &spec.keys,
        window,
        aggregates: &spec.aggregates,
        filters: &spec.filters,
        watermarked: spec.watermarked,
        columns: &spec.told,
    };
    groups.told() + &sets
}

/// Of sessions.
pub(super) fn session(spec: &SessionSpec) -> String {
    // The gap of rows that are held is in their sessions' ends; another one is good for new rows.
    let gap = match &spec.gap {
        Gap::Static(_) => "",
        Gap::PerRow(_) => " of each row",
    };
    let groups = Groups {
        keys: &spec.keys,
        window: Some(format!("session{gap} by {}", text_over(&spec.ts, &spec.told))),
        aggregates: &spec.aggregates,
        filters: &spec.filters,
        watermarked: spec.watermarked,
        columns: &spec.told,
    };
    groups.told()
}

/// Of one side of a join.
pub(super) fn join(spec: &JoinSpec, is_left: bool) -> String {
    let (left, right) = (&spec.left, &spec.right);
    let (side, name) = if is_left { (left, "left") } else { (right, "right") };
    let keys = left.keys.iter().zip(&right.keys);
    let equal = |(of_left, of_right)| {
        format!("{} = {}", text_over(of_left, &left.told), text_over(of_right, &right.told))
    };
    let mut on: Vec<String> = keys.map(equal).collect();
    let width = super::join::visible(&left.input);
    let of_pair = |condition| text_of_pair(condition, width, [&left.told, &right.told]);
    on.extend(spec.condition.as_ref().map(of_pair));
    let columns = side.input.fields().iter().enumerate();
    let columns: Vec<String> =
        columns.map(|(index, field)| column_of(&side.told, index, field.name())).collect();
    let ends = match side.ends {
        SideEnds::Never => "never forgotten".to_owned(),
        SideEnds::Key(key) => {
            let key = side.keys.get(key).map(|key| text_over(key, &side.told));
            format!("forgotten by {}", key.unwrap_or_default())
        }
        SideEnds::Time { column, shift_ms } => {
            let column = columns.get(column).map_or("", String::as_str);
            format!("forgotten by {column} {:+} ms", shift_ms.saturating_neg())
        }
    };
    let columns = columns[..super::join::visible(&side.input)].join(", ");
    format!("{name} ({columns}) of a {:?} join on {}, {ends}", spec.kind, on.join(" AND "))
}

/// Of a de-duplication.
pub(super) fn deduplicate(spec: &DeduplicateSpec) -> String {
    let fields = spec.input.fields();
    let name = |index: usize| fields.get(index).map_or("", |field| field.name().as_str());
    let keys: Vec<String> = spec.keys.iter().map(|key| column_of(&spec.told, *key, name(*key))).collect();
    format!("first rows by {}", keys.join(", "))
}

/// Of a detector.
pub(super) fn detect(spec: &DetectSpec) -> String {
    let fields = spec.input.fields();
    let name = |index: usize| fields.get(index).map_or("", |field| field.name().as_str());
    let told = |columns: &[usize]| {
        let columns = columns.iter().map(|index| column_of(&spec.told, *index, name(*index)));
        columns.collect::<Vec<_>>().join(", ")
    };
    let by = if spec.keys.is_empty() { String::new() } else { format!(" by {}", told(&spec.keys)) };
    let time = spec.time.map_or_else(String::new, |index| format!(" at {}", told(&[index])));
    format!("{} of {}{by}{time}", spec.model.meaning(), told(&spec.columns))
}

/// Of groups.
struct Groups<'g> {
    keys: &'g [Arc<dyn PhysicalExpr>],
    window: Option<String>,
    aggregates: &'g [Arc<AggregateFunctionExpr>],
    filters: &'g [Option<Arc<dyn PhysicalExpr>>],
    watermarked: bool,
    /// What the columns of their rows are.
    columns: &'g [Told],
}

impl Groups<'_> {
    fn told(self) -> String {
        let filters = self.filters.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        let functions = self.aggregates.iter().zip(filters);
        let functions: Vec<String> = functions.map(|(it, by)| function(it, by, self.columns)).collect();
        let keys = self.keys.iter().map(|key| text_over(key, self.columns));
        let groups: Vec<String> = keys.chain(self.window).collect();
        let ends = if self.watermarked { "ending by watermark" } else { "never ending" };
        format!("{} by {}, {ends}", functions.join(", "), groups.join(", "))
    }
}
