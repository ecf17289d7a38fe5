//! `detectors` of the file, for the planner, and where in the file the pieces stand that it refuses; and detectors that are called
//! in SQL ([`Called`]), which are the same models.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_core::Error;
use forebay_core::config::{DetectorConfig, Placed, Problem};
use forebay_core::detect::{Functions, Model};
use forebay_core::error::codes;
use forebay_core::options::unknown_name;
use forebay_engine::plan::{Detect, SqlError};
use forebay_rules::detectors::saved::{Saved, TRAINED, Training};
use forebay_rules::detectors::{KINDS, Kinded, Words};
use forebay_storage::read_regular;

/// Largest file of a saved model: a thousand trees of many rows.
const MAX_MODEL_BYTES: u64 = 256 << 20;

/// A detector's model and columns; or what is wrong with its kind and settings, at its place. A saved model is read, under `data`.
pub(super) fn made(config: &DetectorConfig, file: &str, data: Option<&Path>) -> Result<Detect, Problem> {
    let at = |error: Error, of: &Placed| Problem::at(error, file, of.place, of.text.chars().count());
    let settings: Vec<(&str, f64)> =
        config.settings.iter().map(|(name, value)| (name.text.as_str(), *value)).collect();
    let model = model(config, &settings, data.unwrap_or(Path::new("."))).map_err(|wrong| {
        let Wrong { error, of } = wrong;
        let is_of = |(name, _): &&(Placed, f64)| error.message().contains(&format!("`{}`", name.text));
        let setting = config.settings.iter().find(is_of).map(|(name, _)| name);
        at(error.clone(), of.or(setting).unwrap_or(&config.kind))
    })?;
    let texts = |placed: &[Placed]| placed.iter().map(|it| it.text.trim_matches('`').to_owned()).collect();
    Ok(Detect {
        keys: texts(&config.key),
        columns: texts(&config.columns),
        time: config.time.as_ref().map(|time| time.text.trim().trim_matches('`').to_owned()),
        model,
    })
}

/// What is wrong, and of which piece of the file; `None`: of the setting that the message names, else of the kind.
struct Wrong<'c> {
    error: Error,
    of: Option<&'c Placed>,
}

impl From<Error> for Wrong<'_> {
    fn from(error: Error) -> Self {
        Self { error, of: None }
    }
}

fn model<'c>(
    config: &'c DetectorConfig,
    settings: &[(&str, f64)],
    data: &Path,
) -> Result<Arc<dyn Model>, Wrong<'c>> {
    let name = config.kind.text.trim();
    let words = words_of(config);
    if TRAINED.iter().any(|known| known.name == name) {
        let training = Training::of(name, settings)?;
        let Some(path) = &config.model else {
            let error = Error::new(
                &codes::MISSING_KEY,
                format!("`{name}` is trained before, and there is no `model`"),
            );
            let hint = format!(
                "Add `model: models/{}.json`, and make it with `forebay train {} -f FILE --on TABLE`.",
                config.name, config.name
            );
            return Err(error.with_hint(hint).into());
        };
        let of_path = |error: Error| Wrong { error, of: Some(path) };
        let text = read(&data.join(path.text.trim())).map_err(|error| {
            of_path(error.with_hint(format!("`forebay train {} -f FILE --on TABLE` makes it.", config.name)))
        })?;
        return Ok(Arc::new(Saved::read(&text, &training, words).map_err(of_path)?));
    }
    if let Some(path) = &config.model {
        let trained =
            TRAINED.iter().map(|known| format!("`{}`", known.name)).collect::<Vec<_>>().join(" and ");
        let error = Error::new(&codes::BAD_VALUE, format!("`{name}` learns as it goes and has no `model`"));
        return Err(Wrong {
            error: error.with_hint(format!("Trained before are {trained}.")),
            of: Some(path),
        });
    }
    let Some(known) = KINDS.iter().find(|known| known.name == name) else {
        let names = KINDS.iter().map(|known| known.name).chain(TRAINED.iter().map(|known| known.name));
        let unknown = unknown_name("detector", name, names);
        return Err(Error::new(&codes::BAD_VALUE, unknown.message()).with_hint(unknown.hint()).into());
    };
    if let (false, Some(second)) = (known.several, config.columns.get(1)) {
        let error = Error::new(&codes::BAD_VALUE, format!("`{name}` judges one column, not several together")).with_hint(
            "Several at once are judged by `half_space_trees`, `isolation_forest` and `k_means`; or write a detector for each.",
        );
        return Err(Wrong { error, of: Some(second) });
    }
    Ok(Arc::new(Kinded::new(name, settings, words)?))
}

