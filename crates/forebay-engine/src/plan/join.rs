//! A join of two streams, from the logical plan to the specification that its operator works by.
//!
//! ```text
//! Projection ─ Join ┬ left   ─ …         the conditions are those that need both sides (`conditions.rs`)
//! └─ Stages ─┘      └ right  ─ …         the sides are built with the columns that are read, and nothing else
//! ```
//!
//! [`condition`] takes the condition apart. What Spark refuses is refused here ([`refused`]).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchema, DFSchemaRef};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::physical_expr::PhysicalExpr;

use super::build::{Builder, Rows, arrow_schema, one_time};
use super::conditions::asks_time;
use super::graph::{Feed, JoinKind, JoinSide, JoinSpec, SideEnds, StepPlan};
use super::lineage::{Lineage, Origin};
use super::lower::{self, Output, Projection, Stage, simplified};
use super::modes::Kind;
use super::provider::StreamTable;
use super::sql_error::SqlError;
use super::state_watermark;
use super::told::{Told, columns};

mod condition;
mod refused;

pub(super) use self::condition::columns_of;
use self::condition::{Condition, place_of};
use self::refused::{kind, no_clock, no_key, refuse_endless};

/// The table that stands for the join while what lies on it is optimized.
const JOINED: &str = "__joined";

/// A join that is built.
struct Joined {
    spec: JoinSpec,
    /// Of its two ports.
    feeds: Vec<Vec<Feed>>,
    /// The origins of the plan's columns.
    origins: Vec<Origin>,
    /// What the columns that it gives are.
    told: Vec<Told>,
    /// Which of the plan's columns each of those is that it gives; `None` for one that only its condition reads.
    given: Vec<Option<usize>>,
    /// True if rows of a side come of an aggregation.
    are_groups: bool,
}

/// A side that is built.
struct Built {
    rows: Rows,
    /// Which columns of the plan's side its first columns are.
    columns: Vec<usize>,
}

