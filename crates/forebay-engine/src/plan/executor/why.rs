//! What a query does with one row, and which condition refuses it: for people who ask, beside the stream.

use arrow::array::RecordBatch;
use datafusion::physical_expr::split_conjunction;
use forebay_core::{Error, Result};

use super::pieces::{Piece, Pieces};
use super::{Executor, holds, only, project};
use crate::generate::USUAL;
use crate::lookup::{Kind, candidates, probe};
use crate::plan::lower::Stage;

/// Why a row does not come out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This part of the WHERE, as it was planned, does not hold: `temperature > 70`.
    Condition(String),
    /// It finds no partner in these tables.
    Alone(String),
    /// It finds one in these tables, and the join is for rows that have none.
    Met(String),
    /// There is no element of which this, as it is written, could make a row: `explode(tags)`.
    Empty(String),
}

impl Executor {
    /// Says what refuses the single row of `row`, of several that it becomes the last one; `None` if one comes out. Of conditions
    /// joined by AND the first that does not hold. Fails as [`Executor::process`] does.
    pub fn refusal(&self, row: RecordBatch) -> Result<Option<Refusal>> {
        let (mut pieces, mut last) = (Pieces::default(), None);
        pieces.begin(row);
        while let Some(piece) = pieces.next() {
            match self.way(piece, &mut pieces)? {
                Way::Out => return Ok(None),
                Way::Refused(refusal) => last = Some(refusal),
                Way::Cut => {}
            }
        }
        Ok(last)
    }

    /// What becomes of a piece of a record.
    fn way(&self, piece: Piece, pieces: &mut Pieces) -> Result<Way> {
        let Piece { stage: first, batch: mut row, mut tags, part, mut fits, mut elements } = piece;
        let stages = self.stages.as_ref().map_err(Clone::clone)?;
        for (number, stage) in stages.iter().enumerate().skip(first) {
            row = match stage {
                Stage::Project(projection) => project(projection, &row)?,
                Stage::Observe(_) => row,
                Stage::Lookup(lookup) => {
                    let built = self.held.of(&lookup.spec)?;
                    let probed = probe(lookup, built, &row, &tags, candidates(lookup, built, &row)?)?;
                    if probed.batch.num_rows() == 0 {
                        let tables = lookup.spec.names();
                        let is_anti = lookup.spec.kind == Kind::Anti;
                        let refusal = if is_anti { Refusal::Met(tables) } else { Refusal::Alone(tables) };
                        return Ok(Way::Refused(refusal));
                    }
                    tags = probed.tags;
                    probed.batch
                }
                Stage::Filled(filled) => {
                    if let Some(kept) = filled.kept(&row)? {
                        (row, tags) = only(row, tags, kept)?;
                    }
                    if row.num_rows() == 0 {
                        return Ok(Way::Refused(Refusal::Empty(filled.written.clone())));
                    }
                    row
                }
                Stage::Generate(generation) => {
                    if !std::mem::take(&mut fits) {
                        let slices = generation.slices(&row, &tags, part, USUAL)?;
                        if !slices.is_empty() {
                            pieces.slice(number, slices, &row, &tags);
                            return Ok(Way::Cut);
                        }
                    }
                    let made = generation.rows(&row, &tags, elements.take())?;
                    pieces.made(part, made.batch.num_rows(), &generation.written)?;
                    if made.batch.num_rows() == 0 {
                        return Ok(Way::Refused(Refusal::Empty(generation.written.clone())));
                    }
                    tags = made.tags;
                    made.batch
                }
                Stage::Filter(condition) => {
                    for one in split_conjunction(condition) {
                        let rows = row.num_rows();
                        let kept = holds(one, &row).map_err(|e: Error| e.at("the condition"))?;
                        let Some(kept) = kept.kept(rows) else { continue };
                        (row, tags) = only(row, tags, kept)?;
                        if row.num_rows() == 0 {
                            let condition = readable(&one.to_string());
                            return Ok(Way::Refused(Refusal::Condition(condition)));
                        }
                    }
                    row
                }
            };
        }
        Ok(Way::Out)
    }
}

/// What becomes of a piece of a record.
enum Way {
    /// Rows of it come out.
    Out,
    Refused(Refusal),
    /// Smaller pieces, which are still to come.
    Cut,
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
            planned.executor(0).refusal(row).unwrap()
        };
        let condition = |text: &str| Some(Refusal::Condition(text.to_owned()));
        assert_eq!(refusal(Some(2), 4), None);
        assert_eq!(refusal(Some(1), 4), condition("a > 1"));
        assert_eq!(refusal(Some(2), 5), condition("b < 5"));
        assert_eq!(refusal(None, 5), condition("a > 1"), "NULL is not true");
    }

    #[test]
    fn only_the_numbers_of_columns_are_taken_out() {
        assert_eq!(readable("a@0 > 7 AND s@12 = x@y"), "a > 7 AND s = x@y");
    }
}
