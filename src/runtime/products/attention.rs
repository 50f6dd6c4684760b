//! Attention in a graph: a product of queries and keys, its softmax, and a product of that with values.

use super::Means;
use super::chain;
use super::operator::{Kernel, Ours};
use super::view::View;
use crate::runtime::kernels::{Attention, Heads, Layout};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::OutletId;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::nn::{Softmax, SoftmaxKind};

/// Fewer values that are compared or seen, or fewer keys, leave most of a vector empty; for fewer
/// queries, keys are turned at the price of multiplying them.
const EXTENT_MIN: usize = 8;

/// What an axis of the scores is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Axis {
    Head,
    Query,
    Key,
    /// Of one.
    Unit,
}

/// The places of one label in both inputs and in what is made.
type Places = ([Option<usize>; 2], Option<usize>);

/// Puts ours in the place of attention that ends in the product `id`.
pub(super) fn replace(means: Means<'_>, model: &mut TypedModel, id: usize) -> TractResult<bool> {
    let found = [0, 1].into_iter().find_map(|side| found(model, id, side));
    let Some((heads, sources)) = found else { return Ok(false) };
    let Some(kernel) = Attention::new(means.kind, heads) else { return Ok(false) };
    // Each source is an input once, the mask's last.
    let mut inputs = tvec!();
    let [query, key, value] = [0, 1, 2].map(|at| {
        let known = inputs.iter().position(|input| *input == sources[at]);
        known.unwrap_or_else(|| {
            inputs.push(sources[at]);
            inputs.len() - 1
        })
    });
    inputs.extend(sources.get(3).copied());
    let kernel = Kernel::Attention(kernel, [query, key, value]);
    Ours::put(kernel, model, &inputs, OutletId::new(id, 0))?;
    Ok(true)
}

