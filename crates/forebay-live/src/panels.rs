//! The panels of the page: those that the file names, else those that follow from the layouts.
//!
//! Pure. What must stay true: the same file and schemas give the same panels with the same ids, so that what a person moved on
//! the page stays where it is.

use forebay_core::config::{Chart, DashboardConfig, PanelConfig};
use serde::Serialize;

use crate::Live;
use crate::layout::{Layout, Role};

/// Lines of one source that are made without being asked for.
const MOST_LINES: usize = 8;

/// How often a SELECT is asked again if the file does not say, ms.
const EVERY_MS: u64 = 10_000;

/// A panel of the page.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Panel {
    /// Differs from those of all other panels.
    pub id: String,
    /// Its title.
    pub title: String,
    /// How it is drawn.
    pub chart: Chart,
    /// The source that it shows.
    pub source: Option<String>,
    /// The field that it shows.
    pub field: Option<String>,
    /// The SELECT that it shows.
    pub sql: Option<String>,
    /// How the rows of the SELECT are drawn.
    #[serde(rename = "as")]
    pub drawn_as: Option<Chart>,
    /// How often the SELECT is asked again, ms.
    pub every: Option<u64>,
    /// The unit of its numbers.
    pub unit: Option<String>,
    /// The lower end of its scale.
    pub min: Option<f64>,
    /// The upper end of its scale.
    pub max: Option<f64>,
    /// Where values begin to be worth a look.
    pub warn: Option<f64>,
    /// Where values begin to be bad.
    pub critical: Option<f64>,
    /// It stays in view.
    pub pinned: bool,
    /// It takes the whole width.
    pub wide: bool,
}

/// The panels of the page.
pub fn panels(dashboard: &DashboardConfig, live: &Live) -> Vec<Panel> {
    let mut panels: Vec<Panel> = match dashboard.panels.is_empty() {
        false => dashboard.panels.iter().map(|panel| asked_for(panel, live)).collect(),
        true => {
            let layouts = live.sources().iter().map(|source| (source.name(), source.layout()));
            layouts.flat_map(|(name, layout)| made_for(name, layout)).collect()
        }
    };
    for index in 0..panels.len() {
        let same = panels[..index].iter().filter(|other| is_sibling(&other.id, &panels[index].id)).count();
        if same > 0 {
            panels[index].id = format!("{}-{}", panels[index].id, same + 1);
        }
    }
    panels
}

/// True if `id` is the name itself or one that was numbered because of it.
fn is_sibling(id: &str, name: &str) -> bool {
    let rest = id.strip_prefix(name);
    rest.is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix('-').is_some_and(|n| n.parse::<usize>().is_ok())
    })
}

/// A panel of the file.
fn asked_for(panel: &PanelConfig, live: &Live) -> Panel {
    let only = || {
        live.sources().first().filter(|_| live.sources().len() == 1).map(|source| source.name().to_owned())
    };
    let source = panel.source.clone().or_else(|| (panel.chart != Chart::Sql).then(only).flatten());
    let field = source.as_deref().and_then(|name| live.source(name)).and_then(|source| {
        let layout = source.layout();
        layout.field(panel.field.as_deref()?).map(|index| layout.fields[index].clone())
    });
    let name = panel.field.clone().or_else(|| source.clone()).unwrap_or_default();
    let is_sql = panel.chart == Chart::Sql;
    Panel {
        id: id(panel.chart, source.as_deref(), panel.field.as_deref()),
        title: panel.title.clone().unwrap_or(if is_sql { "SQL".to_owned() } else { name }),
        chart: panel.chart,
        source,
        field: panel.field.clone(),
        sql: panel.sql.as_ref().map(|(sql, _)| sql.clone()),
        drawn_as: is_sql.then(|| panel.drawn_as.unwrap_or(Chart::Table)),
        every: is_sql.then(|| panel.every.map_or(EVERY_MS, |every| every.as_millis() as u64)),
        unit: panel.unit.clone().or_else(|| field.and_then(|field| field.unit)),
        min: panel.min,
        max: panel.max,
        warn: panel.warn,
        critical: panel.critical,
        pinned: panel.pin,
        wide: panel.wide,
    }
}

