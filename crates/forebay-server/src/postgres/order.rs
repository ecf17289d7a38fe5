//! What is asked of a cursor, in words: DECLARE, FETCH, MOVE, CLOSE as PostgreSQL and SQL write them.

use forebay_engine::adhoc::postgres::{Piece, Text};

use super::sqlstate::{NOT_SUPPORTED, Refusal, SYNTAX};

/// What is to be done with a cursor.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Declare {
        name: String,
        is_held: bool,
        query: Text,
    },
    /// FETCH, or MOVE, which shows no rows.
    Fetch {
        name: String,
        step: Step,
        is_move: bool,
    },
    /// This one, or all.
    Close(Option<String>),
}

/// Which rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many of the next.
    Next(usize),
    /// The one that is so far from here.
    Relative(usize),
    /// The one of this number.
    Absolute(usize),
}

impl Order {
    /// Reads one; `None` if these are other words.
    pub fn read(text: &Text) -> Option<Result<Self, Refusal>> {
        let words = text.pieces();
        let (first, rest) = words.split_first()?;
        match first {
            Piece::Word(word) => match word.as_str() {
                "DECLARE" => Some(declare(text, rest)),
                "FETCH" => Some(fetch(rest, false)),
                "MOVE" => Some(fetch(rest, true)),
                "CLOSE" => Some(match rest {
                    [all] if all.is("ALL") => Ok(Self::Close(None)),
                    [name] => named(Some(name)).map(|name| Self::Close(Some(name))),
                    _ => Err(Refusal::new(SYNTAX, "CLOSE names a cursor, or ALL")),
                }),
                _ => None,
            },
            _ => None,
        }
    }
}

fn named(word: Option<&Piece>) -> Result<String, Refusal> {
    match word {
        Some(word @ (Piece::Word(_) | Piece::Quoted(_))) => Ok(word.text()),
        _ => Err(Refusal::new(SYNTAX, "the name of a cursor is expected")),
    }
}

/// `name [options] CURSOR [{WITH | WITHOUT} HOLD] FOR query`, behind DECLARE.
fn declare(text: &Text, words: &[Piece]) -> Result<Order, Refusal> {
    let wrong = || Refusal::new(SYNTAX, "DECLARE is written DECLARE name CURSOR [WITH HOLD] FOR SELECT …");
    let name = named(words.first())?;
    let end = words.iter().position(|word| word.is("FOR")).ok_or_else(wrong)?;
    let cursor = words.iter().take(end).position(|word| word.is("CURSOR")).ok_or_else(wrong)?;
    let options = words.get(1..cursor).ok_or_else(wrong)?;
    if options.iter().any(|word| word.is("BINARY")) {
        let refusal = Refusal::new(NOT_SUPPORTED, "a BINARY cursor is not possible here");
        return Err(refusal.hint("Ask for binary rows where FETCH is bound."));
    }
    let known = ["INSENSITIVE", "ASENSITIVE", "NO", "SCROLL"];
    if !options.iter().all(|word| known.iter().any(|known| word.is(known))) {
        return Err(wrong());
    }
    let is_held = match words.get(cursor + 1..end).unwrap_or_default() {
        [] => false,
        [with, hold] if with.is("WITH") && hold.is("HOLD") => true,
        [without, hold] if without.is("WITHOUT") && hold.is("HOLD") => false,
        _ => return Err(wrong()),
    };
    // DECLARE itself, what was read, and FOR.
    Ok(Order::Declare { name, is_held, query: text.after(end + 2) })
}

/// `[direction] [FROM | IN] name`, behind FETCH or MOVE.
fn fetch(words: &[Piece], is_move: bool) -> Result<Order, Refusal> {
    let wrong = || {
        Refusal::new(SYNTAX, "FETCH is written FETCH [NEXT | n | ALL | FORWARD n | FORWARD ALL] FROM name")
    };
    let (name, mut direction) = words.split_last().ok_or_else(wrong)?;
    if let [before @ .., from] = direction
        && (from.is("FROM") || from.is("IN"))
    {
        direction = before;
    }
    let step = match direction {
        [word, ..] if ["PRIOR", "LAST", "BACKWARD"].iter().any(|back| word.is(back)) => {
            return Err(forward_only());
        }
        [] => Step::Next(1),
        [word] if word.is("NEXT") || word.is("FORWARD") => Step::Next(1),
        [word] if word.is("FIRST") => Step::Absolute(1),
        [all] if all.is("ALL") => Step::Next(usize::MAX),
        [forward, all] if forward.is("FORWARD") && all.is("ALL") => Step::Next(usize::MAX),
        [word, count @ ..] if word.is("FORWARD") => Step::Next(number(count)?),
        [word, count @ ..] if word.is("RELATIVE") => Step::Relative(number(count)?),
        [word, count @ ..] if word.is("ABSOLUTE") => Step::Absolute(number(count)?),
        count => Step::Next(number(count)?),
    };
    Ok(Order::Fetch { name: named(Some(name))?, step, is_move })
}

