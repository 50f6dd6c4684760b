//! The original's second trees: a serialised column expression of polars 0.18 under an alias, where `True` is an anomaly.

use super::expression::{Comparison, Expression, Operation, Reference, Side, Which};
use super::{EXPRESSION_DEPTH_MAX, Sense, Validation};
use serde_json::Value;

/// The validation of one tree: a list of one, as the other generation's trees give more.
pub(super) fn read(tree: &Value) -> Result<Vec<Validation>, String> {
    let Some([inner, Value::String(name)]) = tree["Alias"].as_array().map(Vec::as_slice) else {
        return Err("it is neither an expression under an `Alias` nor a list of `values`".into());
    };
    let expression = node(inner, 0).map_err(|what| format!("the validation `{name}`: {what}"))?;
    let (name, text) = (name.clone(), expression.to_string());
    Ok(vec![Validation { name, text, sense: Sense::FindsAnomaly, expression }])
}

fn node(value: &Value, depth: usize) -> Result<Expression, String> {
    if depth > EXPRESSION_DEPTH_MAX {
        return Err(format!("the tree nests deeper than {EXPRESSION_DEPTH_MAX} levels"));
    }
    let entry = value.as_object().and_then(|object| object.iter().next());
    let Some((kind, body)) = entry else {
        return Err(format!("{value} is no expression"));
    };
    match kind.as_str() {
        "Column" => {
            let name = body.as_str().ok_or("a `Column` has no name")?;
            column(name).map(Expression::Column)
        }
        "Literal" => literal(body),
        // A cast changes no comparison of ours: numbers are compared as numbers.
        "Cast" => node(&body["expr"], depth + 1),
        "BinaryExpr" => {
            let side = |key| node(&body[key], depth + 1).map(Box::new);
            binary(side("left")?, body["op"].as_str().unwrap_or_default(), side("right")?)
        }
        "Function" => function(body, depth),
        other => Err(format!("an expression of the kind `{other}` is not computed here")),
    }
}

fn binary(left: Box<Expression>, op: &str, right: Box<Expression>) -> Result<Expression, String> {
    Ok(match op {
        "Lt" => Expression::Compare(left, Comparison::Less, right),
        "LtEq" => Expression::Compare(left, Comparison::LessOrEqual, right),
        "Gt" => Expression::Compare(left, Comparison::Greater, right),
        "GtEq" => Expression::Compare(left, Comparison::GreaterOrEqual, right),
        "Eq" => Expression::Compare(left, Comparison::Equal, right),
        "NotEq" => Expression::Compare(left, Comparison::Unequal, right),
        "Plus" => Expression::Compute(left, Operation::Add, right),
        "Minus" => Expression::Compute(left, Operation::Subtract, right),
        "Multiply" => Expression::Compute(left, Operation::Multiply, right),
        "Divide" | "TrueDivide" => Expression::Compute(left, Operation::Divide, right),
        "And" => Expression::Both(left, right),
        "Or" => Expression::Either(left, right),
        other => return Err(format!("the operator `{other}` is not computed here")),
    })
}

/// `list.get(n)`, and the negation of a truth.
fn function(body: &Value, depth: usize) -> Result<Expression, String> {
    let arguments = body["input"].as_array().map_or(&[][..], Vec::as_slice);
    let function = &body["function"];
    match (function["ListExpr"].as_str(), arguments) {
        (Some("Get"), [list, place]) => {
            let (list, place) = (node(list, depth + 1)?, node(place, depth + 1)?);
            let Expression::Integer(place) = place else {
                return Err(format!("`{place}` is no place in a list"));
            };
            let Expression::Column(mut reference) = list else {
                return Err(format!("`{list}` is no column to get a value of"));
            };
            reference.places.push(place);
            Ok(Expression::Column(reference))
        }
        _ => match (function["Boolean"].as_str(), arguments) {
            (Some("IsNot" | "Not"), [argument]) => {
                Ok(Expression::Not(Box::new(node(argument, depth + 1)?)))
            }
            _ => Err(format!("the function {function} is not computed here")),
        },
    }
}

fn literal(body: &Value) -> Result<Expression, String> {
    let entry = body.as_object().and_then(|object| object.iter().next());
    let Some((kind, value)) = entry else { return Err(format!("the literal {body} is not known")) };
    let wrong = || format!("the literal {body} is not known");
    match kind.as_str() {
        "Float32" | "Float64" => value.as_f64().map(Expression::Number).ok_or_else(wrong),
        "Boolean" => value.as_bool().map(Expression::Truth).ok_or_else(wrong),
        "Utf8" | "String" => {
            value.as_str().map(|text| Expression::Text(text.to_owned())).ok_or_else(wrong)
        }
        kind if kind.starts_with("Int") || kind.starts_with("UInt") => {
            value.as_i64().map(Expression::Integer).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

/// `in.NAME` or `out.NAME`, as the log of the original names its columns.
fn column(name: &str) -> Result<Reference, String> {
    let (side, rest) = match name.split_once('.') {
        Some(("in", rest)) => (Side::In, rest),
        Some(("out", rest)) => (Side::Out, rest),
        _ => return Err(format!("the column `{name}` is neither `in.…` nor `out.…`")),
    };
    let column = Which::Name(rest.to_owned());
    Ok(Reference { side, model: None, column, places: Vec::new() })
}
