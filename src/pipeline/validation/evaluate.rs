//! Validations evaluated: each part of an expression for all rows of a request at a time.

use super::expression::{Comparison, Expression, Function, Operation, Reference, Side, Which};
use super::{Sense, Validation};
use crate::tensor::{Data, NamedTensor, Table};
use std::cmp::Ordering;

/// What one validation found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The validation's name.
    pub name: String,
    /// Its expression, as text.
    pub text: String,
    /// For each row, whether the validation failed.
    pub failed: Vec<bool>,
}

impl Finding {
    /// Whether the validation failed in any row.
    pub fn is_failure(&self) -> bool {
        self.failed.contains(&true)
    }
}

impl Validation {
    /// Holds each row of `inputs`, and of the `outputs` that a model gave for it, against the
    /// expression.
    ///
    /// The outputs' rows are their first dimension; all of an output is the answer to one row.
    /// What is not there, or not of the kind that is needed, is undecided: nothing here fails.
    pub fn find(&self, inputs: &Table<'_>, outputs: &[NamedTensor<'_>]) -> Finding {
        let rows = Rows { inputs, outputs, count: inputs.rows() };
        let truths = match rows.lane(&self.expression) {
            Lane::Truths(truths) => truths,
            Lane::Integers(_) | Lane::Numbers(_) | Lane::Texts(_) | Lane::Absent => {
                vec![None; rows.count]
            }
        };
        let is_well = match self.sense {
            Sense::MustHold => Some(true),
            Sense::FindsAnomaly => Some(false),
        };
        let failed = truths.into_iter().map(|truth| truth != is_well).collect();
        Finding { name: self.name.clone(), text: self.text.clone(), failed }
    }
}

/// The values of an expression, one for each row.
enum Lane<'r> {
    Integers(Vec<i128>),
    /// NaN is what is not there.
    Numbers(Vec<f64>),
    Texts(Vec<&'r str>),
    /// `None` is undecided.
    Truths(Vec<Option<bool>>),
    /// In no row.
    Absent,
}

/// What is looked at.
struct Rows<'r> {
    inputs: &'r Table<'r>,
    outputs: &'r [NamedTensor<'r>],
    count: usize,
}

