//! From text to schema: a hand-written descent, one function per piece of the grammar.
//!
//! ```text
//! schema  = [ STRUCT < ] columns [ > ]
//! columns = column { , column }
//! column  = name [ : ] type [ NOT NULL ] [ COMMENT 'text' ]
//! type    = WORD | DECIMAL [ ( p [ , s ] ) ] | ARRAY < type > | MAP < type , type > | STRUCT < columns >
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Fields, Schema, SchemaRef};

use super::scan::{Scanner, is_word};
use super::types::{Named, named};
use super::{COMMENT, DdlError, Excerpt, MAX_DEPTH, MAX_FIELDS};

/// Reads a Spark DDL text as an Arrow schema; see the [module](super) for what it takes and gives.
pub fn parse(text: &str) -> Result<SchemaRef, DdlError> {
    let mut parser = Parser { scan: Scanner { text, at: 0 }, fields: 0 };
    parser.scan.skip_blanks()?;
    if parser.scan.rest().is_empty() {
        let hint = "Write `name TYPE, name TYPE`, for example `id STRING, at TIMESTAMP`.";
        return Err(parser.scan.error(0, "the schema is empty", hint));
    }
    let fields = if parser.wrapped_in_struct()? {
        parser.scan.word();
        parser.struct_fields(0)?
    } else {
        parser.columns(0)?
    };
    parser.scan.skip_blanks()?;
    if !parser.scan.rest().is_empty() {
        return Err(parser.scan.unexpected("a comma or the end of the schema"));
    }
    Ok(Arc::new(Schema::new(fields)))
}

struct Parser<'a> {
    scan: Scanner<'a>,
    /// Columns and fields so far, all levels together.
    fields: usize,
}