impl Builder<'_> {
    /// Builds a join and what lies on it: `segment`, in which a leaf stands for the join.
    pub fn behind_join(&mut self, segment: LogicalPlan, join: &Join) -> Result<Rows, SqlError> {
        let timed = self.timed(join)?;
        let width = |join: &Join| join.left.schema().fields().len() + join.right.schema().fields().len();
        let is_bare = matches!(segment, LogicalPlan::EmptyRelation(_)) && width(&timed) == width(join);
        let mut lowered = None;
        let mut used: Vec<usize> = (0..join.schema.fields().len()).collect();
        if !is_bare {
            let scanned = scanned(&segment, &join.schema).map_err(SqlError::planning)?;
            let it = lower::lower(&self.optimized(scanned)?, self.session)?;
            used.clone_from(&it.used);
            lowered = Some(it.stages);
        }
        let Joined { spec, feeds, origins, told, given, are_groups } = self.join(join, &timed, &used)?;
        let output = Arc::clone(&spec.output);
        let feed = self.step(StepPlan::Join(Arc::new(spec)), feeds);
        let lineage = Lineage::of_several();
        let schema = Arc::clone(segment.schema());
        let origins = lineage.columns(&segment, &origins);
        let told = columns::columns(&segment, &columns::placed(told, &given, &join.schema), self.session);
        let Some(mut stages) = lowered else {
            return Ok(Rows { schema, origins, lineage, told, feeds: vec![feed], are_groups });
        };
        let places: Vec<usize> =
            used.iter().filter_map(|column| given.iter().position(|given| *given == Some(*column))).collect();
        on_columns(&mut stages, &places, output.fields().len());
        let feed = self.stages(stages, arrow_schema(&schema), feed);
        Ok(Rows { schema, origins, lineage, told, feeds: vec![feed], are_groups })
    }

    /// A join of which these columns are used; `timed` is the same with the event times that its condition asks for behind the
    /// columns of its sides.
    fn join(&mut self, join: &Join, timed: &Join, used: &[usize]) -> Result<Joined, SqlError> {
        let condition = Condition::of(timed)?;
        let place = place_of(join.filter.as_ref());
        let kind = kind(join.join_type).map_err(|error| SqlError::spanned(error, place))?;
        if condition.keys.is_empty() {
            return Err(SqlError::spanned(no_key(), place));
        }
        let all =
            condition.others.iter().chain(condition.keys.iter().flat_map(|(left, right)| [left, right]));
        if all.clone().any(asks_time) {
            return Err(SqlError::spanned(no_clock(), place));
        }
        let (left_schema, right_schema) = (timed.left.schema(), timed.right.schema());
        let (width, right_width) = (join.left.schema().fields().len(), join.right.schema().fields().len());
        let (mut of_left, mut of_right) = (BTreeSet::new(), BTreeSet::new());
        for column in used {
            let _ = if *column < width { of_left.insert(*column) } else { of_right.insert(column - width) };
        }
        for expr in all {
            columns_of(expr, left_schema, &mut of_left);
            columns_of(expr, right_schema, &mut of_right);
        }
        let left = self.side(&timed.left, of_left)?;
        let right = self.side(&timed.right, of_right)?;
        self.refuse_many()?;
        let name = format!("join-{}", self.kinds.len());
        let are_groups = left.rows.are_groups || right.rows.are_groups;
        self.stands(Kind::Join, are_groups);
        one_time(&name, left.origins()).map_err(|error| SqlError::spanned(error, place))?;
        one_time(&name, right.origins()).map_err(|error| SqlError::spanned(error, place))?;
        let key = event_key(&condition.keys, &left, &right);
        let ends = (left.ends(key, &right, &condition.others), right.ends(key, &left, &condition.others));
        let feeds = [left.rows.feeds.as_slice(), &right.rows.feeds].concat();
        refuse_endless(kind, ends, &self.untimed(feeds)).map_err(|error| SqlError::spanned(error, place))?;
        let (mut left_keys, mut right_keys, mut key_fields) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (of_left, of_right)) in condition.keys.iter().enumerate() {
            let data_type = of_left.get_type(&left.rows.schema).map_err(SqlError::planning)?;
            left_keys.push(self.key(of_left, &data_type, &left)?);
            right_keys.push(self.key(of_right, &data_type, &right)?);
            key_fields.push(Arc::new(Field::new(format!("key{number}"), data_type, true)));
        }
        let pair = pair(&left, &right).map_err(SqlError::planning)?;
        let others = conjunction(condition.others);
        let others = others.map(|others| simplified(&others, &pair, self.session)).transpose()?;
        let pair = arrow_schema(&pair);
        let left_width = left.columns.len();
        let fields = pair.fields().iter().enumerate().filter_map(|(index, field)| {
            let is_left = index < left_width;
            match kind {
                JoinKind::LeftSemi => is_left.then(|| Arc::clone(field)),
                JoinKind::Inner => Some(Arc::clone(field)),
                JoinKind::Left => Some(if is_left { Arc::clone(field) } else { nullable(field) }),
                JoinKind::Right => Some(if is_left { nullable(field) } else { Arc::clone(field) }),
                JoinKind::Full => Some(nullable(field)),
            }
        });
        let output = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let of_left = left.columns.iter().map(|column| (*column < width).then_some(*column));
        let of_right = right.columns.iter().map(|column| (*column < right_width).then(|| column + width));
        let is_pair = kind != JoinKind::LeftSemi;
        let given: Vec<Option<usize>> = of_left.chain(of_right.filter(|_| is_pair)).collect();
        let of_both = left.origins().iter().chain(right.origins());
        let mut origins = vec![Origin::Other; join.schema.fields().len()];
        for (column, origin) in given.iter().zip(of_both) {
            if let Some(place) = column.and_then(|column| origins.get_mut(column)) {
                *place = origin.clone().kept();
            }
        }
        let told = match kind {
            JoinKind::LeftSemi => left.told().to_vec(),
            _ => columns::paired(left.told(), right.told()),
        };
        let feeds = vec![left.rows.feeds.clone(), right.rows.feeds.clone()];
        let side = |built: Built, keys, ends| JoinSide {
            event_time: built.event_time(),
            input: arrow_schema(&built.rows.schema),
            told: built.rows.told,
            keys,
            ends,
        };
        let spec = JoinSpec {
            name,
            kind,
            left: side(left, left_keys, ends.0),
            right: side(right, right_keys, ends.1),
            key_fields,
            pair,
            condition: others,
            output,
        };
        Ok(Joined { spec, feeds, origins, told, given, are_groups })
    }

    /// The sources without a watermark among those that come to these feeds.
    fn untimed(&self, mut feeds: Vec<Feed>) -> BTreeSet<&str> {
        let mut untimed = BTreeSet::new();
        while let Some(feed) = feeds.pop() {
            match feed {
                Feed::Input(input) => {
                    let source = self.inputs.get(input).map(|input| input.source);
                    untimed.extend(source.filter(|source| source.time.is_none()).map(|source| source.name));
                }
                Feed::Step(step) => {
                    feeds
                        .extend(self.steps.get(step).into_iter().flat_map(|step| step.from.iter().flatten()));
                }
            }
        }
        untimed
    }

    /// Builds one side with these of its columns.
    fn side(&mut self, plan: &Arc<LogicalPlan>, columns: BTreeSet<usize>) -> Result<Built, SqlError> {
        let columns: Vec<usize> = columns.into_iter().collect();
        let list = columns.iter().map(|column| Expr::from(plan.schema().qualified_field(*column))).collect();
        let rows = self.rows(&self.with_record(list, plan)?)?;
        Ok(Built { rows, columns })
    }

    fn key(
        &self,
        expr: &Expr,
        data_type: &DataType,
        side: &Built,
    ) -> Result<Arc<dyn PhysicalExpr>, SqlError> {
        let is = expr.get_type(&side.rows.schema).map_err(SqlError::planning)?;
        let expr = if is == *data_type { expr.clone() } else { cast(expr.clone(), data_type.clone()) };
        Ok(simplified(&expr, &side.rows.schema, self.session)?)
    }
}

