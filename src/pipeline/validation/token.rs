//! The words of an expression: names, numbers, texts and signs, each with the byte it begins at.

use super::parse::SyntaxError;

/// One word of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name; `true` where it stood in backquotes, and so is no keyword.
    Name(String, bool),
    Integer(i64),
    Number(f64),
    Text(String),
    /// An operator, bracket or dot.
    Sign(&'static str),
}

/// Signs, the longer before those that they begin with.
const SIGNS: [&str; 19] = [
    "<=", ">=", "==", "!=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "(", ")", "[", "]", ".",
    ",",
];

/// What begins a name.
fn begins(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

/// What goes on in a name. A minus does where more of the name follows: model names have them.
fn goes_on(rest: &str) -> bool {
    let mut next = rest.chars();
    match next.next() {
        Some('-') => next.next().is_some_and(|it| it.is_alphanumeric() || it == '_'),
        Some(character) => character.is_alphanumeric() || character == '_',
        None => false,
    }
}

/// Whether a name reads as itself without backquotes.
pub(super) fn is_plain_name(name: &str) -> bool {
    let keyword = matches!(name, "in" | "out" | "and" | "or" | "not" | "true" | "false");
    !keyword && name.chars().next().is_some_and(begins) && name_length(name) == name.len()
}

/// The bytes of the name at the beginning of `text`.
fn name_length(text: &str) -> usize {
    let ends = text.char_indices().find(|(at, _)| 0 < *at && !goes_on(&text[*at..]));
    ends.map_or(text.len(), |(at, _)| at)
}

/// All words of `text`.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, SyntaxError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, length) = if begins(first) {
            let length = name_length(rest);
            (Token::Name(rest[..length].to_owned(), false), length)
        } else if first.is_ascii_digit() {
            number(rest, at)?
        } else if matches!(first, '"' | '\'' | '`') {
            quoted(rest, first, at)?
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign.ok_or_else(|| {
                let hint = if first == '=' { ": equality is written ==" } else { "" };
                SyntaxError::new(
                    at,
                    format!("`{}` has no meaning here{hint}", first.escape_debug()),
                )
            })?;
            (Token::Sign(sign), sign.len())
        };
        found.push((at, token));
        at += length;
    }
    Ok(found)
}

/// A number without a sign, as JSON has them, with `_` between digits allowed.
fn number(rest: &str, at: usize) -> Result<(Token, usize), SyntaxError> {
    let bytes = rest.as_bytes();
    let mut length = 0;
    let mut whole = true;
    while let Some(byte) = bytes.get(length) {
        let sign_of_exponent =
            matches!(byte, b'+' | b'-') && length > 0 && matches!(bytes[length - 1], b'e' | b'E');
        match byte {
            b'0'..=b'9' | b'_' => {}
            b'.' if bytes.get(length + 1).is_some_and(u8::is_ascii_digit) => whole = false,
            b'e' | b'E' => whole = false,
            _ if sign_of_exponent => {}
            _ => break,
        }
        length += 1;
    }
    let digits = rest[..length].replace('_', "");
    let wrong = || SyntaxError::new(at, format!("`{}` is no number", &rest[..length]));
    let token = if whole {
        // What no 64-bit integer holds is a number all the same.
        match digits.parse() {
            Ok(value) => Token::Integer(value),
            Err(_) => Token::Number(digits.parse().map_err(|_| wrong())?),
        }
    } else {
        Token::Number(digits.parse().map_err(|_| wrong())?)
    };
    Ok((token, length))
}

/// A text in quotes or a name in backquotes; a backslash takes the next character as it is.
fn quoted(rest: &str, quote: char, at: usize) -> Result<(Token, usize), SyntaxError> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((place, character)) = characters.next() {
        match character {
            '\\' if quote != '`' => text.extend(characters.next().map(|(_, next)| next)),
            _ if character == quote => {
                let token = if quote == '`' { Token::Name(text, true) } else { Token::Text(text) };
                return Ok((token, place + 1));
            }
            _ => text.push(character),
        }
    }
    Err(SyntaxError::new(at, format!("the {quote} here is never closed")))
}
