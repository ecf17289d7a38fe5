//! The page of each code: what happened, what to try, who has to act. `docs/error-codes.md` is all of them,
//! `forebay explain CODE` prints one: the same text, so what a terminal says and what the docs say cannot differ.

use std::fmt::Write as _;

use super::{GENERATED, trim_end};
use crate::error::{Code, Error, Fault, codes};
use crate::format::RecordCode;
use crate::options::unknown_name;

/// The page of all codes: errors first, then what a record can be set aside for.
pub fn error_codes_markdown(records: &[&RecordCode]) -> String {
    let mut page = String::from(GENERATED);
    page.push_str(
        "# Error codes\n\n\
         A code, once released, keeps its meaning. The first digit names the room: 1 the file, 2 sources, 3 records, \
         4 queries, 5 sinks, 6 checkpoints, 7 the log, 8 serving, 9 Forebay itself. At the end stand the codes of \
         records that could not be decoded or were not as expected. `forebay explain CODE` prints one of these pages.\n\n",
    );
    for code in codes::ALL {
        let _ = write!(page, "## {}\n\n", error_page(code));
    }
    for code in records {
        let _ = write!(page, "## {}\n\n", record_page(code));
    }
    trim_end(page)
}

/// The page of one code, in upper or lower case; the digits of an error's code are enough.
///
/// # Errors
/// `UNKNOWN_KEY` with the nearest code and a list of all.
pub fn explain(wanted: &str, records: &[&RecordCode]) -> Result<String, Error> {
    let wanted = wanted.trim();
    let is = |id: &str| {
        let digits = id.strip_prefix("FB-").unwrap_or(id);
        id.eq_ignore_ascii_case(wanted) || digits.eq_ignore_ascii_case(wanted)
    };
    if let Some(code) = codes::ALL.iter().find(|code| is(code.id)) {
        return Ok(error_page(code));
    }
    match records.iter().find(|code| is(code.id)) {
        Some(code) => Ok(record_page(code)),
        None => {
            let errors = codes::ALL.iter().map(|code| code.id);
            Err(unknown_name("code", wanted, errors.chain(records.iter().map(|code| code.id))))
        }
    }
}

/// Every code with its short name, a line each.
pub fn list(records: &[&RecordCode]) -> String {
    let errors = codes::ALL.iter().map(|code| (code.id, code.title));
    let all = errors.chain(records.iter().map(|code| (code.id, code.meaning)));
    all.fold(String::new(), |mut text, (id, title)| {
        let _ = writeln!(text, "{id:<20} {title}");
        text
    })
}

fn error_page(code: &Code) -> String {
    let who = match code.fault {
        Fault::User => "the pipeline file, the command or the query",
        Fault::External => "a system outside of Forebay",
        Fault::Internal => "Forebay",
    };
    let again = if code.retry { "by itself" } else { "no" };
    format!(
        "{}: {}\n\n{}\n\n* **Try:** {}\n* **Lies with:** {who}\n* **Tried again:** {again}",
        code.id, code.title, code.meaning, code.remedy
    )
}

fn record_page(code: &RecordCode) -> String {
    format!(
        "{}: record set aside\n\nThe message {}.\n\n* **Try:** {}\n\
         * **Lies with:** whoever wrote the record, or the schema that it is read with\n\
         * **Tried again:** with `forebay quarantine replay`",
        code.id, code.meaning, code.remedy
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    static ODD: RecordCode = RecordCode { id: "pipe.odd", meaning: "is odd", remedy: "Make it even." };

    #[test]
    fn a_code_is_found_in_any_case_and_by_its_digits() {
        for wanted in ["FB-2003", "fb-2003", "2003", " FB-2003 "] {
            let page = explain(wanted, &[&ODD]).unwrap();
            assert!(page.starts_with("FB-2003: records are gone\n\nRecords between"), "{page}");
        }
        assert!(
            explain("Pipe.ODD", &[&ODD]).unwrap().contains("The message is odd.\n\n* **Try:** Make it even.")
        );
    }

    #[test]
    fn an_unknown_code_is_answered_with_the_nearest() {
        for (wanted, nearest) in
            [("FB-2033", "`FB-20"), ("pipe.od", "`pipe.odd`"), ("jsno", "Known: FB-1001")]
        {
            let error = explain(wanted, &[&ODD]).unwrap_err();
            assert!(error.hint().contains(nearest), "{wanted}: {}", error.hint());
        }
    }

    #[test]
    fn what_explain_says_is_what_the_docs_say() {
        let docs = error_codes_markdown(&[&ODD]);
        let ids = codes::ALL.iter().map(|code| code.id).chain([ODD.id]);
        let listed = list(&[&ODD]);
        for id in ids {
            assert!(docs.contains(&format!("## {}\n", explain(id, &[&ODD]).unwrap())), "{id}");
            assert!(listed.lines().any(|line| line.starts_with(id)), "{id}");
        }
        assert!(docs.ends_with('\n') && !docs.ends_with("\n\n"));
    }
}