impl Built {
    /// The origins of the columns that are no hidden ones of the record.
    fn origins(&self) -> &[Origin] {
        self.rows.origins.get(..self.columns.len()).unwrap_or_default()
    }

    /// What the same columns are.
    fn told(&self) -> &[Told] {
        self.rows.told.get(..self.columns.len()).unwrap_or_default()
    }

    fn index(&self, column: &Column) -> Option<usize> {
        self.rows.schema.maybe_index_of_column(column)
    }

    fn origin(&self, expr: &Expr) -> Option<&Origin> {
        let Expr::Column(column) = expr else { return None };
        self.origins().get(self.index(column)?)
    }

    /// The column by which rows are late.
    fn event_time(&self) -> Option<usize> {
        let is_time = |origin: &Origin| matches!(origin, Origin::Time(_));
        let time = self.origins().iter().position(is_time);
        time.or_else(|| self.origins().iter().position(|origin| origin.timed().is_some()))
    }

    /// When rows of this side have met all that they can meet.
    fn ends(&self, key: Option<usize>, other: &Self, conditions: &[Expr]) -> SideEnds {
        if let Some(key) = key {
            return SideEnds::Key(key);
        }
        let is_time = |index: &usize| {
            let data_type = self.rows.schema.field(*index).data_type();
            matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, Some(_)))
        };
        let this = |column: &Column| self.index(column).filter(is_time);
        let theirs =
            |column: &Column| matches!(other.origin(&Expr::Column(column.clone())), Some(Origin::Time(_)));
        match state_watermark::of(conditions, this, theirs, self.event_time()) {
            Some((column, shift_ms)) => SideEnds::Time { column, shift_ms },
            None => SideEnds::Never,
        }
    }
}

/// The key that is the event time of a side, or a window of it.
fn event_key(keys: &[(Expr, Expr)], left: &Built, right: &Built) -> Option<usize> {
    let is_timed =
        |side: &Built, expr: &Expr| side.origin(expr).is_some_and(|origin| origin.timed().is_some());
    let of_left = keys.iter().position(|(key, _)| is_timed(left, key));
    of_left.or_else(|| keys.iter().position(|(_, key)| is_timed(right, key)))
}

/// The columns of both sides, of which a pair of rows is made.
fn pair(left: &Built, right: &Built) -> datafusion::common::Result<DFSchemaRef> {
    let side = |side: &Built| -> Vec<_> {
        let fields = side.rows.schema.iter().take(side.columns.len());
        fields.map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect()
    };
    let fields = [side(left), side(right)].concat();
    Ok(Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?))
}

/// The segment over a table in place of the join: so the optimizer says which of its columns are read.
fn scanned(segment: &LogicalPlan, joined: &DFSchemaRef) -> datafusion::common::Result<LogicalPlan> {
    use datafusion::common::tree_node::Transformed;
    let name = |index: usize| format!("c{index}");
    let fields = joined.fields().iter().enumerate();
    let fields: Vec<FieldRef> =
        fields.map(|(index, field)| Arc::new(Field::clone(field).with_name(name(index)))).collect();
    let names = joined.iter().enumerate().map(|(index, (qualifier, field))| {
        Expr::Column(Column::new(Some(JOINED), name(index))).alias_qualified(qualifier.cloned(), field.name())
    });
    let table = Arc::new(StreamTable(Arc::new(Schema::new(fields))));
    let leaf = LogicalPlanBuilder::scan(JOINED, table, None)?.project(names)?.build()?;
    let put = segment.clone().transform_up(|node| match node {
        LogicalPlan::EmptyRelation(_) => Ok(Transformed::yes(leaf.clone())),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(put.data)
}

/// Lets stages over the table in place of a join, whose first one reads it, read what the join gives: `width` columns, of
/// which `places` are those that are read.
fn on_columns(stages: &mut Vec<Stage>, places: &[usize], width: usize) {
    let same = |output: &Output| match output {
        Output::Same(column) => places.get(*column).copied().map(Output::Same),
        Output::Computed(_) => None,
    };
    let renamed = match stages.get(1) {
        Some(Stage::Project(next)) => next.columns.iter().map(same).collect::<Option<Vec<Output>>>(),
        _ => None,
    };
    let is_all = places.iter().copied().eq(0..width);
    match (renamed, stages.get_mut(1)) {
        // One after the other is one.
        (Some(renamed), Some(Stage::Project(Projection { columns, .. }))) => *columns = renamed,
        _ if is_all => {}
        _ => {
            if let Some(Stage::Project(Projection { columns, .. })) = stages.first_mut() {
                *columns = places.iter().copied().map(Output::Same).collect();
            }
            return;
        }
    }
    stages.remove(0);
}

fn nullable(field: &FieldRef) -> FieldRef {
    Arc::new(Field::clone(field).with_nullable(true))
}