impl<'r> Rows<'r> {
    fn lane(&self, expression: &'r Expression) -> Lane<'r> {
        match expression {
            Expression::Integer(value) => Lane::Integers(vec![i128::from(*value); self.count]),
            Expression::Number(value) => Lane::Numbers(vec![*value; self.count]),
            Expression::Text(text) => Lane::Texts(vec![text; self.count]),
            Expression::Truth(value) => Lane::Truths(vec![Some(*value); self.count]),
            Expression::Column(reference) => self.column(reference),
            Expression::Apply(function, argument) => self.applied(*function, argument),
            Expression::Not(argument) => {
                let not = |truth: Option<bool>| truth.map(|truth| !truth);
                Lane::Truths(self.truths(argument).into_iter().map(not).collect())
            }
            Expression::Negative(argument) => match self.lane(argument) {
                Lane::Integers(values) => {
                    Lane::Integers(values.into_iter().map(i128::saturating_neg).collect())
                }
                Lane::Numbers(values) => Lane::Numbers(values.into_iter().map(|it| -it).collect()),
                Lane::Texts(_) | Lane::Truths(_) | Lane::Absent => Lane::Absent,
            },
            Expression::Compare(left, how, right) => {
                let (first, second) = (self.beside(left, right), self.beside(right, left));
                Lane::Truths(compared(first, *how, second, self.count))
            }
            Expression::Compute(left, how, right) => {
                computed(self.lane(left), *how, self.lane(right))
            }
            Expression::Both(left, right) => self.joined(left, right, false),
            Expression::Either(left, right) => self.joined(left, right, true),
        }
    }

    /// The lane of `expression` beside `other`: a number that is written stands for the nearest
    /// that the other side's column can hold, so that a value copied from an answer is equal to
    /// itself.
    fn beside(&self, expression: &'r Expression, other: &Expression) -> Lane<'r> {
        let (Expression::Number(value), Expression::Column(reference)) = (expression, other) else {
            return self.lane(expression);
        };
        let value = match self.values(reference).map(|values| values.data) {
            Some(Data::F16(_)) => half::f16::from_f64(*value).to_f64(),
            Some(Data::F32(_)) => f64::from(*value as f32),
            Some(_) | None => *value,
        };
        Lane::Numbers(vec![value; self.count])
    }

    fn truths(&self, expression: &'r Expression) -> Vec<Option<bool>> {
        match self.lane(expression) {
            Lane::Truths(truths) => truths,
            Lane::Integers(_) | Lane::Numbers(_) | Lane::Texts(_) | Lane::Absent => {
                vec![None; self.count]
            }
        }
    }

    /// `or` where `deciding` is true, `and` where it is false: one such side decides, whatever
    /// the other is.
    fn joined(&self, left: &'r Expression, right: &'r Expression, deciding: bool) -> Lane<'r> {
        let pairs = self.truths(left).into_iter().zip(self.truths(right));
        let join = |(left, right): (Option<bool>, Option<bool>)| match (left, right) {
            (Some(it), _) | (_, Some(it)) if it == deciding => Some(deciding),
            (Some(_), Some(_)) => Some(!deciding),
            (None, _) | (_, None) => None,
        };
        Lane::Truths(pairs.map(join).collect())
    }

    fn applied(&self, function: Function, argument: &'r Expression) -> Lane<'r> {
        if function.takes_row() {
            let Expression::Column(reference) = argument else { return Lane::Absent };
            let Some(values) = self.values(reference) else { return Lane::Absent };
            let of_row = |row: usize| {
                let from = row * values.elements;
                summary(function, (from..from + values.elements).map(|at| number(values.data, at)))
            };
            return Lane::Numbers((0..self.count).map(of_row).collect());
        }
        match (function, self.lane(argument)) {
            (Function::IsNan, Lane::Numbers(values)) => {
                Lane::Truths(values.into_iter().map(|it| Some(it.is_nan())).collect())
            }
            (Function::IsNan, Lane::Truths(truths)) => {
                Lane::Truths(truths.into_iter().map(|it| Some(it.is_none())).collect())
            }
            (Function::IsNan, Lane::Integers(_) | Lane::Texts(_)) => {
                Lane::Truths(vec![Some(false); self.count])
            }
            (Function::IsNan, Lane::Absent) => Lane::Truths(vec![Some(true); self.count]),
            (_, Lane::Integers(values)) => {
                Lane::Integers(values.into_iter().map(i128::saturating_abs).collect())
            }
            (_, Lane::Numbers(values)) => Lane::Numbers(values.into_iter().map(f64::abs).collect()),
            (_, Lane::Texts(_) | Lane::Truths(_) | Lane::Absent) => Lane::Absent,
        }
    }

    /// One value of each row of a column.
    fn column(&self, reference: &Reference) -> Lane<'r> {
        let Some(values) = self.values(reference) else { return Lane::Absent };
        let Some(place) = values.place(&reference.places) else { return Lane::Absent };
        let places = (0..self.count).map(|row| row * values.elements + place);
        let (data, places) = (values.data, places);
        macro_rules! integers {
            ($values:expr) => {
                Lane::Integers(places.map(|at| i128::from($values[at])).collect())
            };
        }
        match data {
            Data::Bool(values) => Lane::Truths(places.map(|at| Some(values[at])).collect()),
            Data::String(values) => Lane::Texts(places.map(|at| values[at].as_str()).collect()),
            Data::F16(_) | Data::F32(_) | Data::F64(_) => {
                Lane::Numbers(places.map(|at| number(data, at)).collect())
            }
            Data::I8(values) => integers!(values),
            Data::I16(values) => integers!(values),
            Data::I32(values) => integers!(values),
            Data::I64(values) => integers!(values),
            Data::U8(values) => integers!(values),
            Data::U16(values) => integers!(values),
            Data::U32(values) => integers!(values),
            Data::U64(values) => integers!(values),
        }
    }

    /// The column that is meant, when it comes in rows.
    fn values(&self, reference: &Reference) -> Option<Values<'r>> {
        match reference.side {
            Side::In => {
                let columns = self.inputs.columns();
                let column = match (&reference.column, columns) {
                    // A model with one input takes a single column under any name.
                    (_, [only]) => only,
                    (Which::Name(name), _) => self.inputs.column(name)?,
                    (Which::Position(position), _) => columns.get(*position)?,
                };
                let elements = column.row_shape.elements();
                let shape = match &column.row_shape {
                    crate::tensor::RowShape::Told(shape) => shape.clone(),
                    crate::tensor::RowShape::Flat(length) => vec![*length],
                };
                Some(Values { data: &column.data, elements, shape })
            }
            Side::Out => {
                let output = match &reference.column {
                    Which::Name(name) => self.outputs.iter().find(|it| it.name == *name)?,
                    Which::Position(position) => self.outputs.get(*position)?,
                };
                let shape = output.tensor.shape();
                let shape = match shape.split_first() {
                    Some((first, rest)) if *first == self.count => rest.to_vec(),
                    Some(_) | None if self.count == 1 => shape.to_vec(),
                    Some(_) | None => return None,
                };
                let elements = shape.iter().product();
                Some(Values { data: output.tensor.data(), elements, shape })
            }
        }
    }
}

/// A column with the shape of its rows.
struct Values<'r> {
    data: &'r Data<'r>,
    elements: usize,
    shape: Vec<usize>,
}

impl Values<'_> {
    /// The place in the flat row that these places mean.
    fn place(&self, places: &[i64]) -> Option<usize> {
        match places {
            [] => (self.elements == 1).then_some(0),
            [place] => inside(*place, self.elements),
            places if places.len() == self.shape.len() => {
                places.iter().zip(&self.shape).try_fold(0, |flat, (place, extent)| {
                    Some(flat * extent + inside(*place, *extent)?)
                })
            }
            _ => None,
        }
    }
}

