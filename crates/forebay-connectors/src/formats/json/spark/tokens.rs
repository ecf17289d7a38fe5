//! Jackson's token stream, as Spark sets it up.
//!
//! A parser that is pulled: [`Tokens::advance`] moves to the next token. Three habits of Jackson matter, because Spark
//! goes on after errors and meets whatever state they left:
//! * after a key, the start of its value is read at once and kept; if that fails, the key stays the current token and
//!   the next move ends the stream;
//! * strings are finished only when somebody asks for them: their faults show then, and reading goes on behind the
//!   fault;
//! * what was read of a bad token stays read.
//!
//! Lenient by Spark's defaults: single quotes, `NaN`, `Infinity`, `INF` with sign. Everything else is strict.

use super::super::options::{Rules, SPARK_DEPTH, SPARK_NUMBER, SPARK_STRING};

/// Jackson's bound for names, in characters.
const NAME: usize = 50_000;

/// Reading failed here; it may go on.
#[derive(Debug)]
pub(super) struct Broken;

pub(super) type Step<T = ()> = Result<T, Broken>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token {
    StartObject,
    EndObject,
    StartArray,
    EndArray,
    Name,
    Text,
    /// A number without point and exponent.
    Integer,
    Float,
    /// `NaN` and the infinities.
    NonNumber(f64),
    True,
    False,
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Root,
    Object,
    Array,
}

#[derive(Debug)]
struct Scope {
    kind: Kind,
    /// Values begun so far.
    begun: usize,
    name: Option<Vec<u8>>,
}

