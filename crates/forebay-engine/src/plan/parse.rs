//! SQL text to one syntax tree, in Spark's dialect, within limits.
//!
//! What must stay true: no text, however hostile, costs more than a bounded amount of stack and memory. The parser
//! recurses over parentheses (a counter stops it) but builds chains such as `a + a + …` in a loop, and what is built
//! is walked, copied and given back recursively. So [`scan`] bounds the tree before it is built; the tree's depth is
//! measured before anything else walks it; and all of that happens on a thread with a stack for the deepest tree that
//! the scan lets through.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Query, Statement, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer, Word};
use forebay_core::Error;
use forebay_core::error::codes;
use futures::FutureExt;

use super::dialect::SparkDialect;
use super::lateral;
use super::scan::{self, MAX_NESTING};
use super::sql_error::SqlError;
use super::watermark;

/// Longest SQL text in bytes: far beyond what people write, far below what hurts.
const MAX_BYTES: usize = 1 << 20;
/// Most tokens, white space included. A list of 10,000 values still fits.
const MAX_TOKENS: usize = 60_000;
/// Deepest expression tree by [`weight`], which a chain of operators makes as deep as it is long.
const MAX_EXPR_DEPTH: usize = 400;
/// The name of a thread that has room.
const ROOMY: &str = "forebay-sql";
/// Stack of the thread that parses and plans: 14 KiB for each level of the deepest tree that [`scan`] lets through, and
/// 80 KiB and more for each level of one that is planned.
const STACK_BYTES: usize = 64 << 20;

/// How table names may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paths {
    /// Names only.
    No,
    /// Also ``delta.`/path` `` and, without the quotes, `delta./path/`.
    Yes,
}

/// Parses exactly one statement.
pub fn one_statement(sql: &str, paths: Paths) -> Result<Statement, SqlError> {
    if sql.len() > MAX_BYTES {
        return Err(
            Error::new(&codes::SQL_SYNTAX, format!("the SQL text is longer than {MAX_BYTES} bytes")).into()
        );
    }
    with_room(|| parse_here(sql, paths))
}

/// Runs `work` on a thread with room for the deepest tree that the limits allow. Planning happens once per query or
/// per statement, so the thread costs nothing that matters.
pub fn with_room<T: Send>(work: impl FnOnce() -> Result<T, SqlError> + Send) -> Result<T, SqlError> {
    if std::thread::current().name() == Some(ROOMY) {
        return work();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name(ROOMY.to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(no_thread)?;
        thread.join().unwrap_or_else(|panic| Err(panicked(panic.as_ref()).into()))
    })
}

/// As [`with_room`] for planning that waits for tables.
pub async fn with_room_to_wait<T: Send + 'static>(
    work: impl Future<Output = Result<T, SqlError>> + Send + 'static,
) -> Result<T, SqlError> {
    let runtime = tokio::runtime::Handle::current();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let work = AssertUnwindSafe(work).catch_unwind();
    std::thread::Builder::new()
        .name(ROOMY.to_owned())
        .stack_size(STACK_BYTES)
        // Nobody listens if the statement was given up meanwhile.
        .spawn(move || drop(sender.send(runtime.block_on(work))))
        .map_err(no_thread)?;
    match receiver.await {
        Ok(Ok(done)) => done,
        Ok(Err(panic)) => Err(panicked(panic.as_ref()).into()),
        Err(_) => Err(Error::new(&codes::INTERNAL, "a thread that plans SQL ended").into()),
    }
}

fn no_thread(error: std::io::Error) -> SqlError {
    Error::new(&codes::INTERNAL, "cannot start a thread to plan SQL").caused_by(error).into()
}

/// The error for a statement that hit a mistake of the engine, in planning or while it ran.
pub fn panicked(panic: &(dyn Any + Send)) -> Error {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    broken(words.unwrap_or("it did not say why"))
}

/// The same, in the words of the panic.
pub fn broken(words: &str) -> Error {
    Error::new(&codes::INTERNAL, "the engine failed on this SQL")
        .with_detail(words)
        .with_hint("Nothing else is affected. Write it in another way, and please report the statement: it is a mistake of ours.")
}

fn parse_here(sql: &str, paths: Paths) -> Result<Statement, SqlError> {
    let dialect = SparkDialect::default();
    let mut tokens = words_of(&dialect, sql)?;
    if paths == Paths::Yes {
        tokens = quote_paths(tokens);
    }
    bounded(&dialect, lateral::rewrite(watermark::rewrite(tokens)))
}

/// The words of a text in Spark's dialect, if they are not too many.
pub fn words(sql: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    words_of(&SparkDialect::default(), sql)
}

/// The words of a text, if they are not too many.
pub fn words_of(dialect: &dyn Dialect, sql: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    if sql.len() > MAX_BYTES {
        return Err(
            Error::new(&codes::SQL_SYNTAX, format!("the SQL text is longer than {MAX_BYTES} bytes")).into()
        );
    }
    let tokens = Tokenizer::new(dialect, sql).tokenize_with_location().map_err(|error| {
        let place = (error.location.line as usize, error.location.column as usize);
        SqlError::new(Error::new(&codes::SQL_SYNTAX, lower_first(&error.message)), Some(place))
    })?;
    if tokens.len() > MAX_TOKENS {
        return Err(
            Error::new(&codes::SQL_SYNTAX, format!("the SQL text has more than {MAX_TOKENS} words")).into()
        );
    }
    Ok(tokens)
}

