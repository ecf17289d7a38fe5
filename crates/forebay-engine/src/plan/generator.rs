//! A generator (`explode` and its kin), as a node of a logical plan, and how it comes there.
//!
//! ```text
//! FROM iot LATERAL VIEW explode(tags) t AS tag WHERE n > 1 AND tag <> 'x'
//!
//! resolved:  FROM iot, __t1 AS t     ─ SQL planner ─▶   Filter n, tag                     Filter tag
//!            (a Placeholder)                            └ Join (no condition)     ─▶      └ Generate explode(__array) t.tag
//!                                                         ├ iot                             └ Projection iot.*, tags AS __array
//!                                                         └ t: Placeholder                     └ Filter n ─ iot
//! ```
//!
//! So names in the text mean what they mean behind any join. What it takes apart is a column of its own, which does not come out: the optimizer
//! leaves out of the projection below what nobody reads above, the array itself included. A condition that does not read what is
//! generated goes below, as in Spark; so a row that it refuses is never multiplied. What must stay true: the node gives the columns of its
//! input but for that one, in their order, and then those that are generated. Over a stream it is lowered to a stage of its lanes, over
//! tables at rest to an operator ([`super::physical`]).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{
    Column, DFSchema, DFSchemaRef, DataFusionError, Result, TableReference, internal_err,
};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, Extension, Filter, Join, LogicalPlan, Projection, TableSource, UserDefinedLogicalNodeCore,
};

use super::words::type_name;
use crate::generate::{Generation, Gives};
use forebay_core::Error;
use forebay_core::error::codes;

/// The column that is taken apart.
const ARRAY: &str = "__array";

/// What a generator makes, whatever stands below it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub gives: Gives,
    /// True if a row without an element comes out once, with NULLs.
    pub is_outer: bool,
    /// The names of its columns.
    pub names: Vec<String>,
    /// As it is written: `explode(tags)`.
    pub written: String,
}

/// The columns that a generator makes of an array or a map, with Spark's names. Refuses what it cannot take apart; `name` is the
/// generator's.
pub(super) fn columns(
    name: &str,
    gives: Gives,
    is_outer: bool,
    of: &DataType,
) -> Result<Vec<FieldRef>, Error> {
    let column = |name: &str, data_type: &DataType, nullable: bool| -> FieldRef {
        Arc::new(Field::new(name, data_type.clone(), nullable || is_outer))
    };
    let position = (gives == Gives::Positions).then(|| column("pos", &DataType::Int32, false));
    let elements: Vec<FieldRef> = match (gives, of) {
        (Gives::Fields, DataType::List(item)) => match item.data_type() {
            DataType::Struct(fields) => fields
                .iter()
                .map(|it| column(it.name(), it.data_type(), it.is_nullable() || item.is_nullable()))
                .collect(),
            _ => return Err(not_apart(name, gives, of)),
        },
        (Gives::Elements | Gives::Positions, DataType::List(item)) => {
            vec![column("col", item.data_type(), item.is_nullable())]
        }
        (Gives::Elements | Gives::Positions, DataType::Map(entries, _)) => match entries.data_type() {
            DataType::Struct(pair) => {
                let named = pair.iter().zip(["key", "value"]);
                named.map(|(it, name)| column(name, it.data_type(), it.is_nullable())).collect()
            }
            _ => return Err(not_apart(name, gives, of)),
        },
        _ => return Err(not_apart(name, gives, of)),
    };
    Ok(position.into_iter().chain(elements).collect())
}

