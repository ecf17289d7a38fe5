//! Functions whose first argument is a unit, a word of its own: `timestampadd(MONTH, 1, at)` and `timestampdiff(DAY, a, b)`, which
//! Spark calls `dateadd` and `datediff` too.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart,
    Spanned,
};
use forebay_core::Error;
use forebay_core::error::codes;

use super::calls;
use crate::plan::sql_error::SqlError;

const UNITS: [&str; 10] =
    ["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND"];

/// The day of a year that is added to is a day.
const DAY_OF_YEAR: &str = "DAYOFYEAR";

/// What a function of three arguments is called whose first one is a unit.
pub(super) fn name_of(function: &Function) -> Option<&'static str> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let name = function.name.to_string().to_ascii_lowercase();
    match (name.as_str(), list.args.len()) {
        ("timestampadd" | "dateadd" | "date_add", 3) => Some("timestampadd"),
        ("timestampdiff" | "datediff" | "date_diff", 3) => Some("timestampdiff"),
        _ => None,
    }
}

/// Makes the unit a text, before names are looked for.
pub(super) fn read(function: &mut Function) -> Result<(), SqlError> {
    let Some(name) = name_of(function) else { return Ok(()) };
    let ident = function.name.0.first().and_then(|part| part.as_ident()).cloned();
    let mut renamed = ident.unwrap_or_else(|| Ident::new(name));
    renamed.value = name.to_owned();
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(unit))) = list.args.first_mut() else {
        return Ok(());
    };
    let word = match unit {
        Expr::Identifier(word) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
        _ => String::new(),
    };
    if !UNITS.contains(&word.as_str()) && (word != DAY_OF_YEAR || name == "timestampdiff") {
        let message = format!("{name}(…) begins with a unit of time");
        let hint = format!("Write one of {}, without quotes.", UNITS.join(", "));
        let error = Error::new(&codes::SQL_PLAN, message).with_hint(hint);
        return Err(SqlError::spanned(error, unit.span()));
    }
    *unit = calls::string(&word);
    function.name = ObjectName(vec![ObjectNamePart::Identifier(renamed)]);
    Ok(())
}
