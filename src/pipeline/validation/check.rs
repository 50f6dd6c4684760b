//! An expression held against the ports of its pipeline: whether its columns are there, and its parts of a kind.

use super::expression::{Comparison, Expression, Function, Reference, Side, Which};
use crate::tensor::{Dimension, ElementType, Port};
use std::fmt::Write;

/// What a validation can look at.
#[derive(Debug, Clone, Copy)]
pub struct Ports<'p> {
    /// What the pipeline takes.
    pub inputs: &'p [Port],
    /// What the last model before the validation gives.
    pub outputs: &'p [Port],
    /// The models that may have given it: one, or those of a split.
    pub models: &'p [&'p str],
}

/// Why an expression does not fit its pipeline: a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(String);

/// What kind of value an expression has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Truth,
}

impl Kind {
    fn of(element: ElementType) -> Kind {
        match element {
            ElementType::Bool => Kind::Truth,
            ElementType::String => Kind::Text,
            ElementType::F16
            | ElementType::F32
            | ElementType::F64
            | ElementType::I8
            | ElementType::I16
            | ElementType::I32
            | ElementType::I64
            | ElementType::U8
            | ElementType::U16
            | ElementType::U32
            | ElementType::U64 => Kind::Number,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Number => "a number",
            Kind::Text => "a text",
            Kind::Truth => "true or false",
        }
    }
}

impl Expression {
    /// Holds the expression against the ports of a pipeline.
    ///
    /// # Errors
    /// When a column is not there, a place is outside its row, a part is of the wrong kind, or
    /// the whole is neither true nor false.
    pub fn check(&self, ports: &Ports<'_>) -> Result<(), Unfit> {
        needs(self, Kind::Truth, ports)
    }
}

fn needs(expression: &Expression, wanted: Kind, ports: &Ports<'_>) -> Result<(), Unfit> {
    let found = kind(expression, ports)?;
    if found == wanted {
        return Ok(());
    }
    let (found, wanted) = (found.name(), wanted.name());
    Err(Unfit(format!("`{expression}` is {found}, where {wanted} is needed")))
}

fn kind(expression: &Expression, ports: &Ports<'_>) -> Result<Kind, Unfit> {
    match expression {
        Expression::Integer(_) | Expression::Number(_) => Ok(Kind::Number),
        Expression::Text(_) => Ok(Kind::Text),
        Expression::Truth(_) => Ok(Kind::Truth),
        Expression::Column(reference) => one_value(reference, ports),
        Expression::Apply(function, argument) => applied(*function, argument, ports),
        Expression::Not(argument) => needs(argument, Kind::Truth, ports).map(|()| Kind::Truth),
        Expression::Negative(argument) => {
            needs(argument, Kind::Number, ports).map(|()| Kind::Number)
        }
        Expression::Compare(left, how, right) => {
            let found = kind(left, ports)?;
            needs(right, found, ports)?;
            let ordered = !matches!(how, Comparison::Equal | Comparison::Unequal);
            if ordered && found == Kind::Truth {
                let what = "is true or false, and neither is the larger: use == or !=";
                return Err(Unfit(format!("`{left}` {what}")));
            }
            Ok(Kind::Truth)
        }
        Expression::Compute(left, _, right) => {
            needs(left, Kind::Number, ports)?;
            needs(right, Kind::Number, ports).map(|()| Kind::Number)
        }
        Expression::Both(left, right) | Expression::Either(left, right) => {
            needs(left, Kind::Truth, ports)?;
            needs(right, Kind::Truth, ports).map(|()| Kind::Truth)
        }
    }
}

fn applied(function: Function, argument: &Expression, ports: &Ports<'_>) -> Result<Kind, Unfit> {
    if function == Function::IsNan {
        return kind(argument, ports).map(|_| Kind::Truth);
    }
    if !function.takes_row() {
        return needs(argument, Kind::Number, ports).map(|()| Kind::Number);
    }
    let name = function.name();
    let Expression::Column(reference) = argument else {
        return Err(Unfit(format!("`{name}` takes a whole column, `{name}(out.COLUMN)`")));
    };
    if !reference.places.is_empty() {
        return Err(Unfit(format!("`{name}` takes a whole column, and `{reference}` is a value")));
    }
    let port = port(reference, ports)?;
    match Kind::of(port.element) {
        Kind::Number => Ok(Kind::Number),
        Kind::Text | Kind::Truth => {
            Err(Unfit(format!("`{name}` is of numbers, and {port} holds none")))
        }
    }
}

/// The kind of a reference that must be a single value.
fn one_value(reference: &Reference, ports: &Ports<'_>) -> Result<Kind, Unfit> {
    let port = port(reference, ports)?;
    let shape = row_shape(port);
    let elements: Option<usize> = shape.iter().copied().product();
    match (reference.places.as_slice(), elements) {
        ([], Some(elements)) if elements != 1 => {
            return Err(Unfit(format!(
                "`{reference}` is a row of {elements} values: name one, `{reference}[0]`, or use \
                 a function of the row, `max({reference})`"
            )));
        }
        ([place], Some(elements)) if !is_inside(*place, elements) => {
            return Err(Unfit(format!(
                "`{reference}` is outside its row: {port} has {elements} values in each row, \
                 places 0 to {}",
                elements.saturating_sub(1)
            )));
        }
        ([] | [_], _) => {}
        (places, _) if places.len() != shape.len() => {
            return Err(Unfit(format!(
                "`{reference}` has {} places, and a row of {port} has {} dimensions: write one \
                 place in the flat row, or one for each dimension",
                places.len(),
                shape.len()
            )));
        }
        (places, _) => {
            for (place, extent) in places.iter().zip(&shape) {
                if extent.is_some_and(|extent| !is_inside(*place, extent)) {
                    return Err(Unfit(format!("`{reference}` is outside the shape of {port}")));
                }
            }
        }
    }
    Ok(Kind::of(port.element))
}

fn is_inside(place: i64, extent: usize) -> bool {
    let extent = i64::try_from(extent).unwrap_or(i64::MAX);
    (-extent..extent).contains(&place)
}

/// The shape of one row: all dimensions but the batch, which an output of a row as a whole lacks.
fn row_shape(port: &Port) -> Vec<Option<usize>> {
    let extent = |dimension: &Dimension| match dimension {
        Dimension::Fixed(extent) => Some(*extent),
        Dimension::Free(_) => None,
    };
    match port.dimensions.split_first() {
        None => Vec::new(),
        Some((Dimension::Free(_) | Dimension::Fixed(1), rest)) => rest.iter().map(extent).collect(),
        Some(_) => port.dimensions.iter().map(extent).collect(),
    }
}

fn port<'p>(reference: &Reference, ports: &Ports<'p>) -> Result<&'p Port, Unfit> {
    if let Some(model) = reference.model.as_deref().filter(|it| !ports.models.contains(it)) {
        let there = ports.models.join("`, `");
        return Err(Unfit(format!(
            "`{reference}` is of model `{model}`, and what is looked at here is of `{there}`"
        )));
    }
    let (side, name) = match reference.side {
        Side::In => (ports.inputs, "input"),
        Side::Out => (ports.outputs, "output"),
    };
    let found = match &reference.column {
        Which::Name(name) => side.iter().find(|port| port.name == *name),
        Which::Position(position) => side.get(*position),
    };
    found.ok_or_else(|| {
        let mut sentence = format!("`{reference}`: there is no such {name}; there are");
        if side.is_empty() {
            sentence.push_str(" none");
        }
        for (index, port) in side.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            _ = write!(sentence, "{comma} `{}`", port.name);
        }
        Unfit(sentence)
    })
}
