//! Calls of detectors: those that learn have OVER, those that were trained before name their model.
//!
//! ```text
//! z_score(heat, at, 'threshold=3') OVER (PARTITION BY device)  ─▶  `__z_score_0`(heat, at) OVER (PARTITION BY device)
//! k_means('models/far.json', heat, load)                       ─▶  `__k_means_1`(heat, load)
//! ```
//!
//! Each becomes a function of the statement's own, one for the same kind, settings and arguments, so that what is written twice learns once.
//! The names are free for whoever has no detectors ([`Lookup::detectors`](super::Lookup::detectors)).

use std::sync::Arc;

use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, WindowType,
};
use forebay_core::Error;
use forebay_core::error::codes;

use super::calls::{literal, positional};
use super::{Planner, naming, quoted};
use crate::plan::functions::{self, Learner};
use crate::plan::sql_error::SqlError;
use crate::plan::verify;

impl Planner<'_> {
    /// Rewrites a call of a detector in place; false of any other function. `name` is in lower case.
    pub(super) fn detector(
        &mut self,
        function: &mut Function,
        name: &str,
        ident: &Ident,
    ) -> Result<bool, SqlError> {
        let Some(functions) = self.lookup.detectors().filter(|_| ident.quote_style.is_none()) else {
            return Ok(false);
        };
        let learns = functions.learning().contains(&name);
        if !learns && !functions.trained().contains(&name) {
            return Ok(false);
        }
        let wrong = |message: String, hint: &str| {
            SqlError::spanned(Error::new(&codes::SQL_PLAN, message).with_hint(hint), ident.span)
        };
        let usage = match learns {
            true => format!(
                "Write {name}(heat) OVER (PARTITION BY device), and OVER () where all rows are of one thing. Behind the numbers may stand a TIMESTAMP and settings: {name}(heat, at, 'threshold=3')."
            ),
            false => format!(
                "Write {name}('models/pump.json', heat, load): the path of a model that `forebay train` has made, and its columns in their order."
            ),
        };
        let Some(mut args) = positional(function).filter(|_| function.filter.is_none()) else {
            return Err(wrong(format!("{name}(…) takes expressions alone"), &usage));
        };
        if function.null_treatment.is_some() {
            let message = format!("{name}(…) takes no IGNORE NULLS or RESPECT NULLS");
            return Err(wrong(message, "A NULL is never judged and teaches nothing. Leave it out."));
        }
        if !function.within_group.is_empty() || function.parameters != FunctionArguments::None {
            return Err(wrong(format!("{name}(…) takes expressions alone"), &usage));
        }
        let settings = match args.last().and_then(literal) {
            Some(text) if args.len() > 1 => {
                args.pop();
                settings(&text).map_err(|message| wrong(format!("{name}(…): {message}"), &usage))?
            }
            _ => Vec::new(),
        };
        if learns {
            self.over(function, name).map_err(|(message, hint)| wrong(message, hint.unwrap_or(&usage)))?;
            if self.refuses_state() {
                return Err(SqlError::spanned(verify::detector(), ident.span));
            }
        } else if function.over.is_some() {
            return Err(wrong(format!("{name}(…) remembers nothing and has no OVER"), &usage));
        }
        let path = match learns {
            true => None,
            false if args.is_empty() => return Err(wrong(format!("{name}(…) needs a model"), &usage)),
            false => {
                let path = literal(&args.remove(0));
                Some(path.ok_or_else(|| wrong(format!("{name}(…) needs the path of a model first"), &usage))?)
            }
        };
        if args.is_empty() {
            return Err(wrong(format!("{name}(…) needs a number that it judges"), &usage));
        }
        let told: Vec<String> = args.iter().map(naming::name_of).collect();
        let key = format!("{name} {path:?} {settings:?} {told:?}");
        let own = match self.detectors.iter().position(|known| *known == key) {
            Some(number) => format!("__{name}_{number}"),
            None => {
                let own = format!("__{name}_{}", self.detectors.len());
                match path {
                    None => {
                        let made = Learner::function(own.clone(), name, settings, told, functions);
                        self.learners.insert(own.clone(), Arc::new(made));
                    }
                    Some(path) => {
                        let model = functions
                            .saved(name, &path, &settings, &told)
                            .map_err(|error| SqlError::spanned(error, ident.span))?;
                        self.models.push(Arc::clone(&model));
                        let made = functions::trained(own.clone(), name, model);
                        self.functions.insert(own.clone(), Arc::new(made));
                    }
                }
                self.detectors.push(key);
                own
            }
        };
        function.name = ObjectName(vec![ObjectNamePart::Identifier(quoted(own, ident))]);
        let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
        function.args = FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        });
        Ok(true)
    }

    /// Detectors of the plan where rows cannot pass them, or by a clock, are refused.
    pub(super) fn stand(&self, plan: LogicalPlan) -> DfResult<LogicalPlan> {
        match verify::detectors_stand(&plan, self.streaming) {
            Ok(()) => Ok(plan),
            Err(error) => Err(DataFusionError::External(Box::new(error))),
        }
    }

    /// DataFusion refuses windows within windows and aggregates itself; of a detector it is told under its own name.
    pub(super) fn of_detectors(&self, error: DataFusionError) -> DataFusionError {
        let said = error.to_string();
        let is_ours = said.contains("indow function calls")
            && self.learners.keys().any(|own| said.contains(own.as_str()));
        match is_ours {
            true => DataFusionError::External(Box::new(verify::misplaced_detector(self.streaming))),
            false => error,
        }
    }

    /// Refuses an OVER by which rows cannot be judged: a message, and a hint if it is not how the function is written.
    fn over(&self, function: &Function, name: &str) -> Result<(), (String, Option<&'static str>)> {
        let Some(WindowType::WindowSpec(over)) = &function.over else {
            let message = format!("{name}(…) learns from the rows before, so it needs OVER (…)");
            return Err((message, None));
        };
        if over.window_name.is_some() || over.window_frame.is_some() {
            let message = format!("{name}(…) learns from all rows before: its OVER has PARTITION BY alone");
            return Err((message, None));
        }
        match (self.streaming, over.order_by.is_empty()) {
            (true, false) => Err((
                format!("{name}(…) OVER (… ORDER BY …) is not possible over a stream"),
                Some(
                    "Rows are judged as they come: what is in one epoch here may be in two there, so none is sorted. Leave ORDER BY out.",
                ),
            )),
            (false, true) => Err((
                format!("{name}(…) learns from the rows before, and a table has no order"),
                Some("Write OVER (PARTITION BY device ORDER BY at)."),
            )),
            _ => Ok(()),
        }
    }
}

/// `threshold=3, warm_up=50`.
fn settings(text: &str) -> Result<Vec<(String, f64)>, String> {
    let mut all: Vec<(String, f64)> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is no setting"))?;
        let (name, value) = (name.trim(), value.trim().parse::<f64>().ok().filter(|value| value.is_finite()));
        let value = value.ok_or_else(|| format!("`{part}` is no setting with a number"))?;
        if all.iter().any(|(known, _)| known == name) {
            return Err(format!("`{name}` is set twice"));
        }
        all.push((name.to_owned(), value));
    }
    Ok(all)
}
