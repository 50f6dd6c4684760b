//! A place in a JSON text (RFC 8259), and the steps that read one token from it.

use super::decimal::{self, Decimal};
use super::fault::{Fault, What};
use std::borrow::Cow;

/// Lists and objects within a value that is passed over: bounds the recursion.
const SKIPPED_NESTING_MAX: usize = 64;

/// A text and the byte that is read next.
///
/// Ours rather than serde's: numbers go from their digits to the tensor's own type with one
/// correct rounding, and a fault is told with its column and row.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
}

/// A number's digits, not yet of any type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'t> {
    pub(super) digits: &'t str,
    pub(super) at: usize,
    pub(super) decimal: Decimal,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Cursor<'t> {
        Cursor { text, at: 0 }
    }

    /// The byte that comes next; white space counts.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte after white space, which is passed.
    #[inline]
    pub(super) fn peek_token(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
        self.peek()
    }

    /// A fault at this place: the text is cut when it ends here.
    pub(super) fn fault(&self, what: What) -> Fault {
        let what = match (what, self.peek()) {
            (What::Syntax(_), None) => What::Cut,
            (what, _) => what,
        };
        Fault::new(what, self.at)
    }

    /// Passes `byte` when it is the next token.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let here = self.peek_token() == Some(byte);
        self.at += usize::from(here);
        here
    }

    /// Passes `byte`, which must be the next token; `named` says so in the fault.
    pub(super) fn expect(&mut self, byte: u8, named: &'static str) -> Result<(), Fault> {
        if self.take(byte) { Ok(()) } else { Err(self.fault(What::Syntax(named))) }
    }

    /// Passes `word` when the text goes on with it.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let here = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += if here { word.len() } else { 0 };
        here
    }

    /// The fault of a value that does not begin as any does: null and not-a-number have their
    /// own, and what is sound JSON is of the wrong type.
    pub(super) fn no_such_value(&self) -> Fault {
        let mut ahead = self.clone();
        for word in ["NaN", "Infinity", "-Infinity"] {
            if ahead.take_word(word) {
                return self.fault(What::NotANumber);
            }
        }
        if ahead.take_word("null") {
            return self.fault(What::Null);
        }
        match ahead.skip_value(0) {
            Ok(()) => self.fault(What::WrongType),
            Err(fault) => fault,
        }
    }

    /// A number's digits (RFC 8259, section 6).
    #[inline]
    pub(super) fn number(&mut self) -> Result<Number<'t>, Fault> {
        let start = self.at;
        match decimal::scan(&self.text.as_bytes()[start..]) {
            Ok((length, decimal)) => {
                self.at += length;
                Ok(Number { digits: &self.text[start..self.at], at: start, decimal })
            }
            Err(length) => {
                self.at += length;
                Err(self.fault(What::Syntax("a digit")))
            }
        }
    }

    /// A string, borrowed from the text when it has no escapes (RFC 8259, section 7).
    pub(super) fn string(&mut self) -> Result<Cow<'t, str>, Fault> {
        let (span, escaped) = self.string_span()?;
        if !escaped {
            return Ok(Cow::Borrowed(&self.text[span.start + 1..span.end - 1]));
        }
        match serde_json::from_str(&self.text[span.clone()]) {
            Ok(unescaped) => Ok(Cow::Owned(unescaped)),
            Err(_) => Err(Fault::new(What::Syntax("a string with sound escapes"), span.start)),
        }
    }

    /// The bytes of a string with its quotes, and whether there is an escape among them.
    fn string_span(&mut self) -> Result<(std::ops::Range<usize>, bool), Fault> {
        let start = self.at;
        self.expect(b'"', "a string")?;
        let start = start.max(self.at - 1);
        let mut escaped = false;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((start..self.at, escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    let Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u') =
                        self.peek()
                    else {
                        return Err(self.fault(What::Syntax("an escape")));
                    };
                    self.at += 1;
                }
                Some(0x20..) => self.at += 1,
                Some(_) | None => return Err(self.fault(What::Syntax("a character or `\"`"))),
            }
        }
    }

    /// Passes a value of any type, checking that it is JSON.
    pub(super) fn skip_value(&mut self, depth: usize) -> Result<(), Fault> {
        if SKIPPED_NESTING_MAX < depth {
            return Err(self.fault(What::TooDeep));
        }
        match self.peek_token() {
            Some(b'"') => self.string().map(drop),
            Some(b'[') => self.skip_list(depth),
            Some(b'{') => self.skip_object(depth),
            Some(b't') if self.take_word("true") => Ok(()),
            Some(b'f') if self.take_word("false") => Ok(()),
            Some(b'n') if self.take_word("null") => Ok(()),
            Some(b'-' | b'0'..=b'9') if !self.clone().take_word("-Infinity") => {
                self.number().map(drop)
            }
            Some(b'N' | b'I' | b'-') => {
                let fault = self.fault(What::NotANumber);
                let literal = ["NaN", "Infinity", "-Infinity"].map(|word| self.take_word(word));
                let known = literal.contains(&true);
                Err(if known { fault } else { self.fault(What::Syntax("a value")) })
            }
            Some(_) | None => Err(self.fault(What::Syntax("a value"))),
        }
    }

    fn skip_list(&mut self, depth: usize) -> Result<(), Fault> {
        self.at += 1;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.skip_value(depth + 1)?;
            if !self.goes_on(b']', "`,` or `]`")? {
                return Ok(());
            }
        }
    }

    fn skip_object(&mut self, depth: usize) -> Result<(), Fault> {
        self.at += 1;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.peek_token();
            self.string()?;
            self.expect(b':', "`:`")?;
            self.skip_value(depth + 1)?;
            if !self.goes_on(b'}', "`,` or `}`")? {
                return Ok(());
            }
        }
    }

    /// Whether a list or object goes on after a member, or ends with `end`.
    #[inline]
    pub(super) fn goes_on(&mut self, end: u8, named: &'static str) -> Result<bool, Fault> {
        match self.peek_token() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            Some(_) | None => Err(self.fault(What::Syntax(named))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(text: &str) -> Result<usize, Fault> {
        let mut cursor = Cursor::new(text);
        cursor.skip_value(0).map(|()| cursor.at)
    }

    #[test]
    fn every_value_of_the_grammar_is_passed_over() {
        let cases = [
            "0",
            "-0.5e+10",
            "12E3",
            "true",
            "false",
            "null",
            r#""a\"b\u00e9\ud83d\ude00""#,
            "[]",
            "[1, [2,\t3] ]",
            "{}",
            r#"{"a": {"b": [null]}, "c": "d"}"#,
        ];
        for text in cases {
            assert_eq!(skipped(text), Ok(text.len()), "{text}");
        }
    }

    #[test]
    fn what_serde_json_refuses_is_refused() {
        let cases = [
            "",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "tru",
            "nul",
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"a\nb\"",
            "[1,]",
            "[1 2]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "nan",
            "-I",
            "[1",
            "{\"a\":1",
        ];
        for text in cases {
            assert!(skipped(text).is_err(), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
        }
        assert_eq!(skipped("01"), Ok(1), "the caller finds the 1 where a `,` belongs");
    }

    #[test]
    fn depth_is_bounded_where_nothing_is_kept() {
        let deep = "[".repeat(100_000);
        assert_eq!(skipped(&deep).unwrap_err().what, What::TooDeep);
    }
}
