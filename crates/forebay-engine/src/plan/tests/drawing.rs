//! Streams that queries with state read, and such queries drawn on one line.

use arrow::datatypes::Fields;
use datafusion::physical_expr::PhysicalExpr;
use forebay_core::output_mode::OutputMode;

use super::*;
use crate::plan::graph::{Feed, Gap, JoinSide, SideEnds, StepPlan};
use crate::plan::lower::{Output, Stage};

/// Sources with a watermark that is a column, one that is an expression, and without; and views over them.
pub(super) fn streams() -> Catalog {
    let mut catalog = Catalog::new();
    for source in ["iot", "secs", "plain"] {
        catalog.add_source(source, SourceColumns::Decoded(schema())).unwrap();
    }
    catalog.add_source("raw", SourceColumns::Envelope { headers: false }).unwrap();
    let time = |column: &str| SourceTime { column: column.to_owned(), delay_ms: 10_000 };
    catalog.set_watermark("IOT", time("At"));
    catalog.set_watermark("secs", time("timestamp_seconds(timestamp)"));
    catalog.set_watermark("raw", time("timestamp"));
    for (name, sql) in [
        ("warm", "SELECT device_id AS d, at AS ts, temperature AS t FROM iot WHERE temperature > 20"),
        ("seconds", "SELECT timestamp AS s, device_id FROM secs"),
        (
            "minutes",
            "SELECT window, device_id, max(temperature) AS hottest FROM iot GROUP BY window(at, '1 minute'), device_id",
        ),
    ] {
        catalog.add_view(name, sql).unwrap();
    }
    let once = |keys: &[&str], within_us| Deduplicate {
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        within_us,
    };
    catalog.add_view_once("first_only", "SELECT * FROM iot", Some(once(&["Device_ID", "at"], None))).unwrap();
    catalog
        .add_view_once(
            "first_secs",
            "SELECT device_id, temperature FROM secs",
            Some(once(&["device_id"], Some(5))),
        )
        .unwrap();
    catalog
}

pub(super) fn planned_as(sql: &str, mode: OutputMode) -> Result<StreamPlan, SqlError> {
    plan_query(&streams(), sql, Some(&Json), mode, None)
}

/// The graph of a query on one line, or how it is refused.
pub(super) fn drawn(sql: &str, mode: OutputMode) -> String {
    match planned_as(sql, mode) {
        Ok(plan) => draw(&plan),
        Err(error) => refused(error),
    }
}

pub(super) fn refused(error: SqlError) -> String {
    let error = Error::from(error);
    format!("{} {} | {} | {}", error.code().id, error.message(), error.place().unwrap_or("-"), error.hint())
}