fn number(words: &[Piece]) -> Result<usize, Refusal> {
    match words {
        [Piece::Number(digits)] => match digits.parse() {
            Ok(0) => Err(forward_only()),
            Ok(number) => Ok(number),
            Err(_) => Err(Refusal::new(SYNTAX, format!("{digits} is no number of rows"))),
        },
        [Piece::Mark(minus), Piece::Number(_)] if minus == "-" => Err(forward_only()),
        _ => Err(Refusal::new(SYNTAX, "a number of rows is expected")),
    }
}

fn forward_only() -> Refusal {
    let refusal = Refusal::new("55000", "cursor can only scan forward");
    refusal.hint(
        "Rows are made as they are fetched and not kept. Declare the cursor anew to read from its start.",
    )
}

impl Step {
    /// How many rows are passed over and how many taken then, where so many are gone already.
    pub fn rows(self, gone: usize) -> Result<(usize, usize), Refusal> {
        match self {
            Self::Next(count) => Ok((0, count)),
            Self::Relative(count) => Ok((count.saturating_sub(1), 1)),
            Self::Absolute(number) if number <= gone => Err(forward_only()),
            Self::Absolute(number) => Ok((number - gone - 1, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use forebay_engine::adhoc::postgres::split;

    use super::*;

    fn read(sql: &str) -> Option<Result<String, &'static str>> {
        let order = Order::read(&split(sql).unwrap()[0])?;
        Some(order.map_err(|refusal| refusal.state).map(|order| match order {
            Order::Declare { name, is_held, query } => format!("{name} {is_held} {}", query.sql()),
            Order::Fetch { name, step, is_move } => format!("{name} {is_move} {step:?}"),
            Order::Close(name) => format!("{name:?}"),
        }))
    }

    #[test]
    fn cursors_are_read_as_clients_write_them() {
        for (sql, expected) in [
            ("DECLARE c CURSOR FOR SELECT 1", Ok("c false SELECT 1")),
            ("declare \"SQL_CUR0x1\" cursor with hold for select 'for'", Ok("SQL_CUR0x1 true select 'for'")),
            ("DECLARE \"a b\" NO SCROLL CURSOR WITHOUT HOLD FOR TABLE t", Ok("a b false TABLE t")),
            ("DECLARE c INSENSITIVE SCROLL CURSOR FOR SELECT 1 /* x */", Ok("c false SELECT 1")),
            ("DECLARE c BINARY CURSOR FOR SELECT 1", Err(NOT_SUPPORTED)),
            ("DECLARE c CURSOR SELECT 1", Err(SYNTAX)),
            ("DECLARE c FOR SELECT 1", Err(SYNTAX)),
            ("DECLARE", Err(SYNTAX)),
            ("FETCH c", Ok("c false Next(1)")),
            ("FETCH FROM c", Ok("c false Next(1)")),
            ("fetch 100 in \"SQL_CUR0x1\"", Ok("SQL_CUR0x1 false Next(100)")),
            ("FETCH FORWARD 2000 FROM \"n\"", Ok("n false Next(2000)")),
            ("FETCH NEXT FROM c", Ok("c false Next(1)")),
            ("FETCH FORWARD c", Ok("c false Next(1)")),
            ("FETCH FIRST FROM c", Ok("c false Absolute(1)")),
            ("FETCH ABSOLUTE 7 FROM c", Ok("c false Absolute(7)")),
            ("MOVE RELATIVE 3 FROM c", Ok("c true Relative(3)")),
            ("MOVE 5 IN c", Ok("c true Next(5)")),
            ("FETCH 0 FROM c", Err("55000")),
            ("FETCH -1 FROM c", Err("55000")),
            ("FETCH FORWARD -1 FROM c", Err("55000")),
            ("FETCH PRIOR FROM c", Err("55000")),
            ("MOVE BACKWARD ALL IN c", Err("55000")),
            ("FETCH 99999999999999999999999 FROM c", Err(SYNTAX)),
            ("FETCH", Err(SYNTAX)),
            ("FETCH ALL FROM 7", Err(SYNTAX)),
            ("CLOSE c", Ok("Some(\"c\")")),
            ("CLOSE ALL", Ok("None")),
            ("CLOSE", Err(SYNTAX)),
        ] {
            assert_eq!(read(sql), Some(expected.map(str::to_owned)), "{sql}");
        }
        assert_eq!(read("FETCH ALL c"), Some(Ok(format!("c false Next({})", usize::MAX))));
        assert_eq!(read("SELECT 1"), None);
        assert_eq!(read("\"fetch\" c"), None);
    }

    #[test]
    fn a_step_goes_forward_or_not_at_all() {
        assert_eq!(Step::Next(5).rows(3).unwrap(), (0, 5));
        assert_eq!(Step::Relative(4).rows(3).unwrap(), (3, 1));
        assert_eq!(Step::Absolute(4).rows(3).unwrap(), (0, 1));
        assert_eq!(Step::Absolute(9).rows(3).unwrap(), (5, 1));
        assert!(Step::Absolute(3).rows(3).is_err());
    }
}
