//! `docs/sql.md` is true: each line of its table of functions is computed.

use super::*;

#[test]
fn each_function_of_the_document_gives_what_it_says() {
    let text = include_str!("../../../../../docs/sql.md");
    let table = text.split("| function | example | gives |").nth(1).unwrap();
    let (mut checked, mut wrong) = (0, Vec::new());
    for line in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        let (example, gives) = (cells[1].trim_matches('`'), cells[2].trim_matches('`'));
        let sql = format!(
            "SELECT {example} AS result FROM (SELECT deviceName AS a, 42 AS i, temperature AS d, at AS t, tags, props, place \
             FROM iot WHERE device_id = 'a')"
        );
        let got = outcome(&sql);
        // A text with quotes is shown in quotes, its own doubled.
        let bare = got.replace("\"\"", "\"").replacen("; \"", "; ", 1);
        let told = format!("result; {gives}");
        if got != told && bare.strip_suffix('"') != Some(&told) {
            wrong.push(format!("{example}: says {gives}, gives {got}"));
        }
        checked += 1;
    }
    assert!(checked > 60, "only {checked} lines were found");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
