//! What the README says works as it says.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::*;

/// A block of commands of the README, and what it says that they print.
struct Block {
    is_background: bool,
    commands: Vec<String>,
    prints: Option<String>,
}

/// The blocks of the README; a block of commands that is not marked to be run fails.
fn blocks(readme: &str) -> Vec<Block> {
    let parts: Vec<&str> = readme.split("```sh\n").collect();
    let mut blocks = Vec::new();
    for (before, block) in parts.iter().zip(&parts[1..]) {
        let mark = before.trim_end().rsplit('\n').next().unwrap();
        assert!(mark.starts_with("<!-- run"), "a block of commands is not run by this test: {block}");
        let (commands, rest) = block.split_once("```").unwrap();
        let prints = rest.trim_start().strip_prefix("<!-- prints -->\n```text\n");
        blocks.push(Block {
            is_background: mark.contains("background"),
            commands: commands.lines().map(str::to_owned).collect(),
            prints: prints.map(|rest| rest.split("```").next().unwrap().to_owned()),
        });
    }
    blocks
}

/// Text without what differs from run to run: numbers are all one, spans of time too, blanks and rules have no length.
fn shape(text: &str) -> String {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let (mut shape, mut last) = (String::new(), ' ');
        for c in word.chars() {
            let c = if c.is_ascii_digit() { '0' } else { c };
            let is_same = c == last && matches!(c, '0' | '-' | '─' | '━');
            let is_inside = last == '0' && matches!(c, '.' | ',');
            if !is_same && !is_inside {
                shape.push(c);
                last = c;
            }
        }
        let is_unit = matches!(shape.as_str(), "ms" | "s" | "min" | "ms," | "s,");
        let is_span = is_unit && words.last().is_some_and(|word: &String| word.ends_with('0'));
        words.push(if is_span { "span".to_owned() } else { shape });
    }
    words.join(" ")
}

/// What is printed has these parts in this order; `…` stands for whatever is between them.
fn assert_prints(printed: &str, expected: &str) {
    let (printed, mut at) = (shape(printed), 0);
    for part in expected.split('…').map(shape).filter(|part| !part.is_empty()) {
        let found = printed[at..].find(&part);
        at += found.unwrap_or_else(|| panic!("not in this order: `{part}`\nin: {}", &printed[at..]))
            + part.len();
    }
}

/// Every command of the README, in its order, in a folder with the examples; it prints what the README says.
#[test]
fn the_readmes_commands_do_what_they_say() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = blocks(&readme);
    assert!(blocks.len() >= 5 && blocks.iter().filter(|block| block.prints.is_some()).count() >= 5);
    let dir = tempfile::tempdir().unwrap();
    let bin = std::path::Path::new(FOREBAY).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    // The ports of the README may be taken while tests run side by side.
    let (kafka, http) = (free_address().to_string(), free_address().to_string());
    let example = std::fs::read_to_string(root().join("examples/plant.yaml")).unwrap();
    std::fs::create_dir(dir.path().join("examples")).unwrap();
    std::fs::write(dir.path().join("examples/plant.yaml"), example.replace("localhost:9092", &kafka))
        .unwrap();
    let shell = |line: &str| {
        let mut command = Command::new("bash");
        let line = line.replace("127.0.0.1:8080", &http);
        command.args(["-c", &format!("exec {line}")]).current_dir(dir.path());
        command.env("PATH", &path).env("FOREBAY_KAFKA", &kafka).env("FOREBAY_HTTP", &http);
        command.stdin(Stdio::null());
        command
    };
    let mut running = Vec::new();
    for block in &blocks {
        let mut printed = String::new();
        for line in &block.commands {
            if block.is_background {
                let mut process = Process::spawn(&mut shell(line));
                process.wait_for("ready ", Duration::from_secs(30));
                running.push(process);
                continue;
            }
            if line.contains("query") {
                // The events of the line before need a moment to the table.
                std::thread::sleep(Duration::from_secs(3));
            }
            let output = succeed(&mut shell(line));
            let said = text_of(&output);
            let said = said.lines().filter(|line| !line.starts_with("warning: this build"));
            printed.extend(said.map(|line| format!("{line}\n")));
            printed.push_str(&(text(&output.stdout) + "\n"));
        }
        println!("$ {}\n{printed}", block.commands.join("\n$ "));
        if let Some(expected) = &block.prints {
            assert_prints(&printed, expected);
        }
    }
    for process in running {
        assert!(process.stop().0);
    }
}