impl Parser<'_> {
    fn columns(&mut self, depth: usize) -> Result<Fields, DdlError> {
        let mut fields: Vec<Field> = Vec::new();
        let mut names = HashSet::new();
        loop {
            self.scan.skip_blanks()?;
            let start = self.scan.at;
            let field = self.column(depth)?;
            if !names.insert(field.name().to_lowercase()) {
                let message = format!("two columns are named `{}`", Excerpt(field.name()));
                let hint = "Names must differ by more than upper and lower case, as in Spark.";
                return Err(self.scan.error(start, message, hint));
            }
            fields.push(field);
            self.fields += 1;
            if self.fields > MAX_FIELDS {
                return Err(self.scan.error(
                    start,
                    format!("more than {MAX_FIELDS} fields"),
                    "Is this one schema?",
                ));
            }
            if !self.scan.take(',')? {
                return Ok(fields.into());
            }
        }
    }

    fn column(&mut self, depth: usize) -> Result<Field, DdlError> {
        let name = self.name()?;
        self.scan.take(':')?;
        let data_type = self.data_type(&name, depth)?;
        let nullable = !self.not_null()?;
        let field = Field::new(name, data_type, nullable);
        Ok(match self.comment()? {
            Some(comment) => field.with_metadata(HashMap::from([(COMMENT.to_owned(), comment)])),
            None => field,
        })
    }

    /// A name: letters, digits and `_`, or anything in back quotes (a back quote is written twice).
    fn name(&mut self) -> Result<String, DdlError> {
        self.scan.skip_blanks()?;
        let start = self.scan.at;
        if self.scan.rest().starts_with('`') {
            return self.scan.quoted('`', "the back quote");
        }
        let word = self.scan.word();
        let next = self.scan.rest().chars().next();
        match next {
            Some(c) if word.is_empty() && (c == '\'' || c == '"') => Err(self.scan.error(
                start,
                "a name stands in quotes",
                "Names with special characters stand in back quotes: `` `name` ``.",
            )),
            Some(c) if c == '-' || c == '.' || c == '$' || c == '@' || !c.is_ascii() => {
                let rest = self.scan.rest();
                self.scan.at +=
                    rest.find(|c: char| c.is_whitespace() || ",:<>".contains(c)).unwrap_or(rest.len());
                let whole = Excerpt(&self.scan.text[start..self.scan.at]);
                let message = format!("the name `{whole}` holds more than letters, digits and `_`");
                Err(self.scan.error(start, message, format!("Put it in back quotes: `` `{whole}` ``.")))
            }
            _ if word.is_empty() => Err(self.scan.unexpected("a column's name")),
            _ => Ok(word.to_owned()),
        }
    }

    fn data_type(&mut self, column: &str, depth: usize) -> Result<DataType, DdlError> {
        self.scan.skip_blanks()?;
        let start = self.scan.at;
        if depth >= MAX_DEPTH {
            let hint = "Decode the inner part as STRING and take it apart in SQL.";
            return Err(self.scan.error(start, format!("types nest deeper than {MAX_DEPTH}"), hint));
        }
        let word = self.scan.word();
        if word.is_empty() {
            return Err(self.scan.unexpected(&format!("the type of `{}`", Excerpt(column))));
        }
        match named(word, start)? {
            Named::Plain(data_type) => {
                self.refuse_additions(start, word)?;
                Ok(data_type)
            }
            Named::Decimal => self.decimal(),
            Named::Array => {
                self.open(word)?;
                let item = self.data_type(column, depth + 1)?;
                self.close()?;
                Ok(DataType::List(Arc::new(Field::new("element", item, true))))
            }
            Named::Map => self.map(column, word, depth),
            Named::Struct => Ok(DataType::Struct(self.struct_fields(depth)?)),
        }
    }

    fn struct_fields(&mut self, depth: usize) -> Result<Fields, DdlError> {
        self.open("STRUCT")?;
        let fields = self.columns(depth + 1)?;
        self.close()?;
        Ok(fields)
    }

    fn map(&mut self, column: &str, word: &str, depth: usize) -> Result<DataType, DdlError> {
        self.open(word)?;
        self.scan.skip_blanks()?;
        let key_start = self.scan.at;
        let key = self.data_type(column, depth + 1)?;
        if holds_map(&key) {
            return Err(self.scan.error(
                key_start,
                "the key of a map is or holds a map",
                "Spark refuses this too; the usual key is STRING.",
            ));
        }
        if !self.scan.take(',')? {
            return Err(self.scan.unexpected("`, TYPE>`: a map has the types of its key and of its value"));
        }
        let value = self.data_type(column, depth + 1)?;
        self.close()?;
        let entries = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
        Ok(DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries), false)), false))
    }

    /// `DECIMAL` alone is `DECIMAL(10, 0)`, as in Spark.
    fn decimal(&mut self) -> Result<DataType, DdlError> {
        if !self.scan.take('(')? {
            return Ok(DataType::Decimal128(10, 0));
        }
        let start = self.scan.at;
        let precision = self.scan.number()?;
        let scale = if self.scan.take(',')? { self.scan.number()? } else { 0 };
        if !self.scan.take(')')? {
            return Err(self.scan.unexpected("`)`"));
        }
        let bad = |message: String, hint| {
            Err(DdlError { offset: start, length: self.scan.at - start - 1, message, hint })
        };
        let most = DECIMAL128_MAX_PRECISION;
        let Some(digits) = u8::try_from(precision).ok().filter(|digits| (1..=most).contains(digits)) else {
            let hint = format!("Write `DECIMAL(precision, scale)` with a precision from 1 to {most}.");
            return bad(format!("a decimal of {precision} digits"), hint);
        };
        match i8::try_from(scale) {
            Ok(scale) if scale.unsigned_abs() <= digits => Ok(DataType::Decimal128(digits, scale)),
            _ => {
                let hint =
                    "The scale counts among the digits of the precision: `DECIMAL(10, 2)` holds 99999999.99.";
                bad(format!("the scale {scale} is larger than the precision {precision}"), hint.to_owned())
            }
        }
    }

    fn not_null(&mut self) -> Result<bool, DdlError> {
        self.scan.skip_blanks()?;
        let start = self.scan.at;
        if self.scan.take_word("NULL")? {
            return Err(self.scan.error(
                start,
                "`NULL` after a type",
                "Columns may be null unless they are `NOT NULL`: leave it out.",
            ));
        }
        if !self.scan.take_word("NOT")? {
            return Ok(false);
        }
        if self.scan.take_word("NULL")? { Ok(true) } else { Err(self.scan.unexpected("`NULL` after `NOT`")) }
    }

    fn comment(&mut self) -> Result<Option<String>, DdlError> {
        if !self.scan.take_word("COMMENT")? {
            return Ok(None);
        }
        self.scan.skip_blanks()?;
        match self.scan.rest().chars().next() {
            Some(quote @ ('\'' | '"')) => self.scan.quoted(quote, "the comment's quote").map(Some),
            _ => Err(self.scan.unexpected("the comment's text in quotes")),
        }
    }

    /// What Spark's CREATE TABLE allows after a type, or other systems do, but a decoded value cannot have.
    fn refuse_additions(&mut self, start: usize, word: &str) -> Result<(), DdlError> {
        self.scan.skip_blanks()?;
        let rest = self.scan.rest();
        let next = &rest[..rest.find(|c: char| !is_word(c)).unwrap_or(rest.len())];
        let at = self.scan.at;
        if rest.starts_with('[') {
            let hint = format!("Write `ARRAY<{}>`.", word.to_ascii_uppercase());
            return Err(DdlError {
                offset: start,
                length: at + 1 - start,
                message: "`[]` after a type".to_owned(),
                hint,
            });
        }
        if rest.starts_with('(') || rest.starts_with('<') {
            let message = format!("the type {} takes no arguments", word.to_ascii_uppercase());
            return Err(DdlError { offset: at, length: 1, message, hint: "Leave them out.".to_owned() });
        }
        for addition in ["DEFAULT", "GENERATED", "COLLATE", "PRIMARY", "UNIQUE", "CHECK", "REFERENCES"] {
            if next.eq_ignore_ascii_case(addition) {
                let message = format!("{addition} belongs to a table, not to decoded values");
                let hint = "A column is `name TYPE [NOT NULL] [COMMENT 'text']`.".to_owned();
                return Err(DdlError { offset: at, length: next.len(), message, hint });
            }
        }
        Ok(())
    }

    fn wrapped_in_struct(&mut self) -> Result<bool, DdlError> {
        let start = self.scan.at;
        let wrapped = self.scan.word().eq_ignore_ascii_case("STRUCT") && {
            self.scan.skip_blanks()?;
            self.scan.rest().starts_with('<')
        };
        self.scan.at = start;
        Ok(wrapped)
    }

    fn open(&mut self, word: &str) -> Result<(), DdlError> {
        if self.scan.take('<')? {
            return Ok(());
        }
        let inside = match word.to_ascii_uppercase().as_str() {
            "ARRAY" => "`<TYPE>`",
            "MAP" => "`<KEY TYPE, VALUE TYPE>`",
            _ => "`<name TYPE, …>`",
        };
        Err(self.scan.unexpected(&format!("{inside} after {}", word.to_ascii_uppercase())))
    }

    fn close(&mut self) -> Result<(), DdlError> {
        if self.scan.take('>')? { Ok(()) } else { Err(self.scan.unexpected("a comma or `>`")) }
    }
}

fn holds_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::List(item) => holds_map(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_map(field.data_type())),
        _ => false,
    }
}