fn not_apart(name: &str, gives: Gives, of: &DataType) -> Error {
    let takes = if gives == Gives::Fields { "an ARRAY of STRUCTs" } else { "an ARRAY or a MAP" };
    let message = format!("{name}(…) takes {takes}, not a value of type {}", type_name(of));
    let hint = match (gives, of) {
        (Gives::Fields, DataType::List(_)) => "Write explode(…), which takes arrays of anything.",
        (_, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => {
            "Take the text apart first: split(text, ','), or from_json(text, 'xs ARRAY<…>').xs."
        }
        (_, DataType::Struct(_)) => "The fields of a STRUCT are columns: write value.*.",
        _ => "Give it a column, or a field of one, that is an array.",
    };
    Error::new(&codes::SQL_PLAN, message).with_hint(hint)
}

/// What stands in FROM for a generator until its node is put there.
pub(super) struct Placeholder {
    shape: Shape,
    /// Over what stands before it in FROM.
    array: Expr,
    schema: SchemaRef,
}

impl Placeholder {
    /// `fields` are those of [`columns`]; they get the shape's names.
    pub fn new(shape: Shape, array: Expr, fields: &[FieldRef]) -> Self {
        let named = fields.iter().zip(&shape.names);
        let fields: Vec<Field> = named.map(|(field, name)| Field::clone(field).with_name(name)).collect();
        Self { shape, array, schema: Arc::new(Schema::new(fields)) }
    }
}

impl TableSource for Placeholder {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// A plan with nodes for all placeholders.
pub(super) fn placed(plan: LogicalPlan) -> Result<LogicalPlan> {
    let placed = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) => match placeholder(&join) {
            Some((name, placeholder)) => {
                let shape = placeholder.shape.clone();
                let array = placeholder.array.clone();
                put(join.left.as_ref().clone(), array, shape, name).map(Transformed::yes)
            }
            None => Ok(Transformed::no(LogicalPlan::Join(join))),
        },
        LogicalPlan::Filter(Filter { predicate, input, .. }) if of(&input).is_some() => {
            sunk(split_conjunction_owned(predicate), Arc::unwrap_or_clone(input)).map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(placed.data)
}

/// The placeholder on the right side of a join, and the name that it has there.
fn placeholder(join: &Join) -> Option<(&TableReference, &Placeholder)> {
    let LogicalPlan::SubqueryAlias(alias) = join.right.as_ref() else { return None };
    let LogicalPlan::TableScan(scan) = alias.input.as_ref() else { return None };
    Some((&alias.alias, scan.source.downcast_ref::<Placeholder>()?))
}

/// Puts the node on a plan.
fn put(input: LogicalPlan, array: Expr, shape: Shape, name: &TableReference) -> Result<LogicalPlan> {
    let mut list: Vec<Expr> = input.schema().iter().map(Expr::from).collect();
    list.push(array.alias(ARRAY));
    let input = LogicalPlan::Projection(Projection::try_new(list, Arc::new(input))?);
    Generate::new(input, Column::new_unqualified(ARRAY), shape, name.clone()).map(Generate::into_plan)
}

/// A plan whose rows fulfil these conditions: those that do not read what is generated are asked before.
fn sunk(conditions: Vec<Expr>, plan: LogicalPlan) -> Result<LogicalPlan> {
    let Some(generate) = of(&plan) else { return filtered(conditions, plan) };
    let LogicalPlan::Projection(projection) = &generate.input else { return filtered(conditions, plan) };
    let schema = projection.input.schema();
    // A subquery may look at any column of the row, and what is drawn by lot is drawn for each element.
    let is_plain = |it: &Expr| {
        let is_more = |it: &Expr| {
            matches!(
                it,
                Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::SetComparison(_)
                    | Expr::ScalarSubquery(_)
                    | Expr::OuterReferenceColumn(..)
            )
        };
        !it.is_volatile() && !it.exists(|it| Ok(is_more(it))).unwrap_or(true)
    };
    let is_below =
        |it: &Expr| is_plain(it) && it.column_refs().into_iter().all(|column| schema.has_column(column));
    let (below, above): (Vec<Expr>, Vec<Expr>) = conditions.into_iter().partition(is_below);
    if below.is_empty() {
        return filtered(above, plan);
    }
    let input = sunk(below, projection.input.as_ref().clone())?;
    let input = Projection::try_new(projection.expr.clone(), Arc::new(input))?;
    filtered(above, generate.on(LogicalPlan::Projection(input))?)
}

fn filtered(conditions: Vec<Expr>, plan: LogicalPlan) -> Result<LogicalPlan> {
    match conjunction(conditions) {
        Some(condition) => Filter::try_new(condition, Arc::new(plan)).map(LogicalPlan::Filter),
        None => Ok(plan),
    }
}

/// The node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Generate {
    pub input: LogicalPlan,
    array: Column,
    shape: Shape,
    /// What its columns are qualified with.
    name: TableReference,
    pub schema: DFSchemaRef,
}

/// The node if a plan is one.
pub(super) fn of(plan: &LogicalPlan) -> Option<&Generate> {
    let LogicalPlan::Extension(extension) = plan else { return None };
    extension.node.as_any().downcast_ref::<Generate>()
}

impl Generate {
    fn new(input: LogicalPlan, array: Column, shape: Shape, name: TableReference) -> Result<Self> {
        let at = input.schema().index_of_column(&array)?;
        let given = generated(&shape, input.schema().field(at).data_type())?;
        let others = input.schema().iter().enumerate().filter(|(index, _)| *index != at);
        let others = others.map(|(_, (qualifier, field))| (qualifier.cloned(), Arc::clone(field)));
        let named = given
            .iter()
            .zip(&shape.names)
            .map(|(field, own)| (Some(name.clone()), Arc::new(Field::clone(field).with_name(own))));
        let schema = DFSchema::new_with_metadata(others.chain(named).collect(), HashMap::new())?;
        Ok(Self { input, array, shape, name, schema: Arc::new(schema) })
    }

    fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    /// The same node on another plan, which has the column that is taken apart.
    pub fn on(&self, input: LogicalPlan) -> Result<LogicalPlan> {
        let (array, shape) = (self.array.clone(), self.shape.clone());
        Self::new(input, array, shape, self.name.clone()).map(Self::into_plan)
    }

    /// The column of the input that is taken apart.
    pub fn array(&self) -> usize {
        // It was there when the node was made.
        self.input.schema().maybe_index_of_column(&self.array).unwrap_or_default()
    }

    fn others(&self) -> usize {
        self.input.schema().fields().len().saturating_sub(1)
    }

    /// The column of the input that a column which comes out is; `None` of one that is generated.
    pub fn below(&self, output: usize) -> Option<usize> {
        (output < self.others()).then_some(output + usize::from(output >= self.array()))
    }

    /// What is known of each column that comes out, where that is known of each of the input; `other` of what is generated.
    pub fn passed<T: Clone>(&self, input: &[T], other: &T) -> Vec<T> {
        let known = |output| self.below(output).and_then(|below| input.get(below)).unwrap_or(other).clone();
        (0..self.schema.fields().len()).map(known).collect()
    }

    /// What a generated column is of what is taken apart, for people and for state: `explode(tags)`, `posexplode(tags).pos`.
    pub fn told(&self, output: usize, array: &str) -> String {
        let Shape { gives, is_outer, .. } = self.shape;
        let outer = if is_outer { "_outer" } else { "" };
        let verb = match gives {
            Gives::Elements => "explode",
            Gives::Positions => "posexplode",
            Gives::Fields => "inline",
        };
        let given = generated(&self.shape, self.input.schema().field(self.array()).data_type());
        let names = given.unwrap_or_default();
        match output.checked_sub(self.others()).and_then(|index| names.get(index)) {
            Some(field) if names.len() > 1 || gives == Gives::Fields => {
                format!("{verb}{outer}({array}).{}", field.name())
            }
            _ => format!("{verb}{outer}({array})"),
        }
    }

    /// The operator's stage, over rows of this schema: that of the input, but for what may be NULL.
    pub fn stage_over(&self, input: &Schema) -> Result<Generation> {
        let argument = self.array();
        let others = input.fields().iter().enumerate().filter(|(index, _)| *index != argument);
        let given = generated(&self.shape, input.field(argument).data_type())?;
        let named = given.iter().zip(&self.shape.names);
        let named = named.map(|(field, own)| Arc::new(Field::clone(field).with_name(own)));
        let fields: Vec<FieldRef> = others.map(|(_, field)| Arc::clone(field)).chain(named).collect();
        Ok(Generation { output: Arc::new(Schema::new(fields)), ..self.stage() })
    }

    /// The stage that it is lowered to.
    pub fn stage(&self) -> Generation {
        Generation {
            gives: self.shape.gives,
            is_outer: self.shape.is_outer,
            argument: self.array(),
            others: self.others(),
            output: Arc::new(Schema::new(self.schema.fields().clone())),
            written: self.shape.written.clone(),
        }
    }
}

fn generated(shape: &Shape, of: &DataType) -> Result<Vec<FieldRef>> {
    columns(&shape.written, shape.gives, shape.is_outer, of)
        .map_err(|e| DataFusionError::External(Box::new(e)))
}

impl PartialOrd for Generate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (&self.array, &self.shape.written).partial_cmp(&(&other.array, &other.shape.written))
    }
}

impl UserDefinedLogicalNodeCore for Generate {
    fn name(&self) -> &str {
        "Generate"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![Expr::Column(self.array.clone())]
    }

    fn fmt_for_explain(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Generate: {}", self.shape.written)
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (exprs.pop(), inputs.pop(), exprs.is_empty() && inputs.is_empty()) {
            (Some(Expr::Column(array)), Some(input), true) => {
                Self::new(input, array, self.shape.clone(), self.name.clone())
            }
            _ => internal_err!("a generator has one input, and a column of it"),
        }
    }

    /// As in [`sunk`]: what does not read what is generated can be asked before.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.shape.names.iter().cloned().collect()
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let wanted = output_columns.iter().filter_map(|output| self.below(*output));
        Some(vec![wanted.chain([self.array()]).collect()])
    }
}
