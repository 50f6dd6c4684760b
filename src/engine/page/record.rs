//! An answer's JSON, indented for a person: one line for each key, lists of values in one.

/// Characters of an answer that the page shows: some thousand values. A browser lays more out
/// slowly, and nobody reads them there.
const CHARS_MAX: usize = 64 * 1024;

/// Indents compact JSON that we wrote ourselves.
pub(super) fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len().min(CHARS_MAX) * 2);
    // For each bracket that is open: whether its items stand on lines of their own.
    let mut open: Vec<bool> = Vec::new();
    let mut in_string = false;
    let mut escaped = false;
    let mut characters = json.chars().peekable();
    let mut shown = 0;
    while let Some(character) = characters.next() {
        shown += 1;
        if CHARS_MAX < shown {
            let left = 1 + characters.count();
            text.push_str(&format!("…\n({left} more characters: POST /infer answers in full)"));
            break;
        }
        if in_string {
            text.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        match character {
            '[' | '{' => {
                text.push(character);
                let lines = match characters.peek() {
                    Some('}' | ']') => false,
                    next => character == '{' || matches!(next, Some('{' | '[')),
                };
                open.push(lines);
                new_line(&mut text, lines, open.len());
            }
            ']' | '}' => {
                let lines = open.pop().unwrap_or_default();
                new_line(&mut text, lines, open.len());
                text.push(character);
            }
            ',' => {
                let lines = open.last().copied().unwrap_or_default();
                text.push_str(if lines { "," } else { ", " });
                new_line(&mut text, lines, open.len());
            }
            ':' => text.push_str(": "),
            other => {
                in_string = other == '"';
                text.push(other);
            }
        }
    }
    text
}

fn new_line(text: &mut String, wanted: bool, depth: usize) {
    if wanted {
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_lines_and_values_share_one() {
        let json = r#"[{"a":[],"b":[1,-2.5e-7],"c":[{"F,:\"{":{"data":["x\\","[y]"]}}],"d":{}}]"#;
        let lines = [
            "[",
            "  {",
            "    \"a\": [],",
            "    \"b\": [1, -2.5e-7],",
            "    \"c\": [",
            "      {",
            "        \"F,:\\\"{\": {",
            "          \"data\": [\"x\\\\\", \"[y]\"]",
            "        }",
            "      }",
            "    ],",
            "    \"d\": {}",
            "  }",
            "]",
        ];
        assert_eq!(indented(json), lines.join("\n"));
    }

    #[test]
    fn a_long_answer_is_cut_and_says_so() {
        let json = format!("[{}]", "1,".repeat(CHARS_MAX));
        let text = indented(&json);
        let cut = json.len() - CHARS_MAX;
        assert!(
            text.ends_with(&format!("…\n({cut} more characters: POST /infer answers in full)"))
        );
    }
}