/// The models of detectors that are called in SQL.
#[derive(Debug)]
pub struct Called {
    /// The folder under which the paths of saved models lie; `None` where a statement may name no file.
    pub models: Option<PathBuf>,
}

impl Functions for Called {
    fn learning(&self) -> Vec<&'static str> {
        KINDS.iter().map(|known| known.name).collect()
    }

    fn trained(&self) -> Vec<&'static str> {
        TRAINED.iter().map(|known| known.name).collect()
    }

    fn learner(
        &self,
        kind: &str,
        settings: &[(String, f64)],
        inputs: &[String],
    ) -> Result<Arc<dyn Model>, Error> {
        let several = KINDS.iter().any(|known| known.name == kind && known.several);
        if !several && inputs.len() > 1 {
            let error =
                Error::new(&codes::SQL_PLAN, format!("{kind}(…) judges one number, not several together"));
            return Err(error.with_hint(
                "Several at once are judged by half_space_trees(…), and by models that are trained before.",
            ));
        }
        let words = Words::named(inputs.iter().map(String::as_str));
        Ok(Arc::new(Kinded::new(kind, &borrowed(settings), words)?))
    }

    fn saved(
        &self,
        kind: &str,
        path: &str,
        settings: &[(String, f64)],
        inputs: &[String],
    ) -> Result<Arc<dyn Model>, Error> {
        let Some(folder) = &self.models else {
            let error =
                Error::new(&codes::SQL_PLAN, format!("{kind}(…) names a file, which is not possible here"));
            return Err(error
                .with_hint("Call it in a query of the pipeline, or with `forebay query` on this machine."));
        };
        let training = Training::of(kind, &borrowed(settings))?;
        let text = read(&folder.join(path.trim())).map_err(|error| {
            error.with_hint(
                "`forebay train NAME -f FILE --on TABLE` makes a model for a detector of the file.",
            )
        })?;
        let words = Words::named(inputs.iter().map(String::as_str));
        Ok(Arc::new(Saved::of_arguments(&text, &training, words)?))
    }
}

fn borrowed(settings: &[(String, f64)]) -> Vec<(&str, f64)> {
    settings.iter().map(|(name, value)| (name.as_str(), *value)).collect()
}

/// What the columns are called in a reason.
fn words_of(config: &DetectorConfig) -> Words {
    let unit = |number: usize| {
        let unit = config.unit.as_ref().filter(|_| number == 0);
        unit.map_or_else(String::new, |unit| format!(" {}", unit.text.trim()))
    };
    let columns = config.columns.iter().enumerate();
    Words { inputs: columns.map(|(number, column)| (column.text.clone(), unit(number))).collect() }
}

fn read(path: &Path) -> Result<String, Error> {
    let unreadable = |detail: String| {
        Error::new(&codes::FILE_UNREADABLE, "the saved model cannot be read")
            .at(path.display())
            .with_detail(detail)
    };
    let bytes = read_regular(path, MAX_MODEL_BYTES).map_err(|e| unreadable(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| unreadable(e.to_string()))
}

/// The problem of a column that the planner refuses, at the column; else at what is watched.
pub(super) fn of_column(error: &SqlError, config: &DetectorConfig, file: &str) -> Problem {
    let message = error.error.message();
    let pieces =
        [("key", config.key.as_slice()), ("column", &config.columns), ("time", config.time.as_slice())];
    let named = pieces.iter().find_map(|(what, placed)| {
        let rest = message.strip_prefix(&format!("`{what}`: "))?;
        placed.iter().find(|it| rest.contains(&format!("`{}`", it.text.trim_matches('`'))))
    });
    let of = named.unwrap_or(&config.on);
    Problem::at(error.error.clone(), file, of.place, of.text.chars().count())
}

/// What the file says of a detector.
pub fn words(config: &DetectorConfig) -> String {
    let list = |placed: &[Placed]| placed.iter().map(|it| it.text.trim()).collect::<Vec<_>>().join(", ");
    let mut out =
        format!("{} of {} on {}", config.kind.text.trim(), list(&config.columns), config.on.text.trim());
    let said = [
        (" by ", list(&config.key)),
        (", time ", list(config.time.as_slice())),
        (", in ", list(config.unit.as_slice())),
        (", model ", list(config.model.as_slice())),
    ];
    for (word, text) in said.iter().filter(|(_, text)| !text.is_empty()) {
        out.push_str(word);
        out.push_str(text);
    }
    for (name, value) in &config.settings {
        out.push_str(&format!(", {}={value}", name.text));
    }
    out
}
