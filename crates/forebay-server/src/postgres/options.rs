//! What a client asks for in the `options` of its start, as for a server's command line: `-c name=value`.

use super::sqlstate::{Refusal, SYNTAX};

/// The settings that are asked for. Blanks stand between arguments; a backslash before a blank makes it part of one.
///
/// # Errors
/// `42601` for any other argument: none is passed over.
pub(super) fn read(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut settings = Vec::new();
    let mut arguments = arguments(text).into_iter();
    while let Some(argument) = arguments.next() {
        let refused = || {
            let message = format!("invalid command-line argument for server process: {argument}");
            Refusal::new(SYNTAX, message).hint("Only settings are possible: -c name=value.")
        };
        let setting = match argument.as_str() {
            "-c" => arguments.next().ok_or_else(refused)?,
            other => {
                let setting = other.strip_prefix("--").or_else(|| other.strip_prefix("-c"));
                setting.ok_or_else(refused)?.to_owned()
            }
        };
        let (name, value) =
            setting.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(refused)?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn arguments(text: &str) -> Vec<String> {
    let (mut found, mut now) = (Vec::new(), None::<String>);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            blank if blank.is_ascii_whitespace() => found.extend(now.take()),
            '\\' => now.get_or_insert_default().extend(letters.next()),
            other => now.get_or_insert_default().push(other),
        }
    }
    found.extend(now);
    found
}

/// True if a table without a schema is still looked for in `public` before any other schema that has tables of the
/// pipeline. Those of the system are not in question: their names are their own.
pub(super) fn is_public_first(path: &str) -> bool {
    const PASSED: [&str; 4] = ["\"$user\"", "$user", "pg_catalog", "pg_temp"];
    let name = |part: &str| part.trim().trim_matches(['"', '\'']).to_lowercase();
    let first = path.split(',').map(name).find(|name| !name.is_empty() && !PASSED.contains(&name.as_str()));
    first.is_none_or(|first| matches!(first.as_str(), "public" | "default"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_a_servers_command_line_has_them() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (text, expected) in [
            ("", vec![]),
            ("-c statement_timeout=5min", vec![pair("statement_timeout", "5min")]),
            ("  -cgeqo=off   --work-mem=64MB ", vec![pair("geqo", "off"), pair("work_mem", "64MB")]),
            (
                r"-c search_path=public,\ late -c a.b=",
                vec![pair("search_path", "public, late"), pair("a.b", "")],
            ),
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        for text in ["-c", "-c geqo", "-d 5", "x", "-c =1", "--"] {
            assert_eq!(read(text).unwrap_err().state, SYNTAX, "{text}");
        }
    }

    #[test]
    fn a_search_path_keeps_public_before_all_others() {
        for (path, is_it) in [
            ("\"$user\", public", true),
            ("public, late", true),
            ("pg_catalog, \"public\"", true),
            ("", true),
            ("default", true),
            ("late, public", false),
            ("tenant", false),
        ] {
            assert_eq!(is_public_first(path), is_it, "{path}");
        }
    }
}
