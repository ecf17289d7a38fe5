//! Which rows of a query may come too late, and what columns they have in their table: known before the first of them is there.

use arrow::datatypes::SchemaRef;
use forebay_core::output_mode::OutputMode;

use super::StreamPlan;
use super::graph::StepPlan;
use crate::late;

impl StreamPlan {
    /// True if a row may come too late for one of its operators. In complete mode none does for groups, which never end; sessions
    /// and `deduplicate` refuse late rows there too, as in Spark.
    pub fn can_be_late(&self) -> bool {
        !self.late_rows().is_empty()
    }

    /// The columns of its late table, as its first rows will have them; `None` if no row can be late.
    pub fn late_columns(&self) -> Option<SchemaRef> {
        late::columns(&self.late_rows())
    }

    /// The columns of the rows that may be late, of each operator and side.
    fn late_rows(&self) -> Vec<SchemaRef> {
        let ends = self.graph.mode != OutputMode::Complete;
        let of_step = |plan: &StepPlan| match plan {
            StepPlan::Aggregate(spec) if spec.watermarked && ends => vec![SchemaRef::clone(&spec.input)],
            StepPlan::Session(spec) if spec.watermarked => vec![SchemaRef::clone(&spec.input)],
            StepPlan::Deduplicate(spec) if spec.event_time.is_some() => vec![SchemaRef::clone(&spec.input)],
            StepPlan::Join(spec) => {
                let timed = [&spec.left, &spec.right].into_iter().filter(|side| side.event_time.is_some());
                timed.map(|side| SchemaRef::clone(&side.input)).collect()
            }
            _ => Vec::new(),
        };
        self.graph.steps.iter().flat_map(|step| of_step(&step.plan)).collect()
    }
}