/// Attention whose scores are the input `side` of this product, and the outlets of its queries, keys,
/// values and its mask.
fn found(model: &TypedModel, id: usize, side: usize) -> Option<(Heads, Vec<OutletId>)> {
    let (last_labels, last_inputs) = product(model, id)?;
    let scores = last_inputs[side];
    let softmax = model.node(scores.node);
    let Softmax { axes, quant_output_dt: None, kind: SoftmaxKind::Softmax } = softmax.op_as()?
    else {
        return None;
    };
    let [key_axis] = *axes.as_slice() else { return None };
    chain::user(model, scores)?;
    let shape = chain::shape(model, scores)?;
    let before = before(model, softmax.inputs[0], &shape)?;
    let (labels, inputs) = product(model, before.product.node)?;
    let given = [chain::shape(model, inputs[0])?, chain::shape(model, inputs[1])?];
    // The key's axis tells which input has the keys.
    let keys_place = labels.iter().find(|(_, made)| *made == Some(key_axis))?.0;
    let key_side = match keys_place {
        [None, Some(_)] => 1,
        [Some(_), None] => 0,
        [Some(_), Some(_)] | [None, None] => return None,
    };
    let extent = |([one, other], _): &Places| {
        one.map(|at| given[0][at]).or_else(|| other.map(|at| given[1][at]))
    };
    let mut roles = vec![Axis::Unit; shape.len()];
    let (mut query_places, mut key_places) = (vec![None; shape.len()], vec![None; shape.len()]);
    let mut compared = None;
    for label in &labels {
        let (places, made) = label;
        // An axis that neither has is one that the product adds, of one.
        if extent(label).is_none_or(|extent| extent == 1) {
            continue;
        }
        let (of_query, of_key) = (places[1 - key_side], places[key_side]);
        let Some(made) = *made else {
            let (None, Some(query), Some(key)) = (compared, of_query, of_key) else { return None };
            compared = Some((query, key));
            continue;
        };
        roles[made] = match (of_query, of_key) {
            (Some(_), Some(_)) => Axis::Head,
            (Some(_), None) => Axis::Query,
            (None, Some(_)) => Axis::Key,
            (None, None) => return None,
        };
        (query_places[made], key_places[made]) = (of_query, of_key);
    }
    let (query_compared, key_compared) = compared?;
    let one = |role: Axis| {
        let mut places = roles.iter().enumerate().filter(|(_, it)| **it == role).map(|(at, _)| at);
        let first = places.next();
        places.next().is_none().then_some(first)
    };
    let query_axis = one(Axis::Query)?;
    if one(Axis::Key)? != Some(key_axis) {
        return None;
    }
    // The last product: heads go on, keys are summed over, and one axis is of the values alone.
    let values_shape = chain::shape(model, last_inputs[1 - side])?;
    let made = View::whole(model, OutletId::new(id, 0))?;
    let (mut value_places, mut made_places) = (vec![None; shape.len()], vec![None; shape.len()]);
    let mut seen = None;
    for (places, to) in &last_labels {
        let (of_scores, of_value) = (places[side], places[1 - side]);
        let wide = of_scores.map(|at| shape[at]).or_else(|| of_value.map(|at| values_shape[at]));
        if wide.is_none_or(|wide| wide == 1) {
            continue;
        }
        let Some(at) = of_scores else {
            let (None, Some(value), Some(to)) = (seen, of_value, *to) else { return None };
            seen = Some((value, to));
            continue;
        };
        let fits = match roles[at] {
            Axis::Head => of_value.is_some() && to.is_some(),
            Axis::Query => of_value.is_none() && to.is_some(),
            Axis::Key => of_value.is_some() && to.is_none(),
            Axis::Unit => false,
        };
        if !fits {
            return None;
        }
        (value_places[at], made_places[at]) = (of_value, *to);
    }
    let (value_seen, made_seen) = seen?;
    let view = |outlet: OutletId, last: usize| {
        let view = View::of(model, outlet)?;
        match view.strides[last] {
            1 => Some(view),
            _ => View::whole(model, outlet),
        }
    };
    let query = view(inputs[1 - key_side], query_compared)?;
    let (key, value) =
        (view(inputs[key_side], key_compared)?, view(last_inputs[1 - side], value_seen)?);
    let layout =
        |view: &View, places: &[Option<usize>], row: Option<usize>, last: Option<usize>| {
            let stride = |place: Option<usize>| place.map_or(0, |place| view.strides[place]);
            let mut heads = vec![view.offset];
            for at in (0..shape.len()).filter(|at| roles[*at] == Axis::Head) {
                let step = stride(places[at]);
                heads = heads
                    .iter()
                    .flat_map(|head| (0..shape[at]).map(move |it| head + it * step))
                    .collect();
            }
            Layout { heads, row: stride(row.and_then(|row| places[row])), value: stride(last) }
        };
    let mask = match before.mask {
        None => None,
        Some(mask) => {
            let mut view = View::whole(model, mask)?;
            for (stride, extent) in view.strides.iter_mut().zip(&view.shape) {
                *stride = if *extent == 1 { 0 } else { *stride };
            }
            let places: Vec<Option<usize>> = (0..shape.len()).map(Some).collect();
            Some((mask, layout(&view, &places, query_axis, Some(key_axis))))
        }
    };
    let heads = Heads {
        queries: query_axis.map_or(1, |at| shape[at]),
        keys: shape[key_axis],
        compared: query.shape[query_compared],
        seen: value.shape[value_seen],
        query: layout(&query, &query_places, query_axis, Some(query_compared)),
        key: layout(&key, &key_places, Some(key_axis), Some(key_compared)),
        value: layout(&value, &value_places, Some(key_axis), Some(value_seen)),
        output: layout(&made, &made_places, query_axis, Some(made_seen)),
        mask: mask.as_ref().map(|(_, layout)| layout.clone()),
        factor: before.factor,
    };
    let extents = [heads.queries, heads.keys, heads.compared, heads.seen];
    let is_worth = extents.iter().all(|it| EXTENT_MIN <= *it);
    let sources = [query.source, key.source, value.source].into_iter().chain(mask.map(|it| it.0));
    is_worth.then(|| (heads, sources.collect()))
}