/// The stream.
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    pos: usize,
    pub(super) current: Option<Token>,
    /// The value after the current key.
    after_name: Option<Token>,
    /// The current string was not read yet; the reader stands behind its quote.
    unread: bool,
    pub(super) string: Vec<u8>,
    number: (usize, usize),
    scopes: Vec<Scope>,
    max_depth: usize,
    pub(super) max_string: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8], rules: &Rules) -> Self {
        Self {
            text,
            pos: 0,
            current: None,
            after_name: None,
            unread: false,
            string: Vec::new(),
            number: (0, 0),
            scopes: vec![Scope { kind: Kind::Root, begun: 0, name: None }],
            max_depth: rules.max_depth.min(SPARK_DEPTH),
            max_string: rules.max_string.min(SPARK_STRING),
        }
    }

    fn kind(&self) -> Kind {
        self.scopes.last().map_or(Kind::Root, |scope| scope.kind)
    }

    pub(super) fn next_byte(&mut self) -> Option<u8> {
        let byte = self.text.get(self.pos).copied();
        self.pos += usize::from(byte.is_some());
        byte
    }

    /// The key that the current token belongs to; for brackets the one of the object around.
    pub(super) fn current_name(&self) -> Option<&[u8]> {
        let mut scopes = self.scopes.iter().rev();
        if let Some(Token::StartObject | Token::StartArray) = self.current {
            scopes.next();
        }
        scopes.next().and_then(|scope| scope.name.as_deref())
    }

    /// Moves to the next token; `None` at the end.
    pub(super) fn advance(&mut self) -> Step<Option<Token>> {
        if self.current == Some(Token::Name) {
            let token = self.after_name.take();
            if let Some(token) = token {
                self.enter(token)?;
            }
            self.current = token;
            return Ok(token);
        }
        if self.unread {
            self.unread = false;
            self.finish_string(b'"', false)?;
        }
        let Some(mut byte) = self.next_solid()? else {
            self.end_of_input()?;
            self.current = None;
            return Ok(None);
        };
        if matches!(byte, b'}' | b']') {
            let token = self.close(byte)?;
            self.current = Some(token);
            return Ok(Some(token));
        }
        let kind = self.kind();
        if let Some(scope) = self.scopes.last_mut() {
            scope.begun += 1;
            if kind != Kind::Root && scope.begun > 1 {
                if byte != b',' {
                    return Err(Broken);
                }
                byte = self.next_solid()?.ok_or(Broken)?;
            }
        }
        if kind != Kind::Object {
            let token = self.value(byte)?;
            self.enter(token)?;
            self.current = Some(token);
            return Ok(Some(token));
        }
        match byte {
            b'"' | b'\'' => self.finish_string(byte, true)?,
            _ => return Err(Broken),
        }
        if self.string.len() > NAME {
            return Err(Broken);
        }
        let name = self.string.clone();
        if let Some(scope) = self.scopes.last_mut() {
            scope.name = Some(name);
        }
        self.current = Some(Token::Name);
        if self.next_solid()? != Some(b':') {
            return Err(Broken);
        }
        let byte = self.next_solid()?.ok_or(Broken)?;
        self.after_name = Some(self.value(byte)?);
        Ok(self.current)
    }

    /// Skips what the current bracket opens.
    pub(super) fn skip_children(&mut self) -> Step {
        if !matches!(self.current, Some(Token::StartObject | Token::StartArray)) {
            return Ok(());
        }
        let mut open = 1;
        while open > 0 {
            match self.advance()? {
                Some(Token::StartObject | Token::StartArray) => open += 1,
                Some(Token::EndObject | Token::EndArray) => open -= 1,
                Some(_) => {}
                None => return self.end_of_input(),
            }
        }
        Ok(())
    }

    /// The current string.
    pub(super) fn string(&mut self) -> Step<&[u8]> {
        if self.unread {
            self.unread = false;
            self.finish_string(b'"', true)?;
        }
        Ok(&self.string)
    }

    /// The text of the current number.
    pub(super) fn number(&self) -> &'a [u8] {
        self.text.get(self.number.0..self.number.1).unwrap_or_default()
    }

    fn end_of_input(&self) -> Step {
        if self.kind() == Kind::Root { Ok(()) } else { Err(Broken) }
    }

    fn next_solid(&mut self) -> Step<Option<u8>> {
        loop {
            match self.next_byte() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => {}
                Some(0..=0x1f) => return Err(Broken),
                other => return Ok(other),
            }
        }
    }

    fn enter(&mut self, token: Token) -> Step {
        let kind = match token {
            Token::StartObject => Kind::Object,
            Token::StartArray => Kind::Array,
            _ => return Ok(()),
        };
        self.scopes.push(Scope { kind, begun: 0, name: None });
        // The root is a scope, but no level.
        if self.scopes.len() - 1 > self.max_depth { Err(Broken) } else { Ok(()) }
    }

    fn close(&mut self, bracket: u8) -> Step<Token> {
        let token = match (bracket, self.kind()) {
            (b'}', Kind::Object) => Token::EndObject,
            (b']', Kind::Array) => Token::EndArray,
            _ => return Err(Broken),
        };
        self.scopes.pop();
        Ok(token)
    }

    /// The token of a value that starts with this byte.
    fn value(&mut self, byte: u8) -> Step<Token> {
        match byte {
            b'"' => {
                self.unread = true;
                Ok(Token::Text)
            }
            b'{' => Ok(Token::StartObject),
            b'[' => Ok(Token::StartArray),
            b't' => self.word(b"true", 1).map(|()| Token::True),
            b'f' => self.word(b"false", 1).map(|()| Token::False),
            b'n' => self.word(b"null", 1).map(|()| Token::Null),
            b'0'..=b'9' => self.read_number(byte, self.pos - 1),
            b'-' => {
                let start = self.pos - 1;
                match self.next_byte() {
                    Some(digit @ b'0'..=b'9') => self.read_number(digit, start),
                    Some(other) => self.signed_word(other, true),
                    None => Err(Broken),
                }
            }
            b'+' => match self.next_byte() {
                Some(other) => self.signed_word(other, false),
                None => Err(Broken),
            },
            b'\'' => {
                self.finish_string(b'\'', true)?;
                Ok(Token::Text)
            }
            b'N' => self.word(b"NaN", 1).map(|()| Token::NonNumber(f64::NAN)),
            b'I' => self.word(b"Infinity", 1).map(|()| Token::NonNumber(f64::INFINITY)),
            other => {
                if other.is_ascii_alphabetic() || other == b'_' || other == b'$' || other >= 0x80 {
                    self.skip_word();
                }
                Err(Broken)
            }
        }
    }

    /// `INF` or `Infinity` behind a sign; its first letter was read.
    fn signed_word(&mut self, first: u8, negative: bool) -> Step<Token> {
        if first != b'I' {
            return Err(Broken);
        }
        match self.next_byte() {
            Some(b'N') => self.word(b"INF", 2)?,
            Some(b'n') => self.word(b"Infinity", 2)?,
            _ => return Err(Broken),
        }
        Ok(Token::NonNumber(if negative { f64::NEG_INFINITY } else { f64::INFINITY }))
    }

    /// Reads the rest of a word, of which some letters were read.
    fn word(&mut self, word: &[u8], read: usize) -> Step {
        for expected in word.iter().skip(read) {
            if self.text.get(self.pos) != Some(expected) {
                self.skip_word();
                return Err(Broken);
            }
            self.pos += 1;
        }
        if self.text.get(self.pos).copied().is_some_and(part_of_word) {
            self.skip_word();
            return Err(Broken);
        }
        Ok(())
    }

    fn skip_word(&mut self) {
        while self.text.get(self.pos).copied().is_some_and(part_of_word) {
            self.pos += 1;
        }
    }

    /// A number whose first digit was read; `start` is where its text starts.
    fn read_number(&mut self, first: u8, start: usize) -> Step<Token> {
        let is_digit = |at: usize| self.text.get(at).is_some_and(u8::is_ascii_digit);
        if first == b'0' && is_digit(self.pos) {
            return Err(Broken);
        }
        let digits_from = |mut at: usize| {
            while is_digit(at) {
                at += 1;
            }
            at
        };
        let mut end = digits_from(self.pos);
        let integer = !matches!(self.text.get(end), Some(b'.' | b'e' | b'E'));
        let mut faulty = false;
        let resume = end + 1;
        if self.text.get(end) == Some(&b'.') {
            faulty = !is_digit(end + 1);
            end = digits_from(end + 1);
        }
        if !faulty && let Some(b'e' | b'E') = self.text.get(end) {
            end += 1;
            if let Some(b'+' | b'-') = self.text.get(end) {
                end += 1;
            }
            faulty = !is_digit(end);
            end = digits_from(end);
        }
        if faulty {
            self.pos = resume.min(self.text.len());
            return Err(Broken);
        }
        self.pos = end;
        let length = end - start;
        if length > SPARK_NUMBER {
            let text = self.text.get(start..end).unwrap_or_default();
            let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
            if digits > SPARK_NUMBER {
                return Err(Broken);
            }
        }
        self.number = (start, end);
        Ok(if integer { Token::Integer } else { Token::Float })
    }
}

/// What can be part of a Java identifier, near enough.
fn part_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}