/// A place that may count from the end.
fn inside(place: i64, extent: usize) -> Option<usize> {
    let place = if place < 0 { place.checked_add_unsigned(extent as u64)? } else { place };
    usize::try_from(place).ok().filter(|place| *place < extent)
}

/// An element as a number; NaN for what is none.
fn number(data: &Data<'_>, at: usize) -> f64 {
    match data {
        Data::Bool(_) | Data::String(_) => f64::NAN,
        Data::F16(values) => values[at].to_f64(),
        Data::F32(values) => f64::from(values[at]),
        Data::F64(values) => values[at],
        Data::I8(values) => f64::from(values[at]),
        Data::I16(values) => f64::from(values[at]),
        Data::I32(values) => f64::from(values[at]),
        Data::I64(values) => values[at] as f64,
        Data::U8(values) => f64::from(values[at]),
        Data::U16(values) => f64::from(values[at]),
        Data::U32(values) => f64::from(values[at]),
        Data::U64(values) => values[at] as f64,
    }
}

/// One value for a whole row; NaN for an empty one.
fn summary(function: Function, row: impl ExactSizeIterator<Item = f64>) -> f64 {
    let length = row.len() as f64;
    let pick = |better: fn(f64, f64) -> bool| {
        move |left: f64, right: f64| {
            if left.is_nan() || better(left, right) { left } else { right }
        }
    };
    match function {
        Function::Largest => row.reduce(pick(|left, right| left > right)).unwrap_or(f64::NAN),
        Function::Smallest => row.reduce(pick(|left, right| left < right)).unwrap_or(f64::NAN),
        Function::Sum => row.sum(),
        Function::Mean => row.sum::<f64>() / length,
        Function::Absolute | Function::IsNan => f64::NAN,
    }
}

fn numbers(values: Vec<i128>) -> Vec<f64> {
    values.into_iter().map(|value| value as f64).collect()
}

fn compared(left: Lane<'_>, how: Comparison, right: Lane<'_>, rows: usize) -> Vec<Option<bool>> {
    let decide = |order: Option<Ordering>| {
        order.map(|order| match how {
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
            Comparison::Equal => order.is_eq(),
            Comparison::Unequal => order.is_ne(),
        })
    };
    macro_rules! each {
        ($left:expr, $right:expr, $order:expr) => {
            $left.into_iter().zip($right).map($order).map(decide).collect()
        };
    }
    match (left, right) {
        (Lane::Integers(left), Lane::Integers(right)) => {
            each!(left, right, |(left, right)| Some(left.cmp(&right)))
        }
        (Lane::Integers(left), Lane::Numbers(right)) => {
            each!(numbers(left), right, |(left, right)| left.partial_cmp(&right))
        }
        (Lane::Numbers(left), Lane::Integers(right)) => {
            each!(left, numbers(right), |(left, right)| left.partial_cmp(&right))
        }
        (Lane::Numbers(left), Lane::Numbers(right)) => {
            each!(left, right, |(left, right): (f64, f64)| left.partial_cmp(&right))
        }
        (Lane::Texts(left), Lane::Texts(right)) => {
            each!(left, right, |(left, right): (&str, &str)| Some(left.cmp(right)))
        }
        (Lane::Truths(left), Lane::Truths(right)) => {
            each!(left, right, |(left, right): (Option<bool>, Option<bool>)| {
                Some(left?.cmp(&right?))
            })
        }
        (
            Lane::Integers(_) | Lane::Numbers(_) | Lane::Texts(_) | Lane::Truths(_) | Lane::Absent,
            _,
        ) => vec![None; rows],
    }
}

fn computed<'r>(left: Lane<'_>, how: Operation, right: Lane<'_>) -> Lane<'r> {
    if let (Lane::Integers(left), Lane::Integers(right)) = (&left, &right)
        && how != Operation::Divide
    {
        let pairs = left.iter().zip(right);
        let of = |(left, right): (&i128, &i128)| match how {
            Operation::Add => left.saturating_add(*right),
            Operation::Subtract => left.saturating_sub(*right),
            Operation::Multiply | Operation::Divide => left.saturating_mul(*right),
        };
        return Lane::Integers(pairs.map(of).collect());
    }
    let wide = |lane| match lane {
        Lane::Integers(values) => Some(numbers(values)),
        Lane::Numbers(values) => Some(values),
        Lane::Texts(_) | Lane::Truths(_) | Lane::Absent => None,
    };
    let (Some(left), Some(right)) = (wide(left), wide(right)) else { return Lane::Absent };
    let of = |(left, right): (f64, f64)| match how {
        Operation::Add => left + right,
        Operation::Subtract => left - right,
        Operation::Multiply => left * right,
        Operation::Divide => left / right,
    };
    Lane::Numbers(left.into_iter().zip(right).map(of).collect())
}
