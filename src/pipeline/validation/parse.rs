//! From the text that a person writes to an expression, by recursive descent.

use super::expression::{Comparison, Expression, Function, Operation, Reference, Side, Which};
use super::token::{Token, tokens};
use super::{EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX};

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {what}")]
pub struct SyntaxError {
    /// The byte of the text at which it was noticed.
    pub at: usize,
    /// What is wrong there, and what could stand there.
    pub what: String,
}

impl SyntaxError {
    pub(super) fn new(at: usize, what: impl Into<String>) -> SyntaxError {
        SyntaxError { at, what: what.into() }
    }
}

/// Reads an expression.
///
/// ```text
/// either   := both ("or" both)*               also ||
/// both     := negated ("and" negated)*        also &&
/// negated  := "not" negated | compared        also !
/// compared := sum (("<" | "<=" | ">" | ">=" | "==" | "!=") sum)?
/// sum      := product (("+" | "-") product)*
/// product  := signed (("*" | "/") signed)*
/// signed   := "-" signed | value
/// value    := number | "text" | true | false | "(" either ")" | function "(" either ")"
///           | ("in" | "out") "." name place*
///           | name "." ("inputs" | "outputs") "[" integer "]" place*
/// place    := "[" integer "]"
/// ```
pub(super) fn parse(text: &str) -> Result<Expression, SyntaxError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let what = format!("the expression is longer than {EXPRESSION_BYTES_MAX} bytes");
        return Err(SyntaxError::new(EXPRESSION_BYTES_MAX, what));
    }
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens, next: 0, end: text.len(), depth: 0 };
    let expression = reader.either()?;
    match reader.peek() {
        None => Ok(expression),
        Some(_) => Err(reader.unexpected("the end, `and` or `or`")),
    }
}

