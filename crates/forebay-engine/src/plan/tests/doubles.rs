//! A DOUBLE or FLOAT beside a DECIMAL or a whole number, wherever two become of one type.

use forebay_core::output_mode::OutputMode::Append;

use super::drawing::planned_as;
use super::*;

/// 1e-20 in each row that has a temperature: as DECIMAL(30,15) it is 0.
const TINY: &str = "(temperature * 0 + 1e-20)";
/// A number that no DECIMAL(30,15) holds.
const HUGE: &str = "(temperature * 1e300)";

fn written(sql: &str) -> String {
    sql.replace("TINY", TINY).replace("HUGE", HUGE)
}

#[test]
fn a_value_beside_a_decimal_keeps_its_digits() {
    for item in [
        "coalesce(TINY, 0.5)",
        "coalesce(TINY, price)",
        "coalesce(timestamp * NULL, TINY, price)",
        "nvl(TINY, price)",
        "ifnull(TINY, 0.5)",
        "nvl2(device_id, TINY, 0.5)",
        "nvl2(at, TINY, price)",
        "if(big > 1, TINY, price)",
        "CASE WHEN big > 1 THEN TINY WHEN big > 0 THEN 7 ELSE 0.5 END",
        "greatest(TINY, -0.5)",
        "least(TINY, price)",
        "nullif(TINY, price)",
        "nullif(TINY, 0.0)",
        "array(TINY, 0.5)[0]",
        "array(array(TINY), array(price))[0][0]",
        "map('x', TINY, 'y', price)['x']",
        "coalesce(if(big > 1, TINY, 0.5), price)",
    ] {
        let sql = written(&format!("SELECT {item} x FROM iot WHERE device_id = 'a'"));
        assert_eq!(outcome(&sql), "x; 1e-20", "{item}");
        assert_eq!(planned(&sql).unwrap().output_schema().field(0).data_type(), &DataType::Float64, "{item}");
    }
}

#[test]
fn comparisons_of_a_double_and_a_decimal_are_of_doubles() {
    for (condition, expected) in [
        ("HUGE BETWEEN 10.5 AND 70.5", ""),
        ("temperature BETWEEN 10.5 AND 70.5", "; a"),
        ("temperature NOT BETWEEN 10.5 AND price + 69.00", "; b"),
        ("TINY BETWEEN 0.0 AND 0.0", ""),
        ("price BETWEEN 0.0 AND HUGE", "; a"),
        ("TINY IN (0.0, 0.5)", ""),
        ("HUGE NOT IN (20.5, 0)", "; a; b"),
        ("price * 0 IN (TINY, 5)", ""),
        ("CASE TINY WHEN 0.0 THEN false WHEN 5 THEN false ELSE true END", "; a; b; \"\""),
        ("TINY IS DISTINCT FROM price * 0", "; a; b"),
        ("TINY <=> price * 0 AND big > 0", ""),
        ("price * 0 = TINY", ""),
        ("price * 0 < TINY", "; a; b"),
        ("HUGE > price", "; a; b"),
        ("coalesce(TINY, 0.5) = 0.0", ""),
        ("array(TINY) = array(0.0)", ""),
        ("struct(TINY, big) = struct(0.0, big) AND big > 0", ""),
        // 17 digits, of which a DOUBLE has the nearest.
        ("temperature * 0 + CAST('0.12345678901234567' AS DOUBLE) = 0.12345678901234567", "; a; b"),
        ("temperature * 0 + CAST('0.12345678901234567' AS DOUBLE) IN (0.12345678901234567, 5)", "; a; b"),
    ] {
        let sql = written(&format!("SELECT device_id FROM iot WHERE {condition}"));
        assert_eq!(outcome(&sql), format!("device_id{expected}"), "{condition}");
    }
}

#[test]
fn a_float_beside_a_whole_number_is_a_double() {
    // 16777217, which a FLOAT cannot tell from 16777216.
    let odd = "(timestamp - 1683222783)";
    let even = "CAST(16777216 AS FLOAT)";
    for (condition, expected) in [
        (format!("{odd} = {even}"), ""),
        (format!("{odd} > {even}"), "; a"),
        (format!("{odd} BETWEEN 16777217 AND {even}"), ""),
        (format!("{odd} IN ({even})"), ""),
        (format!("{even} + 1 = {odd}"), "; a"),
        (format!("coalesce({odd}, {even}) = 16777217"), "; a"),
    ] {
        let sql = format!("SELECT device_id FROM iot WHERE {condition}");
        assert_eq!(outcome(&sql), format!("device_id{expected}"), "{condition}");
    }
}

