//! The original's first trees: `{"values": {NAME: {"root": …}}, "validations": [NAME]}`, where `False` is a failure.

use super::expression::{Comparison, Expression, Operation, Reference, Side, Which};
use super::{EXPRESSION_DEPTH_MAX, Sense, Validation};
use serde_json::Value;

/// The validations of one tree.
pub(super) fn read(tree: &Value) -> Result<Vec<Validation>, String> {
    let names = tree.get("validations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if let Some(gauge) = tree.get("gauges").and_then(Value::as_array).and_then(|it| it.first()) {
        return Err(format!("it has the gauge {gauge}, and gauges are not computed here"));
    }
    names
        .iter()
        .map(|name| {
            let name = name.as_str().ok_or("a name of `validations` is no text")?;
            let root = &tree["values"][name]["root"];
            let expression =
                node(root, 0).map_err(|what| format!("the validation `{name}`: {what}"))?;
            let text = expression.to_string();
            Ok(Validation { name: name.to_owned(), text, sense: Sense::MustHold, expression })
        })
        .collect()
}

fn node(value: &Value, depth: usize) -> Result<Expression, String> {
    if depth > EXPRESSION_DEPTH_MAX {
        return Err(format!("the tree nests deeper than {EXPRESSION_DEPTH_MAX} levels"));
    }
    match value["node"].as_str() {
        Some("literal") => literal(value),
        Some("variable") => variable(value),
        Some("binop") => {
            let side = |key| node(&value[key], depth + 1).map(Box::new);
            let (left, right) = (side("left")?, side("right")?);
            let op = value["op"].as_str().unwrap_or_default();
            if let Some((_, how)) = Comparison::SIGNS.iter().find(|(sign, _)| *sign == op) {
                return Ok(Expression::Compare(left, *how, right));
            }
            if let Some((_, how)) = Operation::SIGNS.iter().find(|(sign, _)| *sign == op) {
                return Ok(Expression::Compute(left, *how, right));
            }
            match op {
                "&" | "&&" | "and" => Ok(Expression::Both(left, right)),
                "|" | "||" | "or" => Ok(Expression::Either(left, right)),
                other => Err(format!("the operator `{other}` is not known")),
            }
        }
        Some(kind) => Err(format!("a node of the kind `{kind}` is not computed here")),
        None => Err("a node does not say its kind under `node`".to_owned()),
    }
}

fn literal(value: &Value) -> Result<Expression, String> {
    let known = |key| value.get(key).filter(|it| !it.is_null());
    if let Some(number) = known("float").and_then(Value::as_f64) {
        return Ok(Expression::Number(number));
    }
    let integer = known("integer").or(known("int")).and_then(Value::as_i64);
    if let Some(integer) = integer {
        return Ok(Expression::Integer(integer));
    }
    if let Some(text) = known("string").or(known("str")).and_then(Value::as_str) {
        return Ok(Expression::Text(text.to_owned()));
    }
    if let Some(truth) = known("bool").and_then(Value::as_bool) {
        return Ok(Expression::Truth(truth));
    }
    Err(format!("the literal {value} is of no kind that is known"))
}

fn variable(value: &Value) -> Result<Expression, String> {
    let side = match value["position"].as_str() {
        Some("output") => Side::Out,
        Some("input") => Side::In,
        _ => return Err(format!("the position {} is not known", value["position"])),
    };
    let key = value["key"].as_array().ok_or("a variable has no `key`")?;
    let places: Option<Vec<i64>> = key.iter().map(Value::as_i64).collect();
    let mut places = places.ok_or("a `key` is not of whole numbers")?.into_iter();
    let position = places.next().and_then(|position| usize::try_from(position).ok());
    let position = position.ok_or("a `key` does not begin with the position of a column")?;
    let model = value["variant_id"]["name"].as_str().map(str::to_owned);
    let (column, places) = (Which::Position(position), places.collect());
    Ok(Expression::Column(Reference { side, model, column, places }))
}