/// The one statement that these words are, if its tree is not too deep. Needs room.
pub fn bounded(dialect: &dyn Dialect, tokens: Vec<TokenWithSpan>) -> Result<Statement, SqlError> {
    scan::bound(&tokens)?;
    let mut parser =
        Parser::new(dialect).with_recursion_limit(MAX_NESTING).with_tokens_with_locations(tokens);
    let mut statements =
        parser.parse_statements().map_err(|error| syntax_error(error, parser.peek_token_ref().span))?;
    if statements.len() > 1 {
        return Err(Error::new(
            &codes::SQL_SYNTAX,
            format!("one statement is expected, not {}", statements.len()),
        )
        .with_hint("Leave out what comes after the first `;`.")
        .into());
    }
    let statement = statements.pop().ok_or_else(|| {
        Error::new(&codes::SQL_SYNTAX, "there is no SQL statement").with_hint("Write a SELECT.")
    })?;
    shallow(&statement)?;
    Ok(statement)
}

/// Refuses a tree that is too deep to be planned.
pub(crate) fn shallow(statement: &Statement) -> Result<(), SqlError> {
    let mut depth = Depth { now: 0, most: 0 };
    let _: ControlFlow<()> = statement.visit(&mut depth);
    if depth.most > MAX_EXPR_DEPTH {
        return Err(Error::new(
            &codes::SQL_SYNTAX,
            format!("an expression is more than {MAX_EXPR_DEPTH} operators deep"),
        )
        .with_hint("Use IN (…) for long lists, or compute parts of it in a subquery.")
        .into());
    }
    Ok(())
}

/// `reached` is where the parser stands.
fn syntax_error(error: ParserError, reached: Span) -> SqlError {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            let error = Error::new(
                &codes::SQL_SYNTAX,
                format!("the SQL text is nested deeper than {MAX_NESTING} levels"),
            )
            .with_hint("Take out parentheses, or split the query with WITH or views.");
            return SqlError::spanned(error, reached);
        }
    };
    // The parser knows the place only inside of its message: `… at Line: 1, Column: 8`.
    let (text, place) = match text.rsplit_once(" at Line: ") {
        Some((before, after)) => {
            let numbers: Vec<usize> =
                after.split(", Column: ").filter_map(|n| n.trim().parse().ok()).collect();
            (before.to_owned(), <[usize; 2]>::try_from(numbers).ok().map(|[line, column]| (line, column)))
        }
        None => (text, None),
    };
    let error = Error::new(&codes::SQL_SYNTAX, lower_first(&text));
    let error = if text.starts_with("INTERVAL requires a unit") { error.with_hint(INTERVAL) } else { error };
    SqlError::new(error, place)
}

/// How an INTERVAL is written.
const INTERVAL: &str = "Write a number and its unit, as in INTERVAL 5 SECONDS. Units are YEAR, MONTH, WEEK, DAY, HOUR, MINUTE, \
                        SECOND, MILLISECOND and MICROSECOND, each also with an S.";

/// A sentence as part of a line. What begins with a word in capitals keeps them.
fn lower_first(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !text[first.len_utf8()..].starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

/// How much deeper an expression is than those inside of it. What becomes a function's call counts as four operators:
/// `DataFusion` writes the call out to name it, again for every call around it, so that a chain of calls takes the
/// third power of its length to plan.
pub(super) fn weight(expr: &Expr) -> usize {
    match expr {
        Expr::Function(_) | Expr::RLike { .. } | Expr::BinaryOp { op: BinaryOperator::Divide, .. } => 4,
        Expr::CompoundFieldAccess { access_chain, .. } => 4 * access_chain.len(),
        _ => 1,
    }
}

struct Depth {
    now: usize,
    most: usize,
}

impl Visitor for Depth {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.now += weight(expr);
        self.most = self.most.max(self.now);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.now -= weight(expr);
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.now += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.now -= 1;
        ControlFlow::Continue(())
    }
}

/// Turns `FROM delta./a/b/` into ``FROM delta.`/a/b/` ``: only after FROM or JOIN, only after a known kind, up to
/// white space, a comma, a semicolon or a closing parenthesis.
fn quote_paths(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut table_expected = false;
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        let kind = table_expected && matches!(&token.token, Token::Word(word) if is_path_kind(word));
        match &token.token {
            Token::Whitespace(_) => {}
            Token::Word(word) => table_expected = matches!(word.keyword, Keyword::FROM | Keyword::JOIN),
            _ => table_expected = false,
        }
        out.push(token);
        if !kind || !matches!(rest.peek(), Some(next) if next.token == Token::Period) {
            continue;
        }
        let Some(period) = rest.next() else { break };
        out.push(period);
        if !matches!(rest.peek(), Some(next) if next.token == Token::Div) {
            continue;
        }
        let mut path = String::new();
        let mut span = None;
        while let Some(part) = rest.next_if(|next| !ends_path(&next.token)) {
            path.push_str(&part.token.to_string());
            span.get_or_insert(part.span).end = part.span.end;
        }
        if let Some(span) = span {
            let word = Word { value: path, quote_style: Some('`'), keyword: Keyword::NoKeyword };
            out.push(TokenWithSpan { token: Token::Word(word), span });
        }
    }
    out
}

fn is_path_kind(word: &Word) -> bool {
    word.quote_style.is_none()
        && ["delta", "parquet", "json", "csv"].iter().any(|kind| word.value.eq_ignore_ascii_case(kind))
}

fn ends_path(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_) | Token::Comma | Token::SemiColon | Token::RParen | Token::EOF)
}
