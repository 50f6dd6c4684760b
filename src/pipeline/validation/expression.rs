//! The expression that a validation evaluates, whatever form it came in.

use std::fmt;

/// A value computed from one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// `true` or `false`.
    Truth(bool),
    /// Values of a column of the row.
    Column(Reference),
    /// A function of one argument.
    Apply(Function, Box<Expression>),
    /// What holds where its argument does not.
    Not(Box<Expression>),
    /// The number with the other sign.
    Negative(Box<Expression>),
    /// Two values compared.
    Compare(Box<Expression>, Comparison, Box<Expression>),
    /// Two numbers made into one.
    Compute(Box<Expression>, Operation, Box<Expression>),
    /// What holds where both do.
    Both(Box<Expression>, Box<Expression>),
    /// What holds where one of them does.
    Either(Box<Expression>, Box<Expression>),
}

/// Whose columns are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What the client sent.
    In,
    /// What the last model before the validation gave.
    Out,
}

/// A column, and the place of one value in its row.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Inputs or outputs.
    pub side: Side,
    /// The model that is named, where one is.
    pub model: Option<String>,
    /// Which of the columns.
    pub column: Which,
    /// The place in the row: none for the whole row, one for a place in the flat row, or as many
    /// as the row has dimensions. Negative ones count from the end.
    pub places: Vec<i64>,
}

/// A column by its name or its position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// By name.
    Name(String),
    /// By position, the first is 0.
    Position(usize),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
}

/// How two numbers are made into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`, of numbers with a fraction whatever the operands are.
    Divide,
}

/// A function of a value, or of all values of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The number without its sign.
    Absolute,
    /// Whether the value is NaN or not there; the one function that decides about these.
    IsNan,
    /// The largest of a row; NaN where one of them is.
    Largest,
    /// The mean of a row.
    Mean,
    /// The smallest of a row; NaN where one of them is.
    Smallest,
    /// The sum of a row.
    Sum,
}

impl Comparison {
    /// Each with its sign; those of two characters first, as a reader must try them.
    pub(super) const SIGNS: [(&'static str, Comparison); 6] = [
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("==", Comparison::Equal),
        ("!=", Comparison::Unequal),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
    ];

    fn sign(self) -> &'static str {
        sign(&Self::SIGNS, self)
    }
}

impl Operation {
    /// Each with its sign.
    pub(super) const SIGNS: [(&'static str, Operation); 4] = [
        ("+", Operation::Add),
        ("-", Operation::Subtract),
        ("*", Operation::Multiply),
        ("/", Operation::Divide),
    ];

    fn sign(self) -> &'static str {
        sign(&Self::SIGNS, self)
    }
}

impl Function {
    /// Each with its name.
    pub(super) const NAMES: [(&'static str, Function); 6] = [
        ("abs", Function::Absolute),
        ("is_nan", Function::IsNan),
        ("max", Function::Largest),
        ("mean", Function::Mean),
        ("min", Function::Smallest),
        ("sum", Function::Sum),
    ];

    /// The name in an expression.
    pub(super) fn name(self) -> &'static str {
        sign(&Self::NAMES, self)
    }

    /// Whether it takes a whole row and gives one value.
    pub(super) fn takes_row(self) -> bool {
        match self {
            Function::Largest | Function::Mean | Function::Smallest | Function::Sum => true,
            Function::Absolute | Function::IsNan => false,
        }
    }
}

fn sign<T: PartialEq>(signs: &[(&'static str, T)], wanted: T) -> &'static str {
    signs.iter().find(|(_, it)| *it == wanted).map_or("?", |(sign, _)| sign)
}

/// As a person would write it, with brackets around every inner operation.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Integer(value) => write!(f, "{value}"),
            Expression::Number(value) => write!(f, "{value:?}"),
            Expression::Text(text) => write!(f, "{text:?}"),
            Expression::Truth(value) => write!(f, "{value}"),
            Expression::Column(reference) => write!(f, "{reference}"),
            Expression::Apply(function, argument) => write!(f, "{}({argument})", function.name()),
            Expression::Not(argument) => write!(f, "not {}", Inner(argument)),
            Expression::Negative(argument) => write!(f, "-{}", Inner(argument)),
            Expression::Compare(left, how, right) => {
                write!(f, "{} {} {}", Inner(left), how.sign(), Inner(right))
            }
            Expression::Compute(left, how, right) => {
                write!(f, "{} {} {}", Inner(left), how.sign(), Inner(right))
            }
            Expression::Both(left, right) => write!(f, "{} and {}", Inner(left), Inner(right)),
            Expression::Either(left, right) => write!(f, "{} or {}", Inner(left), Inner(right)),
        }
    }
}

/// A part of an expression, in brackets where it is an operation of its own.
struct Inner<'e>(&'e Expression);

impl fmt::Display for Inner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expression::Integer(_)
            | Expression::Number(_)
            | Expression::Text(_)
            | Expression::Truth(_)
            | Expression::Column(_)
            | Expression::Apply(..)
            | Expression::Negative(_) => write!(f, "{}", self.0),
            Expression::Not(_)
            | Expression::Compare(..)
            | Expression::Compute(..)
            | Expression::Both(..)
            | Expression::Either(..) => write!(f, "({})", self.0),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.column, self.side) {
            (Which::Name(name), Side::In) => write!(f, "in.{}", Name(name))?,
            (Which::Name(name), Side::Out) => write!(f, "out.{}", Name(name))?,
            (Which::Position(place), side) => {
                let model = self.model.as_deref().unwrap_or("model");
                let side = if side == Side::In { "inputs" } else { "outputs" };
                write!(f, "{}.{side}[{place}]", Name(model))?;
            }
        }
        self.places.iter().try_for_each(|place| write!(f, "[{place}]"))
    }
}

/// A name, in backquotes where it could be read as something else.
struct Name<'n>(&'n str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if super::token::is_plain_name(self.0) {
            f.write_str(self.0)
        } else {
            write!(f, "`{}`", self.0)
        }
    }
}