pub(super) fn draw(plan: &StreamPlan) -> String {
    let graph = plan.graph();
    let number = |number: usize| if graph.inputs.len() > 1 { format!("i{number} ") } else { String::new() };
    let mut parts: Vec<String> = graph
        .inputs
        .iter()
        .enumerate()
        .map(|(index, input)| format!("{}{}: {}", number(index), input.source, stages(&input.stages)))
        .collect();
    let mut given: Vec<SchemaRef> = Vec::new();
    for step in &graph.steps {
        let of = |feed: &Feed| match feed {
            Feed::Input(input) => graph.inputs[*input].rows.clone(),
            Feed::Step(step) => given[*step].clone(),
        };
        let rows = of(&step.from[0][0]);
        for feeds in &step.from {
            assert!(feeds.iter().all(|feed| of(feed) == of(&feeds[0])), "all that feed a port are alike");
        }
        let fed = |feeds: &Vec<Feed>| {
            let name = |feed: &Feed| match feed {
                Feed::Input(input) => format!("i{input}"),
                Feed::Step(step) => format!("s{step}"),
            };
            feeds.iter().map(name).collect::<Vec<_>>().join("+")
        };
        let (part, gives) = match &step.plan {
            StepPlan::Aggregate(spec) => {
                assert_eq!(spec.input, rows, "each step takes the rows of the one before it");
                let window = spec.window.as_ref().map(|window| {
                    let it = window.sliding;
                    let second = |micros: i64| micros / 1_000_000;
                    format!(
                        " window#{}({} {}/{}/{})",
                        window.position,
                        window.ts,
                        second(it.size_us),
                        second(it.slide_us),
                        second(it.start_us)
                    )
                });
                let key = spec.event_key.map(|key| format!(" time#{key}")).unwrap_or_default();
                let filters: Vec<String> =
                    spec.filters.iter().flatten().map(|filter| format!(" if {filter}")).collect();
                (
                    format!(
                        "{}({}){}{key} [{}]{}{}",
                        spec.name,
                        all(&spec.keys),
                        window.unwrap_or_default(),
                        functions(&spec.aggregates),
                        filters.concat(),
                        if spec.watermarked { " ends" } else { "" },
                    ),
                    spec.output.clone(),
                )
            }
            StepPlan::Session(spec) => {
                assert_eq!(spec.input, rows);
                let gap = match &spec.gap {
                    Gap::Static(micros) => format!("{} s", micros / 1_000_000),
                    Gap::PerRow(expr) => expr.to_string(),
                };
                let ends = if spec.watermarked { " ends" } else { "" };
                (
                    format!(
                        "{}({}) session#{}({} {gap}) [{}]{ends}",
                        spec.name,
                        all(&spec.keys),
                        spec.position,
                        spec.ts,
                        functions(&spec.aggregates)
                    ),
                    spec.output.clone(),
                )
            }
            StepPlan::Deduplicate(spec) => {
                assert_eq!(spec.input, rows);
                let keys: Vec<&str> = spec.keys.iter().map(|key| rows.field(*key).name().as_str()).collect();
                let time = spec.event_time.map(|time| format!(" time {}", rows.field(time).name()));
                let within = spec.within_us.map(|within| format!(" within {within}"));
                (
                    format!(
                        "{}({}){}{}",
                        spec.name,
                        keys.join(", "),
                        time.unwrap_or_default(),
                        within.unwrap_or_default()
                    ),
                    rows.clone(),
                )
            }
            StepPlan::Detect(spec) => {
                (format!("{} {}", spec.name, spec.model.meaning()), spec.output.clone())
            }
            StepPlan::Limit(spec) => (format!("{}({})", spec.name, spec.most), rows.clone()),
            StepPlan::Join(spec) => {
                assert_eq!((&spec.left.input, &spec.right.input), (&rows, &of(&step.from[1][0])));
                let side = |side: &JoinSide| {
                    let time = side.event_time.map(|time| format!(" time {}", side.input.field(time).name()));
                    let ends = match side.ends {
                        SideEnds::Never => String::new(),
                        SideEnds::Key(key) => format!(" ends key {key}"),
                        SideEnds::Time { column, shift_ms } => {
                            format!(" ends {}{shift_ms:+}", side.input.field(column).name())
                        }
                    };
                    format!("({}){}{ends}", all(&side.keys), time.unwrap_or_default())
                };
                let from: Vec<String> = step.from.iter().map(fed).collect();
                let condition = spec.condition.as_ref().map(|condition| format!(" if {condition}"));
                (
                    format!(
                        "{} {:?} {} {} = {}{} ({})",
                        spec.name,
                        spec.kind,
                        from.join(" "),
                        side(&spec.left),
                        side(&spec.right),
                        condition.unwrap_or_default(),
                        names(spec.output.fields()),
                    ),
                    spec.output.clone(),
                )
            }
            StepPlan::Stages(staged) => (stages(&staged.stages), staged.rows.clone()),
            StepPlan::Union => ("Union".to_owned(), rows.clone()),
            StepPlan::Sort(sort) => {
                let by: Vec<String> = sort.by.iter().map(ToString::to_string).collect();
                (format!("Sort({}) {:?}", by.join(", "), sort.limit), sort.rows.clone())
            }
        };
        // Which step feeds which is told where it is not the one before.
        let is_told =
            !matches!(&step.plan, StepPlan::Join(_)) && step.from.iter().any(|feeds| feeds.len() > 1);
        parts.push(if is_told { format!("{part} of {}", fed(&step.from[0])) } else { part });
        given.push(gives);
    }
    let rows = given.last().unwrap_or(&graph.inputs[0].rows);
    assert_eq!(names(rows.fields()), names(plan.output_schema().fields()));
    parts.push(names(plan.output_schema().fields()));
    parts.join(" | ")
}

fn names(fields: &Fields) -> String {
    fields.iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
}

fn all(exprs: &[Arc<dyn PhysicalExpr>]) -> String {
    exprs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn functions(functions: &[Arc<datafusion::physical_expr::aggregate::AggregateFunctionExpr>]) -> String {
    functions
        .iter()
        .map(|it| format!("{}({})", it.fun().name(), all(&it.expressions())))
        .collect::<Vec<_>>()
        .join(", ")
}

fn stages(stages: &[Stage]) -> String {
    let stages: Vec<String> = stages
        .iter()
        .map(|stage| match stage {
            Stage::Filter(condition) => format!("Filter({condition})"),
            Stage::Observe(column) => format!("Observe({column})"),
            Stage::Lookup(lookup) => format!("Lookup({:?} in {})", lookup.spec.kind, lookup.spec.names()),
            Stage::Filled(it) => format!("Filled({})", it.array),
            Stage::Generate(it) => {
                let (all, outer) = (it.output.fields(), if it.is_outer { " or NULL" } else { "" });
                let made: Vec<&str> = all.iter().skip(it.others).map(|field| field.name().as_str()).collect();
                format!("Generate({:?}{outer} of {}: {})", it.gives, it.argument, made.join(", "))
            }
            Stage::Project(projection) => {
                let columns = projection.columns.iter().zip(projection.schema.fields());
                let columns: Vec<String> = columns
                    .map(|(column, field)| match column {
                        Output::Same(_) => field.name().clone(),
                        Output::Computed(expr) => format!("{}={expr}", field.name()),
                    })
                    .collect();
                format!("({})", columns.join(", "))
            }
        })
        .collect();
    stages.join(" ")
}

#[track_caller]
pub(super) fn check(cases: &[(&str, OutputMode, &str)]) {
    check_drawn(drawn, cases);
}

/// Compares how queries are drawn; a refusal may go on behind what is expected.
#[track_caller]
pub(super) fn check_drawn(drawn: impl Fn(&str, OutputMode) -> String, cases: &[(&str, OutputMode, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(sql, mode, expected)| {
            let got = drawn(sql, *mode);
            let fits = got == *expected || (expected.starts_with("FB-") && got.starts_with(expected));
            (!fits).then(|| format!("{mode}: {sql}\n  expected {expected}\n  got      {got}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
