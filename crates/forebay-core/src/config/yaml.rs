//! YAML text to a small tree that still knows where everything stood and how it was written.
//!
//! The tree is built from the parser's events, not by the library's own loader, for three reasons: a scalar's text
//! is kept as it was typed (`1.10` stays `1.10`); every place and every doubled key is seen; and depth, anchors and
//! tags are refused before anything is built from them, so a small file cannot become a large tree.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::lines::Span;
use super::problems::Problems;
use crate::error::{Error, codes};

/// How deep mappings may nest; a pipeline file needs five levels.
const MAX_DEPTH: usize = 32;

/// A value and where it stands.
pub(super) struct Node {
    pub span: Span,
    pub kind: Kind,
}

/// What a value is.
pub(super) enum Kind {
    /// Nothing was written, or `~`, or `null`.
    Null,
    /// A word, a number, a text: as typed, without its quotes.
    Scalar(String),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the file, without doubles.
    Mapping(Vec<Entry>),
}

/// A key with its value.
pub(super) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

/// Reads the file's one document. `None` if it is not YAML or holds nothing; the reasons are in `problems`.
pub(super) fn read(problems: &mut Problems<'_>) -> Option<Node> {
    let text = problems.text();
    if let Some((at, c)) = text.char_indices().find(|(_, c)| is_forbidden(*c)) {
        let message = format!("the file holds the control character U+{:04X}", u32::from(c));
        let error = Error::new(&codes::YAML, message).with_hint("Save the file as plain UTF-8 text.");
        problems.report(Span { start: at, end: at + 1 }, error);
        return None;
    }
    let mut reader = Reader { problems, open: Vec::new(), root: None, documents: 0 };
    for event in events(text) {
        match event {
            Ok((event, span)) => reader.take(event, span)?,
            Err((error, at)) => {
                reader.problems.report(Span { start: at, end: at }, error);
                return None;
            }
        }
    }
    if reader.root.is_none() {
        let error = Error::new(&codes::MISSING_KEY, "the file is empty")
            .with_hint("A pipeline begins with `pipeline: NAME`; see examples/plant.yaml.");
        reader.problems.report(Span::default(), error);
    }
    reader.root
}

/// The parser's events with their places in bytes. Ends after the first error.
pub(super) fn events(text: &str) -> impl Iterator<Item = Result<(Event<'_>, Span), (Error, usize)>> {
    // The parser counts in characters.
    let bytes: Option<Vec<usize>> =
        (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
    let byte_of = move |index: usize| match &bytes {
        Some(bytes) => bytes.get(index).copied().unwrap_or(text.len()),
        None => index.min(text.len()),
    };
    let mut parser = Parser::new_from_str(text);
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed {
            return None;
        }
        let event = parser.next_event()?;
        failed = event.is_err();
        Some(match event {
            Ok((event, span)) => {
                Ok((event, Span { start: byte_of(span.start.index()), end: byte_of(span.end.index()) }))
            }
            Err(e) => Err((not_yaml(e.info()), byte_of(e.marker().index()))),
        })
    })
}

/// Control characters have no place in the file: some end the parser's input early, others reach terminals.
fn is_forbidden(c: char) -> bool {
    c.is_ascii_control() && !matches!(c, '\n' | '\r' | '\t')
}

fn not_yaml(info: &str) -> Error {
    let hint = if info.contains("tab") {
        "YAML is indented with blanks, never with tabs."
    } else {
        "Look at the marked place and just above it: indentation and quotes are the usual causes. A text that holds \
         `: ` or ` #`, or begins with one of `*&{[%@`, stands in quotes or below a `|`."
    };
    Error::new(&codes::YAML, "this is not valid YAML").with_detail(info).with_hint(hint)
}

