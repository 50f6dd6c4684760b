//! Constants of a graph that are spent: what was made of them is there, and they would only fill the memory.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::OutletId;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::source::TypedSource;

/// Takes the value of an outlet from a graph, as far back as nobody but `users` needs what it is made of.
///
/// The users are nodes that no output needs any more, so nothing asks for the value again.
pub(super) fn drop_value(
    model: &mut TypedModel,
    mut outlet: OutletId,
    users: impl Fn(usize) -> bool,
) {
    let mut user = None;
    loop {
        // A node that a patch took away has no outputs any more.
        let Some(output) = model.nodes()[outlet.node].outputs.get(outlet.slot) else { return };
        let mut successors = output.successors.iter();
        let are_spent = successors.all(|inlet| users(inlet.node) || Some(inlet.node) == user);
        if !are_spent || model.outputs.contains(&outlet) || model.inputs.contains(&outlet) {
            return;
        }
        let node = model.node_mut(outlet.node);
        let fact = node.outputs[outlet.slot].fact.without_value();
        node.outputs[outlet.slot].fact = fact.clone();
        if node.op_is::<Const>() {
            node.op = Box::new(TypedSource::new(fact));
        }
        let [input] = *node.inputs.as_slice() else { return };
        (user, outlet) = (Some(outlet.node), input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tract_onnx::tract_core::internal::InletId;
    use tract_onnx::tract_core::ops::change_axes::AxisOp;
    use tract_onnx::tract_core::ops::math::add;

    /// A constant, another view of it, and the nodes that add the view to an input.
    fn graph(sums: usize) -> (TypedModel, std::sync::Weak<Tensor>, OutletId, Vec<usize>) {
        let mut model = TypedModel::default();
        let input = model.add_source("x", f32::fact([1, 4])).unwrap();
        let tensor = Arc::new(Tensor::from_shape(&[4], &[1.0_f32; 4]).unwrap());
        let known = Arc::downgrade(&tensor);
        let constant = model.add_const("c", tensor).unwrap();
        // tract itself would write down what is made of a constant.
        let fact = tvec!(f32::fact([1, 4]));
        let view = model.add_node("v", AxisOp::Add(0), fact).unwrap();
        model.add_edge(constant, InletId::new(view, 0)).unwrap();
        let view = OutletId::new(view, 0);
        let made: Vec<OutletId> = (0..sums)
            .map(|it| model.wire_node(format!("s{it}"), add(), &[input, view]).unwrap()[0])
            .collect();
        model.select_output_outlets(&made).unwrap();
        (model, known, view, made.into_iter().map(|outlet| outlet.node).collect())
    }

    #[test]
    fn a_constant_goes_when_all_its_users_are_spent_and_not_before() {
        let (mut model, known, view, sums) = graph(2);
        drop_value(&mut model, view, |node| node == sums[0]);
        assert!(known.strong_count() > 0);
        drop_value(&mut model, view, |node| sums.contains(&node));
        assert_eq!(known.strong_count(), 0);
    }
}
