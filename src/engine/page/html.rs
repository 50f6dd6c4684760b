//! HTML under construction: markup is ours and part of the program, everything else is escaped.

/// A piece of a document.
///
/// Markup can only be text of the program itself, so nothing from an artifact or a client gets
/// past the escaping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// A text with every character that HTML gives a meaning escaped.
    pub(super) fn of(text: &str) -> Html {
        Html::default().text(text)
    }

    /// Appends markup.
    pub(super) fn markup(mut self, markup: &'static str) -> Html {
        self.0.push_str(markup);
        self
    }

    /// Appends a text, escaped for content and for quoted attributes alike (HTML, section
    /// "Serializing HTML fragments", and both quotes).
    pub(super) fn text(mut self, text: &str) -> Html {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                other => self.0.push(other),
            }
        }
        self
    }

    /// Appends a name that people may copy.
    pub(super) fn code(self, text: &str) -> Html {
        self.markup("<code>").text(text).markup("</code>")
    }

    /// Appends another piece.
    pub(super) fn piece(mut self, piece: &Html) -> Html {
        self.0.push_str(&piece.0);
        self
    }

    /// The template with a piece in the place of each `{{name}}`. Pieces are not looked into, so
    /// one that holds braces stays as it is.
    pub(super) fn fill(template: &'static str, pieces: &[(&str, Html)]) -> Html {
        let mut parts = template.split("{{");
        let mut page = Html::default().markup(parts.next().unwrap_or_default());
        for part in parts {
            let (name, markup) = part.split_once("}}").unwrap_or((part, ""));
            let piece = pieces.iter().find(|(known, _)| *known == name);
            assert!(piece.is_some(), "the template asks for a piece `{name}` that nobody made");
            if let Some((_, piece)) = piece {
                page = page.piece(piece);
            }
            page = page.markup(markup);
        }
        page
    }

    /// The bytes of the document.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_can_neither_open_a_tag_nor_end_an_attribute() {
        let hostile = "</textarea><script>alert('x')</script>\" onload=\"&lt;";
        let escaped = Html::of(hostile).0;
        assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped}");
        assert!(escaped.ends_with("onload=&quot;&amp;lt;"), "{escaped}");
    }

    #[test]
    fn a_piece_is_not_taken_for_a_template() {
        let pieces = [("a", Html::of("{{b}}")), ("b", Html::of("secret"))];
        assert_eq!(Html::fill("<p>{{a}}</p>", &pieces).0, "<p>{{b}}</p>");
    }
}