struct Reader<'p, 'a> {
    problems: &'p mut Problems<'a>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

/// A collection whose end has not come yet.
enum Open {
    Sequence { start: usize, items: Vec<Node> },
    Mapping { start: usize, entries: Vec<Entry>, seen: HashMap<String, Span>, key: Option<(String, Span)> },
}

impl Reader<'_, '_> {
    /// Takes an event; `None` ends the reading.
    fn take(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return self.refuse(
                        span,
                        "a second document begins",
                        "One file holds one document: remove the `---`.",
                    );
                }
            }
            Event::Alias(_) => {
                self.anchors(span);
                self.value(Node { span, kind: Kind::Null })?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.additions(span, anchor, tag.is_some());
                let is_null =
                    style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let is_value = !matches!(self.open.last(), Some(Open::Mapping { key: None, .. }));
                let kind = if is_null && is_value { Kind::Null } else { Kind::Scalar(text.into_owned()) };
                self.value(Node { span, kind })?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.additions(span, anchor, tag.is_some());
                self.begin(span, Open::Sequence { start: span.start, items: Vec::new() })?;
            }
            Event::MappingStart(anchor, tag) => {
                self.additions(span, anchor, tag.is_some());
                let open =
                    Open::Mapping { start: span.start, entries: Vec::new(), seen: HashMap::new(), key: None };
                self.begin(span, open)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.open.pop()? {
                    Open::Sequence { start, items } => {
                        Node { span: Span { start, end: span.end }, kind: Kind::Sequence(items) }
                    }
                    Open::Mapping { start, entries, .. } => {
                        Node { span: Span { start, end: span.end }, kind: Kind::Mapping(entries) }
                    }
                };
                self.value(node)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Some(())
    }

    fn begin(&mut self, span: Span, open: Open) -> Option<()> {
        if self.open.len() >= MAX_DEPTH {
            return self.refuse(
                span,
                &format!("values nest deeper than {MAX_DEPTH}"),
                "A pipeline needs five levels.",
            );
        }
        if matches!(self.open.last(), Some(Open::Mapping { key: None, .. })) {
            return self.refuse(span, "a key is a list or a mapping", "A key is one word.");
        }
        self.open.push(open);
        Some(())
    }

    /// Puts a complete value where it belongs: as key or value of the open mapping, or as the document.
    fn value(&mut self, node: Node) -> Option<()> {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Sequence { items, .. }) => items.push(node),
            Some(Open::Mapping { entries, seen, key, .. }) => match key.take() {
                None => {
                    let text = match node.kind {
                        Kind::Scalar(text) => text,
                        _ => String::new(),
                    };
                    *key = Some((text, node.span));
                }
                Some((key, key_span)) => {
                    if let Some(first) = seen.get(&key) {
                        let line = self.problems.line_of(first.start);
                        let error = Error::new(&codes::YAML, format!("the key `{key}` stands twice"))
                            .with_hint(format!("It stands in line {line} already: remove one of them."));
                        self.problems.report(key_span, error);
                    } else {
                        seen.insert(key.clone(), key_span);
                        entries.push(Entry { key, key_span, value: node });
                    }
                }
            },
        }
        Some(())
    }

    fn additions(&mut self, span: Span, anchor: usize, tagged: bool) {
        if anchor > 0 {
            self.anchors(span);
        }
        if tagged {
            let error = Error::new(&codes::YAML, "YAML tags (`!name`) are not used in pipeline files")
                .with_hint("Remove the tag: every key knows the kind of its value.");
            self.problems.report(span, error);
        }
    }

    fn anchors(&mut self, span: Span) {
        let error = Error::new(&codes::YAML, "YAML anchors and aliases are not used in pipeline files")
            .with_hint("Write the value out. What queries share goes into `views`. A text that begins with `*` or `&` stands in quotes.");
        self.problems.report(span, error);
    }

    fn refuse(&mut self, span: Span, message: &str, hint: &str) -> Option<()> {
        self.problems.report(span, Error::new(&codes::YAML, message).with_hint(hint));
        None
    }
}
