//! Each function that is registered, called: none makes much more than the budget expects of it.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use arrow::array::{ArrayRef, Int64Array, ListArray};
use arrow::datatypes::{Field, Int64Type};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF};

use super::super::budget::growth;
use super::*;

const ROWS: usize = 3;

/// A text of 3,000 letters, a list of 300 short texts, one of 300 numbers, a number, a small list.
fn values() -> Vec<ArrayRef> {
    let texts = |word: &str, count| -> ArrayRef {
        let mut builder = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
        for _ in 0..ROWS {
            (0..count).for_each(|_| builder.values().append_value(word));
            builder.append(true);
        }
        Arc::new(builder.finish())
    };
    let numbers = (0..ROWS).map(|_| Some((0..300).map(Some)));
    vec![
        Arc::new(StringArray::from(vec!["a".repeat(3_000); ROWS])),
        Arc::new(StringArray::from(vec!["a"; ROWS])),
        texts("ab", 300),
        texts("a", 1),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(numbers)),
        Arc::new(Int64Array::from(vec![40; ROWS])),
    ]
}

/// Lists of up to four of the values.
fn arguments() -> Vec<Vec<ArrayRef>> {
    let values = values();
    let mut all: Vec<Vec<ArrayRef>> = vec![Vec::new()];
    let mut last = all.clone();
    for _ in 0..4 {
        last = last
            .iter()
            .flat_map(|before| {
                values.iter().map(|value| [before.as_slice(), std::slice::from_ref(value)].concat())
            })
            .collect();
        all.extend(last.clone());
    }
    all
}

/// What a function makes of these arguments, and what is expected; `None` if it does not take them.
fn called(function: &ScalarUDF, args: &[ArrayRef]) -> Option<(u64, u64)> {
    let fields: Vec<_> =
        args.iter().map(|arg| Arc::new(Field::new("", arg.data_type().clone(), true))).collect();
    let fields = fields_with_udf(&fields, function).ok()?;
    let args: Vec<ColumnarValue> = args
        .iter()
        .zip(&fields)
        .map(|(arg, field)| arrow::compute::cast(arg, field.data_type()).map(ColumnarValue::Array))
        .collect::<Result<_, _>>()
        .ok()?;
    let literals = vec![None; args.len()];
    let asked = ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &literals };
    let return_field = function.return_field_from_args(asked).ok()?;
    if !growth::varies(return_field.data_type()) {
        return Some((0, 0));
    }
    let expected = growth::expected(function.name(), &args, return_field.data_type(), ROWS);
    let call = ScalarFunctionArgs {
        args,
        arg_fields: fields,
        number_rows: ROWS,
        return_field,
        config_options: Arc::default(),
    };
    match function.invoke_with_args(call).ok()? {
        ColumnarValue::Array(made) => Some((growth::size_of(&made), expected)),
        ColumnarValue::Scalar(made) => Some((made.size() as u64, expected)),
    }
}

#[test]
fn no_function_makes_much_more_than_is_expected_of_it() {
    let purpose = session::Purpose::Batch { now_ms: 0, deadline: None };
    let state = session::session(purpose, Zone::UTC, Arc::default()).unwrap();
    let arguments = arguments();
    let (mut tried, mut wrong) = (BTreeSet::new(), Vec::new());
    for (name, function) in state.scalar_functions() {
        // What a function cannot take may make it panic; a statement survives that, and so does this test.
        for args in &arguments {
            let called = std::panic::catch_unwind(AssertUnwindSafe(|| called(function, args)));
            let Ok(Some((made, expected))) = called else { continue };
            tried.insert(name);
            if made > expected * 3 + 16_384 {
                let types: Vec<String> = args.iter().map(|arg| arg.data_type().to_string()).collect();
                wrong.push(format!(
                    "{name}({}) makes {made} bytes, {expected} are expected",
                    types.join(", ")
                ));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "add to GROWING:\n{}", wrong.join("\n"));
    assert!(tried.len() * 3 > state.scalar_functions().len() * 2, "only {} were called", tried.len());
}
