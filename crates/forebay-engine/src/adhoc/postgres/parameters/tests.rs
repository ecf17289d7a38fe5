//! The types that places tell, and values in them.

use arrow::datatypes::DataType::{Boolean, Float64, Int32, Int64, Utf8};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit};
use arrow::util::display::array_value_to_string;
use datafusion::common::ScalarValue;
use futures::StreamExt;

use super::super::tests::{NoSystem, Readings, asked};
use super::super::{Planned, Planning, plan, split};
use crate::adhoc::Limits;
use crate::plan::SqlError;

const MONTHS: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

async fn planned(sql: &str, given: &[Option<DataType>]) -> Planned {
    let text = split(sql).unwrap().remove(0);
    let planning = Planning::new(&Readings, None, &NoSystem, Limits::default(), 1_700_000_000_000);
    plan(planning, &text, given).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_has_the_type_that_its_place_has_in_postgresql() {
    for (sql, expected) in [
        ("SELECT n FROM readings ORDER BY n LIMIT $1 OFFSET $2", vec![Int64, Int64]),
        ("SELECT n FROM readings WHERE $1", vec![Boolean]),
        ("SELECT n FROM readings WHERE n > $2 AND $1", vec![Boolean, Int64]),
        ("SELECT n FROM readings WHERE NOT $1 OR $2", vec![Boolean, Boolean]),
        ("SELECT timestamp '2026-01-01' + $1, $2 + now()", vec![MONTHS, MONTHS]),
        ("SELECT n FROM readings WHERE now() + $1 > now()", vec![MONTHS]),
        ("SELECT value FROM generate_series(1, $1)", vec![Int64]),
        ("SELECT value FROM generate_series($1, $2, $3) AS g(value)", vec![Int64, Int64, Int64]),
        ("SELECT substr(\"deviceId\", $1, $2) FROM readings", vec![Int32, Int32]),
        ("SELECT coalesce(n, $1) FROM readings", vec![Int64]),
        ("SELECT CASE WHEN $1 THEN n ELSE $2 END FROM readings", vec![Boolean, Int64]),
        ("SELECT n FROM readings WHERE \"deviceId\" = $2 AND temperature > $1", vec![Float64, Utf8]),
        ("SELECT $1", vec![Utf8]),
        ("SELECT $1::int, $2::float8, $3::varchar(2)", vec![Int32, Float64, Utf8]),
        ("SELECT n + $1, $2 / n, temperature * $3 FROM readings", vec![Int64, Int64, Float64]),
        ("SELECT interval '1 hour' * $1, 1 + $2", vec![Float64, Int32]),
        ("SELECT n FROM readings WHERE n IN ($1, 2)", vec![Int64]),
        (
            "SELECT CASE n WHEN $1 THEN 1 END, lag(n, $2, $3) OVER (ORDER BY n) FROM readings",
            vec![Int64, Int32, Int64],
        ),
        ("SELECT n FROM readings UNION ALL SELECT $1", vec![Int64]),
        ("SELECT v FROM (VALUES ($1)) t(v)", vec![Utf8]),
    ] {
        assert_eq!(planned(sql, &[]).await.parameters, expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_the_client_gives_holds_and_its_column_is_told_so() {
    let planned =
        planned("SELECT x + 1 AS y FROM (SELECT n + $1 AS x FROM readings) t", &[Some(Float64)]).await;
    assert_eq!(planned.parameters, [Float64]);
    assert_eq!(planned.schema.field(0).data_type(), &Float64);
    let answer = planned.run(vec![ScalarValue::Float64(Some(0.5))]).await.unwrap();
    assert_eq!(answer.schema.field(0).data_type(), &Float64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_of_values_is_what_comes() {
    let planned = planned("SELECT v FROM (VALUES ($1), ($2)) t(v)", &[Some(Int64), None]).await;
    assert_eq!(planned.parameters, [Int64, Int64]);
    assert_eq!(planned.schema.field(0).data_type(), &Int64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cast_of_a_parameter_is_postgresqls() {
    let number = |value: f64| ScalarValue::Float64(Some(value));
    let tenths = |value: i128| ScalarValue::Decimal128(Some(value), 38, 1);
    for (sql, value, expected) in [
        ("SELECT $1::int", number(2.5), "2"),
        ("SELECT $1::int", number(3.5), "4"),
        ("SELECT $1::int", tenths(25), "3"),
        ("SELECT $1::varchar(2)", ScalarValue::Utf8(Some("abc".to_owned())), "ab"),
        ("SELECT $1::text", number(10.0), "10"),
        ("SELECT 1 / $1", tenths(3), "3.3333333333333333"),
        ("SELECT date '2026-01-05' + $1", ScalarValue::Int32(Some(1)), "2026-01-06"),
        ("SELECT 2147483647 + $1", ScalarValue::Int32(Some(1)), "integer out of range"),
    ] {
        let given = [Some(value.data_type())];
        let run = async {
            let text = split(sql)?.remove(0);
            let planning = Planning::new(&Readings, None, &NoSystem, Limits::default(), 1_700_000_000_000);
            let mut answer = plan(planning, &text, &given).await?.run(vec![value]).await?;
            let batch = answer.batches.next().await.unwrap()?;
            let came = super::super::as_text::written(batch.column(0)).unwrap();
            Ok(array_value_to_string(&came, 0).unwrap())
        };
        let came: Result<String, SqlError> = run.await;
        assert_eq!(came.unwrap_or_else(|error| error.error.message().to_owned()), expected, "{sql}");
    }
}

#[test]
fn values_come_to_the_places_of_their_parameters() {
    let whole = |number: i64| ScalarValue::Int64(Some(number));
    let day = ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(0, 1, 0)));
    for (sql, values, expected) in [
        ("SELECT n FROM readings ORDER BY n LIMIT $1 OFFSET $2", vec![whole(1), whole(1)], "n; 2"),
        ("SELECT n FROM readings ORDER BY n LIMIT $1", vec![ScalarValue::Int64(None)], "n; 1; 2; 3"),
        ("SELECT n FROM readings WHERE $1", vec![ScalarValue::Boolean(Some(false))], "n"),
        ("SELECT timestamp '2026-01-01' + $1 AS t", vec![day], "t; 2026-01-02T00:00:00"),
        ("SELECT value FROM generate_series(2, $1) ORDER BY 1", vec![whole(3)], "value; 2; 3"),
        (
            "SELECT a.a FROM generate_series(1, $1 + 1) a JOIN generate_series($2, 9) b ON a.a = b.b",
            vec![whole(2), whole(3)],
            "a; 3",
        ),
        (
            "SELECT n FROM readings WHERE n IN (SELECT value FROM generate_series(3, $1))",
            vec![whole(9)],
            "n; 3",
        ),
        ("SELECT value FROM generate_series(1, $1)", vec![ScalarValue::Int64(None)], "value"),
        (
            "SELECT value FROM generate_series($1::date, '2026-01-06', '1 day') ORDER BY 1",
            vec![ScalarValue::Date32(Some(20_458))],
            "value; 2026-01-05T00:00:00Z; 2026-01-06T00:00:00Z",
        ),
        (
            "SELECT n || $1 AS t FROM readings WHERE n = 2",
            vec![ScalarValue::Utf8(Some("a".to_owned()))],
            "t; 2a",
        ),
    ] {
        let answer = asked(sql, values, Limits::default());
        assert_eq!(answer.unwrap_or_else(|error| panic!("{sql}: {error}")), expected, "{sql}");
    }
}