/// What a source shows if nobody says otherwise.
fn made_for(source: &str, layout: &Layout) -> Vec<Panel> {
    let with = |role: Role| layout.fields.iter().filter(move |field| field.role == role);
    let plain = |chart: Chart, title: &str, field: Option<&crate::Field>| Panel {
        id: id(chart, Some(source), field.map(|field| field.name.as_str())),
        title: title.to_owned(),
        chart,
        source: Some(source.to_owned()),
        field: field.map(|field| field.name.clone()),
        sql: None,
        drawn_as: None,
        every: None,
        unit: field.and_then(|field| field.unit.clone()),
        min: None,
        max: None,
        warn: None,
        critical: None,
        pinned: false,
        wide: false,
    };
    let mut panels: Vec<Panel> = with(Role::Value)
        .take(MOST_LINES)
        .map(|field| plain(Chart::Line, &field.name, Some(field)))
        .collect();
    if with(Role::Lat).next().is_some() && with(Role::Lon).next().is_some() {
        panels.push(plain(Chart::Map, source, None));
    }
    // Labels are shown by themselves, now and over time.
    let is_label = |field: &&crate::Field| layout.labels.iter().any(|label| layout.fields[*label] == **field);
    let states = with(Role::Status).filter(|field| !is_label(field));
    panels.extend(states.map(|field| plain(Chart::Bar, &field.name, Some(field))));
    panels.push(plain(Chart::Table, source, None));
    panels
}

fn id(chart: Chart, source: Option<&str>, field: Option<&str>) -> String {
    let chart = format!("{chart:?}").to_lowercase();
    [Some(chart.as_str()), source, field].into_iter().flatten().collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use forebay_core::clock::ManualClock;
    use forebay_core::ddl;

    use super::*;
    use crate::testing::{NOW, live, place};

    fn one() -> (tempfile::TempDir, Live) {
        let dir = tempfile::tempdir().unwrap();
        let source = live(ManualClock::at(NOW), &place(dir.path()), 10);
        (dir, Live::new(vec![source]))
    }

    fn panel(chart: Chart) -> PanelConfig {
        PanelConfig {
            chart,
            title: None,
            source: None,
            field: None,
            place: (1, 1),
            sql: None,
            drawn_as: None,
            every: None,
            unit: None,
            min: None,
            max: None,
            warn: None,
            critical: None,
            pin: false,
            wide: false,
        }
    }

    #[test]
    fn without_a_word_in_the_file_the_schema_says_what_to_show() {
        let schema = ddl::parse(
            "device_id STRING, t DOUBLE COMMENT 'K', a INT, b INT, c INT, d INT, e INT, f INT, g INT, h INT, \
             pos STRUCT<lat: DOUBLE, lon: DOUBLE>, ts BIGINT, state STRING",
        );
        let panels = made_for("iot", &Layout::new(&schema.unwrap(), None, &[]));
        let ids: Vec<&str> = panels.iter().map(|panel| panel.id.as_str()).collect();
        assert_eq!(ids[..2], ["line-iot-t", "line-iot-a"]);
        assert_eq!(ids[8..], ["map-iot", "bar-iot-state", "table-iot"], "eight lines at most");
        assert_eq!(panels[0].unit.as_deref(), Some("K"));
        let schema = ddl::parse("device_id STRING, t DOUBLE, state STRING, mode STRING").unwrap();
        let layout = Layout::new(&schema, None, &[]).with_labels(&["state".to_owned()]);
        let ids: Vec<String> = made_for("iot", &layout).into_iter().map(|panel| panel.id).collect();
        assert_eq!(ids, ["line-iot-t", "bar-iot-mode", "table-iot"], "a label needs no bars");
    }

    #[test]
    fn panels_of_the_file_come_in_its_order_with_what_the_layout_adds() {
        let (_dir, live) = one();
        let line = PanelConfig {
            source: Some("s".to_owned()),
            field: Some("t".to_owned()),
            warn: Some(65.0),
            ..panel(Chart::Line)
        };
        let sql = PanelConfig {
            sql: Some(("SELECT 1".to_owned(), (1, 1))),
            every: Some(Duration::from_secs(3)),
            ..panel(Chart::Sql)
        };
        let panels = [panel(Chart::Table), line.clone(), line, sql].to_vec();
        let panels = super::panels(&DashboardConfig { panels, ..DashboardConfig::default() }, &live);
        let ids: Vec<&str> = panels.iter().map(|panel| panel.id.as_str()).collect();
        assert_eq!(ids, ["table-s", "line-s-t", "line-s-t-2", "sql"]);
        assert_eq!((panels[0].source.as_deref(), panels[1].unit.as_deref()), (Some("s"), Some("°C")));
        assert_eq!((panels[3].drawn_as, panels[3].every), (Some(Chart::Table), Some(3_000)));
    }

    #[test]
    fn nothing_followed_shows_nothing() {
        assert!(super::panels(&DashboardConfig::default(), &Live::default()).is_empty());
    }
}