#[test]
fn types_are_sparks() {
    for (item, expected) in [
        ("CAST(big AS FLOAT) + timestamp", "DOUBLE"),
        ("CAST(temperature AS FLOAT) * price", "DOUBLE"),
        ("CAST(temperature AS FLOAT) % big", "DOUBLE"),
        ("price - temperature", "DOUBLE"),
        ("pmod(temperature, price)", "DOUBLE"),
        ("coalesce(timestamp, CAST(temperature AS FLOAT))", "DOUBLE"),
        ("coalesce(CAST(temperature AS FLOAT), temperature)", "DOUBLE"),
        ("array(CAST(temperature AS FLOAT), price)", "ARRAY<DOUBLE>"),
        ("nvl2(device_id, big, 2)", "BIGINT"),
        ("nvl2(device_id, deviceName, 'x')", "STRING"),
        // The first argument, as it is.
        ("nullif(price, temperature)", "DECIMAL(10,2)"),
        ("nullif(big, CAST(temperature AS FLOAT))", "BIGINT"),
        ("nullif(CAST(temperature AS FLOAT), 0.5)", "FLOAT"),
        // No DOUBLE is among these.
        ("coalesce(price, 0.5)", "DECIMAL(10,2)"),
        ("if(big > 1, timestamp, big)", "BIGINT"),
        ("price + timestamp", "DECIMAL(13,2)"),
        ("coalesce(temperature, timestamp)", "DOUBLE"),
    ] {
        let plan = planned(&format!("SELECT {item} AS x FROM iot")).unwrap();
        assert_eq!(type_name(plan.output_schema().field(0).data_type()), expected, "{item}");
    }
    let nulls = "SELECT nullif(price, temperature - 19.0) x, nullif(price, temperature) y, \
                 nullif(CAST(temperature AS FLOAT), 20.5) z FROM iot WHERE device_id = 'a'";
    assert_eq!(outcome(nulls), "x,y,z; ,1.50,");
    let text = outcome("SELECT nullif(nullif(price, temperature), temperature) x FROM iot");
    assert!(text.starts_with("FB-1008 nullif of a number") && text.contains("CAST"), "{text}");
}

#[test]
fn what_stands_on_such_a_value_sees_a_double() {
    for (sql, expected) in [
        ("SELECT x FROM (SELECT coalesce(TINY, 0.5) AS x FROM iot) WHERE x > 0.0", "x; 1e-20; 1e-20; 0.5"),
        (
            "WITH t AS (SELECT least(TINY, 0.5) AS x FROM iot) SELECT x FROM t WHERE x BETWEEN 0 AND 0.25",
            "x; 1e-20; 1e-20",
        ),
        ("SELECT coalesce(TINY, 0.5) / 0.5 AS x FROM iot WHERE device_id = 'a'", "x; 2e-20"),
    ] {
        assert_eq!(outcome(&written(sql)), expected, "{sql}");
    }
    let by_zero =
        "SELECT coalesce(temperature, 0.5) / coalesce(temperature * 0, 0.5) x FROM iot WHERE device_id = 'a'";
    let text = outcome(by_zero);
    assert!(text.starts_with("FB-4004") && text.contains("division by zero"), "{text}");
    let mut catalog = catalog();
    catalog.add_view("tiny", "SELECT device_id, coalesce(temperature, 0.5) AS x FROM iot").unwrap();
    let plan = plan(&catalog, "SELECT greatest(x, 0.5) AS y FROM tiny", None).unwrap();
    assert_eq!(plan.output_schema().field(0).data_type(), &DataType::Float64);
}

#[test]
fn groups_and_joins_are_of_doubles() {
    let types = |sql: &str| {
        let schema = planned_as(sql, Append).unwrap().output_schema();
        schema.fields().iter().map(|field| type_name(field.data_type())).collect::<Vec<_>>().join(", ")
    };
    let groups = "SELECT window.start AS s, sum(coalesce(temperature, 0.5)) AS x, max(temperature) AS y FROM iot \
                  GROUP BY window(at, '1 minute') HAVING max(temperature) BETWEEN 0.5 AND 9.5";
    assert_eq!(types(groups), "TIMESTAMP, DOUBLE, DOUBLE");
    let keys = "SELECT coalesce(temperature, 0.5) AS k, count(*) AS n FROM iot \
                GROUP BY window(at, '1 minute'), coalesce(temperature, 0.5)";
    assert_eq!(types(keys), "DOUBLE, BIGINT");
    let joined = "SELECT a.big FROM iot a JOIN iot b ON a.temperature = b.price AND b.temperature > a.price \
                  AND b.at BETWEEN a.at AND a.at + INTERVAL 1 MINUTE";
    let text = super::drawing::draw(&planned_as(joined, Append).unwrap());
    assert!(text.contains("join-0 Inner") && !text.contains("30, 15"), "{text}");
    assert!(text.contains("CAST(price@") && !text.contains("CAST(temperature@"), "{text}");
}
