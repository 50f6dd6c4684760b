//! Lists for people: columns under capitals, as wide as what is in them.

use serde_json::Value;

/// Characters of one cell; what is longer ends in dots. A URL with a UUID fits.
const CELL_CHARS_MAX: usize = 120;

/// A column: its head, and the key of its value, with dots for keys within.
pub(super) type Column = (&'static str, &'static str);

/// The rows as a table; `nothing` where there are none.
pub(super) fn table(columns: &[Column], rows: &[Value], nothing: &str) -> String {
    if rows.is_empty() {
        return format!("{nothing}\n");
    }
    let heads = columns.iter().map(|(head, _)| (*head).to_owned()).collect();
    let cells = |row: &Value| columns.iter().map(|(_, key)| cell(row, key)).collect();
    let lines: Vec<Vec<String>> = std::iter::once(heads).chain(rows.iter().map(cells)).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let mut written = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            written.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(written.trim_end());
        text.push('\n');
    }
    text
}

/// What a row has under a key, in one line and without control characters: names come from others.
fn cell(row: &Value, key: &str) -> String {
    let found = key.split('.').fold(row, |value, key| &value[key]);
    let text = match found {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => {
            let words = values
                .iter()
                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            words.collect::<Vec<_>>().join(",")
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => found.to_string(),
    };
    let text: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    if text.chars().count() <= CELL_CHARS_MAX {
        return text;
    }
    text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [
            json!({ "id": 1, "name": "fraud", "helm": { "version": "0.0.1" }, "tags": ["a", "b"] }),
            json!({ "id": 12, "name": "a\nb", "helm": null, "tags": [] }),
        ];
        let columns = [("ID", "id"), ("NAME", "name"), ("CHART", "helm.version"), ("TAGS", "tags")];
        assert_eq!(
            table(&columns, &rows, "none"),
            "ID  NAME   CHART  TAGS\n1   fraud  0.0.1  a,b\n12  a b    -      -\n"
        );
        assert_eq!(table(&columns, &[], "no pipelines yet"), "no pipelines yet\n");
    }
}
