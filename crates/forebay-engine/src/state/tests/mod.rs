//! State against a model: a map of rows. Each file of tests keeps one promise.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use super::layout::Named;
use super::{Applied, Changes, Layout, NEVER, Slot, Table, Upserts};

mod damage;
mod deaths;
mod files;
mod layouts;
mod table;
mod timing;

/// Window and device; a device may be NULL.
type Key = (i64, Option<String>);

/// Expiry, a number and a text, which may be NULL.
type Row = (i64, i64, Option<String>);

/// What a table should hold.
type Model = BTreeMap<Key, Row>;

fn layout() -> Arc<Layout> {
    let keys = [("window", DataType::Int64), ("device", DataType::Utf8)];
    let keys = keys.map(|(name, of)| Arc::new(Field::new(name, of, true)));
    let values = vec![Field::new("n", DataType::Int64, false), Field::new("text", DataType::Utf8, true)];
    Layout::new(keys.to_vec(), Arc::new(Schema::new(values)))
}

fn named(name: &str) -> Named {
    (name.to_owned(), layout())
}

fn key(window: i64, device: u64) -> Key {
    (window, (device > 0).then(|| format!("device-{device}")))
}

fn key_columns<'a>(keys: impl Iterator<Item = &'a Key> + Clone) -> Vec<ArrayRef> {
    let windows: Int64Array = keys.clone().map(|(window, _)| *window).collect();
    let devices: StringArray = keys.map(|(_, device)| device.as_deref()).collect();
    vec![Arc::new(windows), Arc::new(devices)]
}

fn upserts(rows: &Model) -> Upserts {
    let numbers: Int64Array = rows.values().map(|(_, number, _)| *number).collect();
    let texts: StringArray = rows.values().map(|(_, _, text)| text.as_deref()).collect();
    Upserts {
        keys: key_columns(rows.keys()),
        expires: rows.values().map(|(expires, ..)| *expires).collect(),
        values: vec![Arc::new(numbers), Arc::new(texts)],
    }
}

/// The rows at these slots.
fn rows_at(table: &Table, slots: &[Slot]) -> Vec<(Key, Row)> {
    let (keys, values) = (table.keys(slots).unwrap(), table.values(slots).unwrap());
    let (windows, devices) = (keys[0].as_primitive::<Int64Type>(), keys[1].as_string::<i32>());
    let (numbers, texts) = (values[0].as_primitive::<Int64Type>(), values[1].as_string::<i32>());
    let text = |array: &StringArray, at: usize| array.is_valid(at).then(|| array.value(at).to_owned());
    let row = |at: usize| {
        let key = (windows.value(at), text(devices, at));
        (key, (table.expires(slots[at]), numbers.value(at), text(texts, at)))
    };
    (0..slots.len()).map(row).collect()
}

fn content(table: &Table) -> Model {
    let rows = rows_at(table, &table.all());
    let content: Model = rows.iter().cloned().collect();
    assert_eq!(content.len(), rows.len(), "no key is there twice");
    content
}

/// Every way of looking at the table gives what the model says.
fn assert_same(table: &Table, model: &Model, context: &str) {
    assert_eq!(table.len(), model.len(), "{context}");
    assert_eq!(&content(table), model, "{context}");
    let absent = (77_777, None);
    let asked: Vec<&Key> = model.keys().chain([&absent]).collect();
    let found = table.find(&table.encode(&key_columns(asked.iter().copied())).unwrap());
    assert_eq!(found.last(), Some(&None), "{context}");
    let found: Vec<Slot> = found[..model.len()].iter().map(|slot| slot.unwrap()).collect();
    assert_eq!(rows_at(table, &found).into_iter().collect::<Model>(), *model, "{context}");
    let oldest = model.values().map(|row| row.0).filter(|expires| *expires != NEVER).min();
    assert_eq!(table.oldest(), oldest, "{context}");
    let Some(oldest) = oldest else { return };
    for through in [oldest - 1, oldest, oldest + 3, NEVER] {
        let due = table.due(through);
        let expires: Vec<i64> = due.iter().map(|slot| table.expires(*slot)).collect();
        assert!(expires.is_sorted(), "{context}: by expiry");
        let wanted: Model = model
            .iter()
            .filter(|(_, row)| row.0 <= through && row.0 != NEVER)
            .map(|(key, row)| (key.clone(), row.clone()))
            .collect();
        assert_eq!(due.len(), wanted.len(), "{context}");
        assert_eq!(rows_at(table, &due).into_iter().collect::<Model>(), wanted, "{context}");
    }
}

/// What an epoch does.
#[derive(Clone, Debug, Default)]
struct Epoch {
    upserts: Model,
    removed: Vec<Key>,
    evict: Option<i64>,
}

impl Epoch {
    fn changes(&self) -> Changes {
        Changes {
            upserts: (!self.upserts.is_empty()).then(|| upserts(&self.upserts)),
            removed: (!self.removed.is_empty()).then(|| key_columns(self.removed.iter())),
            evict_through: self.evict,
            ..Changes::default()
        }
    }

    fn apply(&self, model: &mut Model) -> Applied {
        let mut applied = Applied::default();
        for (key, row) in &self.upserts {
            let count = match model.insert(key.clone(), row.clone()) {
                Some(_) => &mut applied.replaced,
                None => &mut applied.added,
            };
            *count += 1;
        }
        let before = model.len();
        self.removed.iter().for_each(|key| drop(model.remove(key)));
        if let Some(through) = self.evict {
            model.retain(|_, row| row.0 > through || row.0 == NEVER);
        }
        applied.removed = (before - model.len()) as u64;
        applied
    }
}

/// An epoch that changes a few rows of many, removes some and evicts what is old, differently for each number.
fn busy(number: u64) -> Epoch {
    let at = |step: u64| (number * 7 + step * 13) % 50;
    let window = i64::try_from(number / 4).unwrap() * 10;
    let row = |step: u64| {
        let text = (!step.is_multiple_of(3)).then(|| format!("epoch {number}, step {step}"));
        (key(window, at(step)), (window + 10, i64::try_from(number * 100 + step).unwrap(), text))
    };
    Epoch {
        upserts: (0..12).map(row).collect(),
        removed: vec![key(window, at(3)), key(window - 10, at(5))],
        evict: (number % 3 == 2).then_some(window - 20),
    }
}

/// The state after the first `epochs` busy epochs.
fn busy_model(epochs: u64) -> Model {
    let mut model = Model::new();
    (0..epochs).for_each(|number| {
        busy(number).apply(&mut model);
    });
    model
}
