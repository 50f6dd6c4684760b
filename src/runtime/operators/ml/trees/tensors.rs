//! The tensors in which version 5 of the domain writes an ensemble: branches and leaves apart.

use super::super::attributes::Attributes;
use super::grown::{Branch, FEATURE_MAX, Grown, Question, Step};
use tract_onnx::tract_core::internal::*;

/// Reads `nodes_*`, `leaf_*`, `tree_roots` and `membership_values`. Says also whether any number
/// is in double precision.
pub(super) fn read(attributes: Attributes<'_>, targets: usize) -> TractResult<(Grown, bool)> {
    let tensor = |name: &str| {
        let found = attributes.tensor_numbers(name)?;
        found.with_context(|| format!("attribute `{name}` is missing"))
    };
    let (splits, values) = tensor("nodes_splits")?;
    let (_, modes) = tensor("nodes_modes")?;
    let (_, weights) = tensor("leaf_weights")?;
    let ids = attributes.ints("leaf_targetids")?;
    ensure!(weights.len() == ids.len(), "leaf_weights and leaf_targetids differ in length");
    let features = attributes.ints("nodes_featureids")?;
    let nodes = features.len();
    let list = |name: &str| {
        let list = attributes.ints(name)?;
        ensure!(list.len() == nodes, "{name} has {} entries for {nodes} nodes", list.len());
        Ok(list)
    };
    let (yes, yes_leaf) = (list("nodes_truenodeids")?, list("nodes_trueleafs")?);
    let (no, no_leaf) = (list("nodes_falsenodeids")?, list("nodes_falseleafs")?);
    ensure!(values.len() == nodes && modes.len() == nodes, "nodes_* differ in length");
    let missing = attributes.ints("nodes_missing_value_tracks_true")?;
    let step = |to: i64, leaf: bool| {
        let (limit, kind) = if leaf { (ids.len(), "leaf") } else { (nodes, "node") };
        let place = usize::try_from(to).ok().filter(|place| *place < limit);
        let place = place.with_context(|| format!("there is no {kind} {to}, of {limit}"))?;
        Ok::<Step, TractError>(if leaf { Step::Leaf(place) } else { Step::Branch(place) })
    };
    let mut sets = Sets::read(attributes)?;
    let mut grown = Grown::default();
    for node in 0..nodes {
        let feature = features[node];
        ensure!((0..=FEATURE_MAX).contains(&feature), "node {node} asks for feature {feature}");
        let value = values[node];
        let question = match modes[node] as u8 {
            0 => Question::AtMost(value),
            1 => Question::Below(value),
            2 => Question::AtLeast(value),
            3 => Question::Above(value),
            4 => Question::Equal(value),
            5 => Question::NotEqual(value),
            6 => Question::Member(sets.next(node)?),
            other => bail!("the mode of node {node} is {other}, which is unknown"),
        };
        grown.branches.push(Branch {
            feature: feature as u32,
            question,
            missing_is_yes: missing.get(node).is_some_and(|missing| *missing != 0),
            yes: step(yes[node], yes_leaf[node] != 0)?,
            no: step(no[node], no_leaf[node] != 0)?,
        });
    }
    for (id, weight) in ids.iter().zip(&weights) {
        let target = u32::try_from(*id).ok();
        let id = target.with_context(|| format!("a leaf gives a weight to target {id}"))?;
        grown.leaves.push(vec![(id, *weight)]);
    }
    for root in attributes.ints("tree_roots")? {
        grown.roots.push(step(*root, false)?);
    }
    grown.check(targets, &|step| match step {
        Step::Branch(node) => format!("node {node}"),
        Step::Leaf(leaf) => format!("leaf {leaf}"),
    })?;
    Ok((grown, splits.datum_type() == DatumType::F64))
}

/// The sets of the nodes that ask for membership, in the order of the nodes; NaN ends each.
struct Sets {
    values: std::vec::IntoIter<f64>,
}

impl Sets {
    fn read(attributes: Attributes<'_>) -> TractResult<Sets> {
        let values = attributes.tensor_numbers("membership_values")?;
        Ok(Sets { values: values.map(|(_, values)| values).unwrap_or_default().into_iter() })
    }

    fn next(&mut self, node: usize) -> TractResult<Vec<f64>> {
        let set: Vec<f64> = self.values.by_ref().take_while(|value| !value.is_nan()).collect();
        ensure!(
            !set.is_empty(),
            "node {node} asks for a member of a set, and membership_values has none"
        );
        Ok(set)
    }
}
