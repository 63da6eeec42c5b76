//! The reference of all keys: a commented configuration file, and its Markdown page.

use std::fmt::Write;

/// All keys with their defaults and meanings. Also the configuration that applies without a file.
pub const REFERENCE: &str = include_str!("reference.toml");

/// The reference as a Markdown page, generated from the comments and values of [`REFERENCE`].
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# Configuration reference\n\n\
         <!-- Generated from config/reference.toml; a test keeps it current. -->\n\n",
    );
    for block in blocks() {
        block.write(&mut page);
    }
    page
}

/// The keys of one table.
#[derive(Default)]
struct ReferenceTable {
    /// `[rest.limits]`; empty for the text before the first table.
    heading: String,
    prose: String,
    rows: Vec<Row>,
}

struct Row {
    key: String,
    /// As in the file. A long list has several lines.
    value: String,
    /// Whether the key is not set and the value is an example.
    example: bool,
    meaning: String,
}

/// Parses the reference line by line. Prose follows `# `; keys and headings that are not set follow
/// `#` without a space.
fn blocks() -> Vec<ReferenceTable> {
    let mut blocks = vec![ReferenceTable::default()];
    let mut prose = String::new();
    let mut lines = REFERENCE.lines();
    while let Some(line) = lines.next() {
        let example = line.starts_with('#') && !line.starts_with("# ") && line != "#";
        let bare = if example { &line[1..] } else { line };
        let block = blocks.last_mut().expect("there is a first block");
        match line {
            "" if block.heading.is_empty() && block.prose.is_empty() => {
                block.prose = std::mem::take(&mut prose);
            }
            "" => {}
            "#" => prose.push_str("\n\n"),
            _ if bare.starts_with('[') => {
                let (heading, prose) = (bare.to_owned(), std::mem::take(&mut prose));
                blocks.push(ReferenceTable { heading, prose, rows: Vec::new() });
            }
            _ => match (line.strip_prefix("# "), bare.split_once(" = ")) {
                (Some(text), _) => {
                    let joint = if prose.is_empty() || prose.ends_with('\n') { "" } else { " " };
                    let _ = write!(prose, "{joint}{text}");
                }
                (None, Some((key, first))) => {
                    let mut value = first.to_owned();
                    while value.starts_with('[') && !value.ends_with(']') {
                        let Some(next) = lines.next() else { break };
                        let _ = write!(value, "\n{next}");
                    }
                    let (key, meaning) = (key.to_owned(), std::mem::take(&mut prose));
                    block.rows.push(Row { key, value, example, meaning });
                }
                (None, None) => {}
            },
        }
    }
    blocks
}

impl ReferenceTable {
    fn write(&self, page: &mut String) {
        // Writing to a String cannot fail.
        if !self.heading.is_empty() {
            let _ = write!(page, "## `{}`\n\n", self.heading);
        }
        let _ = write!(page, "{}\n\n", self.prose);
        if self.rows.is_empty() {
            return;
        }
        page.push_str("| key | default | meaning |\n| --- | --- | --- |\n");
        for row in &self.rows {
            let value = match (row.example, row.value.contains('\n')) {
                (true, _) => format!("not set; for example `{}`", row.value),
                (false, true) => "see below".to_owned(),
                (false, false) => format!("`{}`", row.value),
            };
            let meaning = row.meaning.replace('|', "\\|");
            let _ = writeln!(page, "| `{}` | {} | {meaning} |", row.key, value.replace('|', "\\|"));
        }
        page.push('\n');
        for row in self.rows.iter().filter(|row| row.value.contains('\n')) {
            let _ = write!(page, "```toml\n{} = {}\n```\n\n", row.key, row.value);
        }
    }
}
