//! Where the options of a connector stand in the file, for what only the connector can refuse.
//!
//! A connector knows no file: its errors name the option they mean in back-quotes. Here the name becomes a place.
//! What must stay true: a value that came from the environment or a file is in no message, although a connector may
//! quote it.

use super::Problem;
use super::parse::Reading;
use super::raw_options::RawOption;
use crate::error::{Error, codes};
use crate::options::looks_secret;

/// A piece of one line: line and column from 1, and how many characters.
type Place = ((usize, usize), usize);

/// Where a connector's options stand.
#[derive(Clone, Debug)]
pub struct OptionPlaces {
    /// Where the options begin: for errors that name none.
    all: (usize, usize),
    each: Vec<OptionPlace>,
}

#[derive(Clone, Debug)]
struct OptionPlace {
    name: String,
    key: Place,
    value: Place,
    /// Its value could not be read, which was reported.
    is_broken: bool,
    /// Its value must not be shown, and its name does not tell a connector so.
    is_hidden: bool,
}

impl OptionPlaces {
    /// Of options that stand in no file.
    pub fn none() -> Self {
        Self { all: (1, 1), each: Vec::new() }
    }

    pub(super) fn new<'o>(
        options: impl IntoIterator<Item = &'o RawOption>,
        all: (usize, usize),
        reading: &Reading<'_>,
    ) -> Self {
        let place = |span| (reading.problems.place(span), reading.problems.length(span));
        let each = options.into_iter().map(|option| OptionPlace {
            name: option.name.clone(),
            key: place(option.key_span),
            value: place(option.span),
            is_broken: option.usable().is_none(),
            is_hidden: option.is_secret() && !looks_secret(&option.name),
        });
        Self { all, each: each.collect() }
    }

    /// A connector's error as a problem of `file`: at the first option that it names and the file gives, else where
    /// the options begin. `None` if that option's value could not be read: then the error follows from that.
    pub fn problem(&self, error: Error, file: &str) -> Option<Problem> {
        let Some(option) = self.named(error.message()) else {
            return Some(Problem::at(error, file, self.all, 1));
        };
        if option.is_broken {
            return None;
        }
        let error = match option.is_hidden {
            true => Error::new(
                error.code(),
                format!("option `{}` is refused; its value is a secret", option.name),
            )
            .with_hint(error.hint()),
            false => error,
        };
        let is_name = error.code() == &codes::UNKNOWN_KEY;
        let (place, length) = if is_name { option.key } else { option.value };
        Some(Problem::at(error, file, place, length))
    }

    fn named(&self, message: &str) -> Option<&OptionPlace> {
        // `bootstrap.servers` is what a client calls `kafka.bootstrap.servers`.
        let means = |option: &OptionPlace, name: &str| {
            let rest =
                option.name.len().checked_sub(name.len()).and_then(|at| option.name.split_at_checked(at));
            rest.is_some_and(|(before, tail)| {
                tail.eq_ignore_ascii_case(name) && (before.is_empty() || before.ends_with('.'))
            })
        };
        let mut names = message.split('`').skip(1).step_by(2).filter(|name| !name.is_empty());
        names.find_map(|name| self.each.iter().find(|option| means(option, name)))
    }
}
