//! Texts of expressions.

use arrow::datatypes::DataType;
use datafusion::physical_expr::expressions::lit;

use super::columns::{paired, united};
use super::*;

type Expr = Arc<dyn PhysicalExpr>;

fn column(name: &str) -> Expr {
    Arc::new(Column::new(name, 3))
}

fn binary(left: Expr, operator: Operator, right: Expr) -> Expr {
    Arc::new(BinaryExpr::new(left, operator, right))
}

fn told(expr: &Expr) -> String {
    text_over(expr, &[])
}

#[test]
fn where_a_column_stands_is_no_part_of_what_it_means_and_a_text_is() {
    let is = |place: usize, value: &str| {
        told(&binary(Arc::new(Column::new("mail", place)), Operator::Eq, lit(value)))
    };
    assert_eq!(is(12, "x@1"), is(0, "x@1"));
    assert_eq!(is(12, "x@1"), r#"mail = Utf8("x@1")"#);
    assert_ne!(is(0, "x@1"), is(0, "x@2"));
}

#[test]
fn no_literal_reads_as_a_column_and_none_as_two() {
    for (expr, text) in [
        (column("k"), "k"),
        (column("device-1.x"), "device-1.x"),
        (column("größe"), "größe"),
        (column("1"), "`1`"),
        (column("a = b"), "`a = b`"),
        (column("a`b"), "`a``b`"),
        (column(r#"Utf8("k")"#), r#"`Utf8("k")`"#),
        (lit("k"), r#"Utf8("k")"#),
        (lit(r#"k") = Utf8("k"#), r#"Utf8("k\") = Utf8(\"k")"#),
        (lit(1_i64), "Int64(1)"),
        (lit(1_i32), "Int32(1)"),
        (lit("1"), r#"Utf8("1")"#),
        (lit(true), "Boolean(true)"),
        (lit(ScalarValue::Utf8(None)), "Utf8(NULL)"),
    ] {
        assert_eq!(told(&expr), text);
    }
    let list = |values: &[&str]| {
        let values: Vec<ScalarValue> = values.iter().map(|value| ScalarValue::from(*value)).collect();
        told(&lit(ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Utf8))))
    };
    assert_eq!(list(&["a, b"]), r#"List[Utf8("a, b")]"#);
    assert_eq!(list(&["a", "b"]), r#"List[Utf8("a"), Utf8("b")]"#);
}

#[test]
fn brackets_stand_where_operators_could_be_read_in_two_ways() {
    use Operator::{And, Eq, Minus};
    let [a, b, c] = ["a", "b", "c"].map(column);
    let two = |operator, left: &Expr, right: &Expr| binary(Arc::clone(left), operator, Arc::clone(right));
    let not = |of: &Expr| -> Expr { Arc::new(NotExpr::new(Arc::clone(of))) };
    let is_null = |of: &Expr| -> Expr { Arc::new(IsNullExpr::new(Arc::clone(of))) };
    for (expr, text) in [
        (two(Minus, &two(Minus, &a, &b), &c), "a - b - c"),
        (two(Minus, &a, &two(Minus, &b, &c)), "a - (b - c)"),
        (two(And, &two(And, &a, &b), &c), "a AND b AND c"),
        (two(And, &a, &two(And, &b, &c)), "a AND b AND c"),
        (not(&two(And, &a, &b)), "NOT (a AND b)"),
        (two(And, &not(&a), &b), "NOT a AND b"),
        (is_null(&two(Eq, &a, &b)), "(a = b) IS NULL"),
        (two(Eq, &a, &is_null(&b)), "a = b IS NULL"),
        (not(&is_null(&a)), "NOT (a IS NULL)"),
        (is_null(&not(&a)), "(NOT a) IS NULL"),
    ] {
        assert_eq!(told(&expr), text);
    }
}

#[test]
fn what_a_column_is_stands_in_its_place() {
    let sum = binary(column("a"), Operator::Plus, column("b"));
    let below = [over(&sum, &[])];
    let v: Expr = Arc::new(Column::new("v", 0));
    assert_eq!(text_over(&v, &below), "a + b");
    let twice = binary(Arc::clone(&v), Operator::Multiply, lit(2_i32));
    assert_eq!(text_over(&twice, &below), "(a + b) * Int32(2)");
    let of_right: Expr = Arc::new(Column::new("v", 1));
    let less = binary(v, Operator::Lt, of_right);
    let (left, right) = ([named("x")], [named("y")]);
    assert_eq!(text_of_pair(&less, 1, [&left, &right]), "left.x < right.y");
    assert_eq!(text_of_pair(&less, 1, [&[], &[]]), "left.v < right.v");
    assert_eq!(text_of_pair(&less, 1, [&below, &right]), "left.(a + b) < right.y");
}

#[test]
fn columns_of_unions_and_joins_are_told_by_all_their_ways() {
    let row = |names: &[&str]| -> Vec<Told> { names.iter().map(|name| named(name)).collect() };
    let texts = |columns: Vec<Told>| -> Vec<String> { columns.iter().map(text).collect() };
    assert_eq!(texts(united(&[row(&["k", "v"]), row(&["k", "w"])])), ["k", "(v | w)"]);
    assert_eq!(texts(united(&[row(&["k"])])), ["k"]);
    assert!(united(&[]).is_empty());
    assert_eq!(
        texts(paired(&row(&["k", "v"]), &row(&["k", "w"]))),
        ["left.k", "v", "right.k", "w"],
        "a column that only one side has is told as before it was joined"
    );
}

#[test]
fn a_long_text_is_told_by_a_checksum() {
    let long = |what: &str| text(&bounded(leaf(what.repeat(MAX_TEXT + 1))));
    assert!(long("a").len() < 100, "{}", long("a"));
    assert_ne!(long("a"), long("b"));
    assert_eq!(text(&bounded(leaf("short"))), "short");
}