struct Reader<'t> {
    tokens: &'t [(usize, Token)],
    next: usize,
    /// The length of the text: where an error at its end is.
    end: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn unexpected(&self, expected: &str) -> SyntaxError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Token::Name(name, _)) => format!("`{name}`"),
            Some(Token::Integer(value)) => format!("`{value}`"),
            Some(Token::Number(value)) => format!("`{value}`"),
            Some(Token::Text(text)) => format!("{text:?}"),
            Some(Token::Sign(sign)) => format!("`{sign}`"),
        };
        SyntaxError::new(self.at(), format!("found {found}, expected {expected}"))
    }

    /// Takes the next word if it is one of these signs or keywords.
    fn takes(&mut self, words: &[&str]) -> bool {
        let matches = match self.peek() {
            Some(Token::Sign(sign)) => words.contains(sign),
            Some(Token::Name(name, false)) => words.contains(&name.as_str()),
            Some(Token::Name(..) | Token::Integer(_) | Token::Number(_) | Token::Text(_))
            | None => false,
        };
        self.next += usize::from(matches);
        matches
    }

    fn needs(&mut self, sign: &str) -> Result<(), SyntaxError> {
        if self.takes(&[sign]) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    /// Reads a part one level deeper.
    fn deeper<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<T, SyntaxError> {
        self.depth += 1;
        if self.depth > EXPRESSION_DEPTH_MAX {
            let what = format!("it nests deeper than {EXPRESSION_DEPTH_MAX} levels");
            return Err(SyntaxError::new(self.at(), what));
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn either(&mut self) -> Result<Expression, SyntaxError> {
        let left = self.both()?;
        if !self.takes(&["or", "||"]) {
            return Ok(left);
        }
        let right = self.deeper(Self::either)?;
        Ok(Expression::Either(Box::new(left), Box::new(right)))
    }

    fn both(&mut self) -> Result<Expression, SyntaxError> {
        let left = self.negated()?;
        if !self.takes(&["and", "&&"]) {
            return Ok(left);
        }
        let right = self.deeper(Self::both)?;
        Ok(Expression::Both(Box::new(left), Box::new(right)))
    }

    fn negated(&mut self) -> Result<Expression, SyntaxError> {
        if self.takes(&["not", "!"]) {
            return Ok(Expression::Not(Box::new(self.deeper(Self::negated)?)));
        }
        self.compared()
    }

    fn compared(&mut self) -> Result<Expression, SyntaxError> {
        let left = self.sum()?;
        let Some(how) = self.comparison() else { return Ok(left) };
        let right = self.sum()?;
        let at = self.at();
        if self.comparison().is_some() {
            let what = "comparisons do not chain: write `a < b and b < c`";
            return Err(SyntaxError::new(at, what));
        }
        Ok(Expression::Compare(Box::new(left), how, Box::new(right)))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        Comparison::SIGNS.iter().find(|(sign, _)| self.takes(&[sign])).map(|(_, how)| *how)
    }

    fn sum(&mut self) -> Result<Expression, SyntaxError> {
        self.computed(&Operation::SIGNS[..2], Self::product)
    }

    fn product(&mut self) -> Result<Expression, SyntaxError> {
        self.computed(&Operation::SIGNS[2..], Self::signed)
    }

    /// Operations of one rank, from the left.
    fn computed(
        &mut self,
        signs: &[(&str, Operation)],
        part: fn(&mut Self) -> Result<Expression, SyntaxError>,
    ) -> Result<Expression, SyntaxError> {
        let mut left = part(self)?;
        let depth = self.depth;
        while let Some((_, how)) = signs.iter().find(|(sign, _)| self.takes(&[sign])) {
            // Each operation is one level above the one before it.
            let right = self.deeper(part)?;
            self.depth += 1;
            left = Expression::Compute(Box::new(left), *how, Box::new(right));
        }
        self.depth = depth;
        Ok(left)
    }

    fn signed(&mut self) -> Result<Expression, SyntaxError> {
        if self.takes(&["-"]) {
            let signed = self.deeper(Self::signed)?;
            return Ok(if let Expression::Integer(value) = signed {
                Expression::Integer(value.saturating_neg())
            } else if let Expression::Number(value) = signed {
                Expression::Number(-value)
            } else {
                Expression::Negative(Box::new(signed))
            });
        }
        self.value()
    }

    fn value(&mut self) -> Result<Expression, SyntaxError> {
        if self.takes(&["("]) {
            let inner = self.deeper(Self::either)?;
            self.needs(")")?;
            return Ok(inner);
        }
        let expected = "a number, a text, `in.COLUMN`, `out.COLUMN` or `model.outputs[0][0]`";
        let (name, quoted) = match self.peek() {
            Some(Token::Integer(value)) => return Ok(self.past(Expression::Integer(*value))),
            Some(Token::Number(value)) => return Ok(self.past(Expression::Number(*value))),
            Some(Token::Text(text)) => return Ok(self.past(Expression::Text(text.clone()))),
            Some(Token::Name(name, quoted)) => (name.clone(), *quoted),
            Some(Token::Sign(_)) | None => return Err(self.unexpected(expected)),
        };
        match name.as_str() {
            "true" | "false" if !quoted => Ok(self.past(Expression::Truth(name == "true"))),
            "and" | "or" | "not" if !quoted => Err(self.unexpected(expected)),
            "in" if !quoted => self.column(Side::In),
            "out" if !quoted => self.column(Side::Out),
            _ => self.function_or_model(name, quoted),
        }
    }

    /// Steps over the word that `expression` was made of.
    fn past(&mut self, expression: Expression) -> Expression {
        self.next += 1;
        expression
    }

    /// `in.name[0]`
    fn column(&mut self, side: Side) -> Result<Expression, SyntaxError> {
        self.next += 1;
        self.needs(".")?;
        let mut name = self.name("the name of a column")?;
        // Names of outputs have dots and colons in them; a dot needs no backquotes.
        while self.takes(&["."]) {
            name = format!("{name}.{}", self.name("the rest of the column's name")?);
        }
        let places = self.places()?;
        let column = Which::Name(name);
        Ok(Expression::Column(Reference { side, model: None, column, places }))
    }

    /// `abs(…)` or `model.outputs[0][0]`
    fn function_or_model(&mut self, name: String, quoted: bool) -> Result<Expression, SyntaxError> {
        let at = self.at();
        self.next += 1;
        if !quoted && self.takes(&["("]) {
            let function = Function::NAMES.iter().find(|(it, _)| *it == name);
            let Some((_, function)) = function else {
                let names: Vec<&str> = Function::NAMES.iter().map(|(name, _)| *name).collect();
                let what = format!("there is no function `{name}`: there are {}", names.join(", "));
                return Err(SyntaxError::new(at, what));
            };
            let argument = self.deeper(Self::either)?;
            self.needs(")")?;
            return Ok(Expression::Apply(*function, Box::new(argument)));
        }
        if !self.takes(&["."]) {
            let what = format!(
                "`{name}` alone is no value: write `out.{name}` or `in.{name}` for a column"
            );
            return Err(SyntaxError::new(at, what));
        }
        let side = if self.takes(&["outputs"]) {
            Side::Out
        } else if self.takes(&["inputs"]) {
            Side::In
        } else {
            return Err(self.unexpected("`outputs` or `inputs`"));
        };
        let mut places = self.places()?.into_iter();
        let position = places.next().and_then(|position| usize::try_from(position).ok());
        let position = position.ok_or_else(|| {
            SyntaxError::new(at, "which of them? write `model.outputs[0][0]`, from 0 on")
        })?;
        let model = (quoted || name != "model").then_some(name);
        let (column, places) = (Which::Position(position), places.collect());
        Ok(Expression::Column(Reference { side, model, column, places }))
    }

    fn name(&mut self, expected: &str) -> Result<String, SyntaxError> {
        match self.peek() {
            Some(Token::Name(name, _)) => {
                let name = name.clone();
                self.next += 1;
                Ok(name)
            }
            // Exporters name outputs by numbers.
            Some(Token::Integer(number)) => {
                let name = number.to_string();
                self.next += 1;
                Ok(name)
            }
            Some(Token::Number(_) | Token::Text(_) | Token::Sign(_)) | None => {
                Err(self.unexpected(expected))
            }
        }
    }

    fn places(&mut self) -> Result<Vec<i64>, SyntaxError> {
        let mut places = Vec::new();
        while self.takes(&["["]) {
            let negative = self.takes(&["-"]);
            let Some(Token::Integer(place)) = self.peek() else {
                return Err(self.unexpected("a whole number"));
            };
            let place = if negative { -place } else { *place };
            self.next += 1;
            self.needs("]")?;
            places.push(place);
        }
        Ok(places)
    }
}
