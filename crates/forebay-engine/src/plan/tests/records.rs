//! Views that hand on their records: what an alert over a view stands on.

use super::*;

/// What SQL of Forebay's own gives.
fn carried(sql: &str) -> String {
    given(&views().naming_records(), sql)
}

/// What a query gives in a catalogue that carries records.
fn out_of_sight(sql: &str) -> String {
    given(&views().carrying_records(), sql)
}

fn views() -> Catalog {
    let mut catalog = catalog();
    catalog.add_view("renamed", "SELECT x FROM (SELECT device_id FROM hot) AS t(x)").unwrap();
    catalog.add_view("with", "WITH w(y) AS (SELECT device_id FROM iot) SELECT y FROM w").unwrap();
    catalog.add_view("parsed", "SELECT CAST(value AS STRING) AS v FROM raw WHERE offset = 101").unwrap();
    catalog
}

fn given(catalog: &Catalog, sql: &str) -> String {
    let plan = match plan(catalog, sql, Some(&Json)) {
        Ok(plan) => plan,
        Err(error) => return error.to_string(),
    };
    csv(&plan.executor(0).process(input(&plan), &mut Fates::default()).unwrap())
}

#[test]
fn a_view_hands_on_when_and_where_its_records_were() {
    let at = "2023-11-14T22:13:20Z";
    for (view, column, value) in
        [("hot", "temperature", "75.0"), ("hot_ids", "Id", "b"), ("renamed", "x", "b"), ("with", "y", "b")]
    {
        let given = carried(&format!(
            "SELECT {column} AS c, __timestamp AS at, __topic AS topic, __partition AS p FROM {view} WHERE {column} = '{value}'"
        ));
        assert_eq!(given, format!("c,at,topic,p\n{value},{at},iot_topic,3"), "{view}");
    }
    let given = carried("SELECT v IS NULL AS v, __timestamp AS at, __partition AS p FROM parsed");
    assert_eq!(given.lines().nth(1).map(|line| line.ends_with(&format!(",{at},3"))), Some(true), "{given}");
}

#[test]
fn a_star_shows_nothing_of_it() {
    assert_eq!(out_of_sight("SELECT * FROM hot_ids"), "Id,temperature\nb,75.0");
    assert_eq!(out_of_sight("SELECT * FROM (SELECT * FROM renamed)"), "x\nb");
    assert_eq!(out_of_sight("SELECT h.* FROM hot_ids AS h"), "Id,temperature\nb,75.0");
}

#[test]
fn nobody_can_name_it() {
    for column in ["__timestamp", "__topic", "__partition", "__offset", "h.__timestamp", "__TOPIC"] {
        for sql in [
            format!("SELECT {column} FROM hot_ids AS h"),
            format!("SELECT h.Id FROM hot_ids AS h WHERE {column} IS NOT NULL"),
            format!("SELECT x FROM (SELECT {column} AS x FROM hot_ids AS h) AS t"),
        ] {
            let refused = plan(&views().carrying_records(), &sql, Some(&Json)).err().unwrap().error;
            assert!(refused.message().starts_with("unknown column `__"), "{sql}: {refused}");
            assert!(!refused.hint().contains("__"), "{sql}: {}", refused.hint());
        }
    }
    // Nor in a view under what Forebay itself selects.
    let below = carried("SELECT x FROM (SELECT __topic AS x FROM hot_ids) AS t");
    assert!(below.contains("unknown column `__topic`"), "{below}");
}

#[test]
fn without_being_asked_a_view_hands_on_what_it_selects() {
    let refused = outcome("SELECT __timestamp FROM hot");
    assert!(refused.contains("unknown column `__timestamp`") && !refused.contains("__topic"), "{refused}");
}
