//! Turns between images and rows of tokens, which stay where they are: norms, products and attention find their axes last then.

use super::operator::Blocked;
use super::steps::Work;
use std::iter::successors;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::cnn::{Conv, MaxPool, SumPool};

/// Axes of a batch of rows of tokens.
const RANK: usize = 3;

/// Moves of axes that are looked back or ahead over at most.
const DEPTH_MAX: usize = 8;

/// Keeps the turns of this graph, some of whose nodes may be stretches of images by now, where they are.
///
/// tract would draw a turn into what follows it, or comes before it, as far as it can: a norm would then
/// be one over an axis in the middle, and a product one of columns.
pub(super) fn keep(model: &mut TypedModel) {
    for id in 0..model.nodes().len() {
        if let Some(turn) = turn(model, id)
            && is_beside_images(model, id)
        {
            model.node_mut(id).op = Box::new(Turned(turn));
        }
    }
}

/// The turn that swaps the last two axes of a batch of rows of tokens.
fn turn(model: &TypedModel, id: usize) -> Option<AxisOp> {
    let node = model.node(id);
    let op = node.op_as::<AxisOp>()?;
    let fact = &node.outputs.first()?.fact;
    let is_turn = matches!(op, AxisOp::Move(1, 2) | AxisOp::Move(2, 1));
    (is_turn && fact.rank() == RANK && fact.datum_type == DatumType::F32).then(|| op.clone())
}

/// Whether there are images before a node or behind it, and nothing but moves of axes between.
fn is_beside_images(model: &TypedModel, id: usize) -> bool {
    let is_it = |node: &TypedNode| {
        let is_ours = node.op_is::<Blocked<Work>>();
        is_ours || node.op_is::<Conv>() || node.op_is::<MaxPool>() || node.op_is::<SumPool>()
    };
    let before = |at: usize| model.node(at).inputs.first().map(|input| input.node);
    let behind = |at: usize| match model.node(at).outputs.as_slice() {
        [output] => match output.successors.as_slice() {
            [inlet] => Some(inlet.node),
            _ => None,
        },
        _ => None,
    };
    let ways: [&dyn Fn(usize) -> Option<usize>; 2] = [&before, &behind];
    ways.into_iter().any(|way| {
        let mut nodes = successors(way(id), |at| way(*at)).take(DEPTH_MAX);
        let other = nodes.find(|at| !model.node(*at).op_is::<AxisOp>());
        other.is_some_and(|at| is_it(model.node(at)))
    })
}

/// A move of axes as tract computes it, of which tract knows no more than what it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Turned(AxisOp);

impl Op for Turned {
    fn name(&self) -> StaticName {
        "Turned".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Turned {
    op_out_of_plan!();

    fn eval(&self, context: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.0.eval(context, inputs)
    }
}

impl TypedOp for Turned {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    as_op!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::tract_core::ops::cnn::{PaddingSpec, PoolSpec};
    use tract_onnx::tract_core::ops::math::tanh;
    use tract_onnx::tract_core::ops::nn::DataFormat;

    /// Images, tokens of them, a function of these, and the same turned back.
    fn model() -> TypedModel {
        let mut model = TypedModel::default();
        let images = model.add_source("x", f32::fact([2, 3, 4, 4])).unwrap();
        let pool_spec = PoolSpec {
            data_format: DataFormat::NCHW,
            kernel_shape: tvec!(2, 2),
            padding: PaddingSpec::Valid,
            dilations: None,
            strides: Some(tvec!(2, 2)),
            input_channels: 3,
            output_channels: 3,
        };
        let mut wire = |name: &str, op: Box<dyn TypedOp>, input| {
            model.wire_node(name, op, &[input]).unwrap()[0]
        };
        let pool = MaxPool { pool_spec, with_index_outputs: None };
        let largest = wire("largest", Box::new(pool), images);
        let whole = AxisOp::Reshape(2, tvec!(2.to_dim(), 2.to_dim()), tvec!(4.to_dim()));
        let pixels = wire("pixels", Box::new(whole), largest);
        let tokens = wire("tokens", Box::new(AxisOp::Move(1, 2)), pixels);
        let made = wire("made", Box::new(tanh()), tokens);
        let back = wire("back", Box::new(AxisOp::Move(1, 2)), made);
        model.select_output_outlets(&[back]).unwrap();
        model
    }

    fn run(model: TypedModel) -> Tensor {
        let values = (0..96).map(|it| (it * 7 % 13) as f32 / 10.0).collect();
        let images = tract_ndarray::ArrayD::from_shape_vec(vec![2, 3, 4, 4], values).unwrap();
        let made = model.into_runnable().unwrap().run(tvec!(images.into_tvalue())).unwrap();
        made[0].clone().into_tensor()
    }

    #[test]
    fn turns_beside_images_stay_and_all_others_are_drawn_away_as_before() {
        let mut kept = model();
        keep(&mut kept);
        let kept = kept.into_decluttered().unwrap();
        let turned: Vec<&str> = kept
            .nodes()
            .iter()
            .filter(|node| node.op_is::<Turned>())
            .map(|node| node.name.as_str())
            .collect();
        assert_eq!(turned, ["tokens"]);
        let plain = model().into_decluttered().unwrap();
        assert!(!plain.nodes().iter().any(|node| node.op_is::<AxisOp>() && node.name == "tokens"));
        assert_eq!(run(kept), run(plain));
    }
}
