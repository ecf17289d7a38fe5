//! The table of `forebay quarantine ls`: columns as wide as what stands in them.

/// What is shown of each record; all but the last are columns.
const HEADS: [&str; 7] = ["RECORD", "TIME", "CODE", "PATH", "QUERIES", "SOURCES", "WHY"];

/// A table in which every column is as wide as the longest of its values.
pub(super) fn columns(mut rows: Vec<[String; 7]>) -> String {
    rows.insert(0, HEADS.map(str::to_owned));
    let wide =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..HEADS.len() - 1).map(|column| wide(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$} "));
        out.extend(padded);
        out.extend(row.last().map(|why| why.trim_end()));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_moves_no_column() {
        let row = |path: &str, why: &str| {
            ["t/0/1", "10:00", "json.type", path, "lake,hot", "iot", why].map(str::to_owned)
        };
        let table =
            columns(vec![row("$.a.very.long.path.below.the.root.of.it[17]", "why one"), row("$", "why two")]);
        let at = |line: &str, word: &str| line.find(word).unwrap();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            (at(lines[0], "QUERIES"), at(lines[0], "WHY")),
            (at(lines[1], "lake"), at(lines[1], "why one"))
        );
        assert_eq!(
            (at(lines[2], "lake"), at(lines[2], "why two")),
            (at(lines[1], "lake"), at(lines[1], "why one"))
        );
    }
}
