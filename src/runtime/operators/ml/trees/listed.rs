//! The lists of attributes in which versions 1 and 3 of the domain write an ensemble.

use super::super::attributes::Attributes;
use super::grown::{Branch, FEATURE_MAX, Grown, Question, Step};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use tract_onnx::tract_core::internal::*;

/// Reads `nodes_*` and `{leaf}_*`; `leaf` is `class` or `target`. Says also whether any number is
/// in double precision.
pub(super) fn read(
    attributes: Attributes<'_>,
    leaf: &str,
    targets: usize,
) -> TractResult<(Grown, bool)> {
    let lists = Lists::read(attributes)?;
    let places = lists.places()?;
    let mut grown = Grown::default();
    let mut wide = lists.wide;
    let find = |tree: i64, node: i64, what: &str| {
        let place = places.get(&(tree, node)).copied();
        place.with_context(|| format!("tree {tree} has no node {node}, which is {what}"))
    };
    let mut last_tree = None;
    let mut rooted: std::collections::HashSet<i64> = std::collections::HashSet::new();
    for index in 0..lists.trees.len() {
        let (tree, node) = (lists.trees[index], lists.nodes[index]);
        if last_tree != Some(tree) {
            last_tree = Some(tree);
            if rooted.insert(tree) {
                grown.roots.push(find(tree, node, "its root")?);
            }
        }
        let Some(question) = lists.question(index)? else {
            grown.leaves.push(Vec::new());
            continue;
        };
        let feature = lists.features[index];
        ensure!((0..=FEATURE_MAX).contains(&feature), "node {node} asks for feature {feature}");
        let missing = lists.missing.get(index).copied().unwrap_or(0);
        let child =
            |child: i64, side: &str| find(tree, child, &format!("the {side} child of {node}"));
        grown.branches.push(Branch {
            feature: feature as u32,
            question,
            missing_is_yes: missing != 0,
            yes: child(lists.yes[index], "true")?,
            no: child(lists.no[index], "false")?,
        });
    }
    let list = |name: &str| attributes.ints(&format!("{leaf}_{name}"));
    let (trees, nodes, ids) = (list("treeids")?, list("nodeids")?, list("ids")?);
    let weights = attributes.numbers(&format!("{leaf}_weights"))?;
    wide |= weights.wide;
    ensure!(
        trees.len() == ids.len() && nodes.len() == ids.len() && weights.values.len() == ids.len(),
        "{leaf}_ids, {leaf}_nodeids, {leaf}_treeids and {leaf}_weights should have the same length"
    );
    for (((tree, node), id), weight) in trees.iter().zip(nodes).zip(ids).zip(&weights.values) {
        let place = find(*tree, *node, "given a weight")?;
        let target = u32::try_from(*id).ok();
        let id = target.with_context(|| format!("node {node} gives a weight to target {id}"))?;
        match place {
            Step::Leaf(leaf) => grown.leaves[leaf].push((id, *weight)),
            Step::Branch(_) => {} // onnxruntime passes over weights that no row can reach
        }
    }
    grown.check(targets, &|step| match places.iter().find(|(_, place)| **place == step) {
        Some(((tree, node), _)) => format!("node {node} of tree {tree}"),
        None => "a node".to_owned(),
    })?;
    Ok((grown, wide))
}

/// One entry for each node.
struct Lists<'n> {
    trees: &'n [i64],
    nodes: &'n [i64],
    features: &'n [i64],
    yes: &'n [i64],
    no: &'n [i64],
    missing: &'n [i64],
    modes: Vec<String>,
    values: Vec<f64>,
    wide: bool,
}

impl<'n> Lists<'n> {
    fn read(attributes: Attributes<'n>) -> TractResult<Lists<'n>> {
        let values = attributes.numbers("nodes_values")?;
        let lists = Lists {
            trees: attributes.ints("nodes_treeids")?,
            nodes: attributes.ints("nodes_nodeids")?,
            features: attributes.ints("nodes_featureids")?,
            yes: attributes.ints("nodes_truenodeids")?,
            no: attributes.ints("nodes_falsenodeids")?,
            missing: attributes.ints("nodes_missing_value_tracks_true")?,
            modes: attributes.texts("nodes_modes")?,
            wide: values.wide,
            values: values.values,
        };
        let nodes = lists.nodes.len();
        let lengths = [
            ("nodes_treeids", lists.trees.len()),
            ("nodes_featureids", lists.features.len()),
            ("nodes_truenodeids", lists.yes.len()),
            ("nodes_falsenodeids", lists.no.len()),
            ("nodes_modes", lists.modes.len()),
            ("nodes_values", lists.values.len()),
        ];
        for (name, length) in lengths {
            ensure!(length == nodes, "{name} has {length} entries for {nodes} nodes");
        }
        Ok(lists)
    }

    /// Which branch or leaf each node is, by its tree and number.
    fn places(&self) -> TractResult<HashMap<(i64, i64), Step>> {
        let mut places = HashMap::with_capacity(self.nodes.len());
        let (mut branches, mut leaves) = (0, 0);
        for (index, (tree, node)) in self.trees.iter().zip(self.nodes).enumerate() {
            let (place, count) = match self.modes[index] == "LEAF" {
                true => (Step::Leaf(leaves), &mut leaves),
                false => (Step::Branch(branches), &mut branches),
            };
            *count += 1;
            match places.entry((*tree, *node)) {
                Entry::Vacant(entry) => entry.insert(place),
                Entry::Occupied(_) => bail!("tree {tree} has two nodes {node}"),
            };
        }
        Ok(places)
    }

    /// `None` for a leaf.
    fn question(&self, index: usize) -> TractResult<Option<Question>> {
        let value = self.values[index];
        Ok(Some(match self.modes[index].as_str() {
            "LEAF" => return Ok(None),
            "BRANCH_LEQ" => Question::AtMost(value),
            "BRANCH_LT" => Question::Below(value),
            "BRANCH_GTE" => Question::AtLeast(value),
            "BRANCH_GT" => Question::Above(value),
            "BRANCH_EQ" => Question::Equal(value),
            "BRANCH_NEQ" => Question::NotEqual(value),
            other => bail!("the mode of a node is `{other}`, which is unknown"),
        }))
    }
}