/// What lies between the first product and the softmax.
struct Before {
    product: OutletId,
    factor: f32,
    mask: Option<OutletId>,
}

/// Back from a softmax, over a mask that is added and a factor, to a product.
fn before(model: &TypedModel, mut outlet: OutletId, shape: &[usize]) -> Option<Before> {
    let (mut factor, mut mask) = (1.0, None);
    loop {
        if chain::shape(model, outlet)?.as_slice() != shape {
            return None;
        }
        chain::user(model, outlet)?;
        let node = model.node(outlet.node);
        if node.op_is::<EinSum>() {
            return Some(Before { product: outlet, factor, mask });
        }
        let TypedBinOp(op, None) = node.op_as()? else { return None };
        let [one, other] = *node.inputs.as_slice() else { return None };
        let numbers = [chain::number(model, one), chain::number(model, other)];
        outlet = match (op.name(), numbers) {
            ("Mul", [None, Some(number)]) => {
                factor *= number;
                one
            }
            ("Mul", [Some(number), None]) => {
                factor *= number;
                other
            }
            ("Div", [None, Some(number)]) => {
                factor /= number;
                one
            }
            // A factor that comes after the mask is one of the mask too: these stay tract's.
            ("Add", [None, None]) if mask.is_none() && factor == 1.0 => {
                let is_score = |outlet: &OutletId| is_of_product(model, *outlet);
                let (score, added) = match (is_score(&one), is_score(&other)) {
                    (true, false) => (one, other),
                    (false, true) => (other, one),
                    (true, true) | (false, false) => return None,
                };
                let added_shape = chain::shape(model, added)?;
                let fits = added_shape.len() == shape.len()
                    && added_shape.iter().zip(shape).all(|(it, whole)| *it == 1 || it == whole);
                if !fits {
                    return None;
                }
                mask = Some(added);
                score
            }
            (_, _) => return None,
        };
    }
}

/// Whether an outlet is a product, or one times a number.
fn is_of_product(model: &TypedModel, outlet: OutletId) -> bool {
    let node = model.node(outlet.node);
    let is_number = |outlet: &OutletId| chain::number(model, *outlet).is_some();
    let is_scaled = node.op_as::<TypedBinOp>().is_some_and(|TypedBinOp(op, _)| {
        ["Mul", "Div"].contains(&op.name()) && node.inputs.iter().any(is_number)
    });
    match is_scaled {
        true => node.inputs.iter().any(|input| model.node(input.node).op_is::<EinSum>()),
        false => node.op_is::<EinSum>(),
    }
}

/// The labels and the inputs of a product of two tensors of floats, neither of them constant.
pub(super) fn product(model: &TypedModel, id: usize) -> Option<(Vec<Places>, [OutletId; 2])> {
    let node = model.node(id);
    let EinSum { axes, operating_dt: DatumType::F32, q_params: None } = node.op_as()? else {
        return None;
    };
    let [one, other] = *node.inputs.as_slice() else { return None };
    let shapes = [one, other].map(|outlet| chain::shape(model, outlet));
    let [Some(first), Some(second)] = &shapes else { return None };
    let at_most_one = |places: &TVec<usize>| match *places.as_slice() {
        [] => Some(None),
        [one] => Some(Some(one)),
        _ => None,
    };
    let mut labels = Vec::new();
    for axis in axes.iter_all_axes() {
        let (in_one, in_other) = (at_most_one(&axis.inputs[0])?, at_most_one(&axis.inputs[1])?);
        // One that is repeated along an axis of the other has no strides of its own there.
        if let (Some(one), Some(other)) = (in_one, in_other)
            && first[one] != second[other]
        {
            return None;
        }
        labels.push(([in_one, in_other], at_most_one(&axis.outputs[0])?));
    }
    Some((labels, [one, other]))
}
