//! Text from outside, shortened and stripped of control characters, so that a sentence may quote it.

/// How many characters of foreign text a sentence quotes, in characters.
///
/// Two lines of a terminal: enough for any honest message, too little to flood a log.
pub const EXCERPT_CHARS_MAX: usize = 160;

/// The first [`EXCERPT_CHARS_MAX`] characters of `text`, each control character made a space.
///
/// A terminal obeys escape sequences and a log is read by line, so neither may come from outside.
/// The characters that reorder text on the screen go the same way. A cut is shown by `…`.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let mut characters = text.trim().chars();
    let mut short: String = characters
        .by_ref()
        .take(EXCERPT_CHARS_MAX)
        .map(|c| if c.is_control() || reorders(c) { ' ' } else { c })
        .collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

/// Whether the character changes the direction or the line of what follows (Unicode UAX #9).
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{EXCERPT_CHARS_MAX, excerpt};

    #[test]
    fn control_characters_become_spaces() {
        assert_eq!(excerpt("a\u{1b}[2Jb\nc\u{202e}d"), "a [2Jb c d");
    }

    #[test]
    fn long_text_is_cut_and_the_cut_is_shown() {
        let shown = excerpt(&"x".repeat(10_000));
        assert_eq!(shown.chars().count(), EXCERPT_CHARS_MAX + 1);
        assert!(shown.ends_with('…'));
    }
}
