//! What a query does with one row, and which condition refuses it: for people who ask, beside the stream.

use arrow::array::RecordBatch;
use datafusion::physical_expr::split_conjunction;
use forebay_core::{Error, Result};

use super::{Executor, holds, only, project};
use crate::lookup::probe;
use crate::plan::lower::Stage;

/// The condition that refuses a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The part of the WHERE, as it was planned: `temperature > 70`.
    pub condition: String,
    /// The tables in which the row finds no partner (or one, in an anti join), where a join refuses it; then there is no
    /// condition.
    pub tables: Option<String>,
}

impl Executor {
    /// Says which condition refuses the single row of `row`; `None` if it comes out. Of conditions joined by AND the
    /// first that does not hold. Fails as [`Executor::process`] does.
    pub fn refusal(&self, row: RecordBatch) -> Result<Option<Refusal>> {
        let (mut row, mut tags) = (row, None);
        for stage in self.stages.as_ref().map_err(Clone::clone)?.iter() {
            row = match stage {
                Stage::Project(projection) => project(projection, &row)?,
                Stage::Observe(_) => row,
                Stage::Lookup(lookup) => {
                    let probed = probe(lookup, self.held.of(&lookup.spec)?, &row, &tags)?;
                    if probed.batch.num_rows() == 0 {
                        let tables = Some(lookup.spec.names());
                        return Ok(Some(Refusal { condition: String::new(), tables }));
                    }
                    tags = probed.tags;
                    probed.batch
                }
                Stage::Filter(condition) => {
                    for part in split_conjunction(condition) {
                        let rows = row.num_rows();
                        let kept = holds(part, &row).map_err(|e: Error| e.at("the condition"))?;
                        let Some(kept) = kept.kept(rows) else { continue };
                        tags = tags.map(|tags: Vec<u32>| kept.set_indices().map(|row| tags[row]).collect());
                        row = only(row, kept)?;
                        if row.num_rows() == 0 {
                            let condition = readable(&part.to_string());
                            return Ok(Some(Refusal { condition, tables: None }));
                        }
                    }
                    row
                }
            };
        }
        Ok(None)
    }
}

/// An expression without the numbers of its columns: `temperature@1 > 70` reads `temperature > 70`.
fn readable(expression: &str) -> String {
    let mut out = String::new();
    let mut rest = expression;
    while let Some((before, after)) = rest.split_once('@') {
        out.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let is_number = digits > 0 && before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if !is_number {
            out.push('@');
        }
        rest = if is_number { &after[digits..] } else { after };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::plan::{Catalog, SourceColumns, plan};

    #[test]
    fn the_condition_that_refuses_a_row_is_named() {
        let columns = ["a", "b"].map(|name| Field::new(name, DataType::Int64, true));
        let schema = Arc::new(Schema::new(columns.to_vec()));
        let mut catalog = Catalog::new();
        catalog.add_source("t", SourceColumns::Decoded(schema.clone())).unwrap();
        let planned = plan(&catalog, "SELECT a FROM t WHERE a > 1 AND b < 5", None).unwrap();
        let refusal = |a: Option<i64>, b: i64| {
            let columns = [Int64Array::from(vec![a]), Int64Array::from(vec![b])];
            let row =
                RecordBatch::try_new(schema.clone(), columns.map(|it| Arc::new(it) as ArrayRef).to_vec())
                    .unwrap();
            planned.executor(0).refusal(row).unwrap().map(|refusal| refusal.condition)
        };
        assert_eq!(refusal(Some(2), 4), None);
        assert_eq!(refusal(Some(1), 4).as_deref(), Some("a > 1"));
        assert_eq!(refusal(Some(2), 5).as_deref(), Some("b < 5"));
        assert_eq!(refusal(None, 5).as_deref(), Some("a > 1"), "NULL is not true");
    }

    #[test]
    fn only_the_numbers_of_columns_are_taken_out() {
        assert_eq!(readable("a@0 > 7 AND s@12 = x@y"), "a > 7 AND s = x@y");
    }
}
