//! Alerts that watch the same: one SELECT gives the columns of all of them, so that a record is decoded and its conditions are computed
//! once, however many alerts there are.
//!
//! What must stay true: each alert keeps a SELECT of its own, and nothing but speed depends on the common one: alerts over what remembers
//! or joins, and those that ask for the time, have none, and where it cannot be planned nobody has one.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay_engine::plan::{self, Catalog};
use forebay_engine::share::{Share, Sharing};
use forebay_rules::{Readings, columns as named_so};

use super::PlannedAlert;
use super::plan::{Item, select};
use crate::json::FromJson;

/// Most alerts that share a SELECT: the time of planning grows with its columns.
const MOST: usize = 128;

/// Finds the alerts that can share, each with what its SELECT lists.
pub fn share(catalog: &Catalog, alerts: &mut [PlannedAlert], lists: &[Vec<Item>]) {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, alert) in alerts.iter().enumerate().filter(|(_, alert)| alert.plan.is_of_rows()) {
        groups.entry(alert.config.on.text.trim().to_lowercase()).or_default().push(number);
    }
    for group in groups.values().flat_map(|group| group.chunks(MOST)).filter(|group| group.len() > 1) {
        let Some(first) = group.first().and_then(|first| alerts.get(*first)) else { continue };
        let on = first.config.on.text.trim().to_owned();
        let mut columns: Vec<&str> = Vec::new();
        let places = group.iter().map(|number| {
            let items = lists.get(*number).map(Vec::as_slice).unwrap_or_default();
            let mut places: Vec<usize> = Vec::with_capacity(items.len() + 1);
            for item in items {
                let known = columns.iter().position(|sql| *sql == item.sql);
                places.push(known.unwrap_or_else(|| {
                    columns.push(&item.sql);
                    columns.len() - 1
                }));
            }
            places
        });
        let places: Vec<Vec<usize>> = places.collect();
        let names: Vec<String> = (0..columns.len()).map(|number| format!("column {number}")).collect();
        let sql = select(columns.iter().copied().zip(names.iter().map(String::as_str)), &on);
        let Ok(plan) = plan::plan(&catalog.naming_records(), &sql, Some(&FromJson)) else {
            tracing::debug!(
                on,
                "alerts are computed one by one: their conditions cannot be planned together"
            );
            continue;
        };
        let sharing = Sharing::new(Arc::new(plan.naming_sources(named_so::SOURCE)));
        let readings = Readings::default();
        for (number, mut places) in group.iter().zip(places) {
            // Which source it is stands behind the others.
            places.push(columns.len());
            if let Some(alert) = alerts.get_mut(*number) {
                alert.share = Share::of(&sharing, &alert.plan, &places);
                alert.readings = readings.clone();
            }
        }
    }
}
