//! The names of one graph: each made once, none missing, and no value that needs itself.

use super::survey::{Findings, NAME_BYTES_MAX, shown};
use std::collections::{HashMap, HashSet};
use tract_onnx::pb::{GraphProto, NodeProto};

/// Names that a graph inside of another sees.
#[derive(Debug, Default)]
pub(super) struct Scope<'g> {
    here: HashSet<&'g str>,
    outer: Option<&'g Scope<'g>>,
}

impl Scope<'_> {
    pub(super) fn top() -> Scope<'static> {
        Scope::default()
    }

    fn has(&self, name: &str) -> bool {
        self.here.contains(name) || self.outer.is_some_and(|outer| outer.has(name))
    }
}

/// Notes what is wrong with the names of `graph`, and gives what its inner graphs see.
pub(super) fn check<'g>(
    graph: &'g GraphProto,
    outer: &'g Scope<'g>,
    findings: &mut Findings,
) -> Scope<'g> {
    let mut here: HashSet<&str> = HashSet::new();
    for input in &graph.input {
        if !here.insert(&input.name) {
            findings.fault(format!("two of its inputs are called `{}`", brief(&input.name)));
        }
    }
    // A stored tensor may have an input's name: it is then the input's default.
    here.extend(graph.initializer.iter().map(|tensor| tensor.name.as_str()));
    for node in &graph.node {
        let names = node.input.iter().chain(&node.output).chain([&node.name, &node.op_type]);
        if names.into_iter().any(|name| name.len() > NAME_BYTES_MAX) {
            findings.fault(format!(
                "node `{}` has a name longer than {NAME_BYTES_MAX} bytes",
                brief(shown(node))
            ));
        }
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            if !here.insert(output) {
                findings.fault(format!(
                    "node `{}` makes `{}`, which is made elsewhere already",
                    brief(shown(node)),
                    brief(output)
                ));
            }
        }
    }
    let scope = Scope { here, outer: Some(outer) };
    for node in &graph.node {
        for input in node.input.iter().filter(|input| !input.is_empty()) {
            if !scope.has(input) {
                findings.fault(format!(
                    "node `{}` takes `{}`, which nothing makes",
                    brief(shown(node)),
                    brief(input)
                ));
            }
        }
    }
    for output in &graph.output {
        if !scope.has(&output.name) {
            findings.fault(format!("no node makes the output `{}`", brief(&output.name)));
        }
    }
    if let Some(circle) = circle(graph) {
        findings.fault(format!("nodes need each other in a circle: {circle}"));
    }
    scope
}

/// A name in a message, cut when it is too long to read.
fn brief(name: &str) -> String {
    const CHARS_MAX: usize = 100;
    match name.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// Names of nodes that can never run, since each waits for another of them.
fn circle(graph: &GraphProto) -> Option<String> {
    const NAMED: usize = 5;
    let makers: HashMap<&str, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.output.iter().map(move |output| (output.as_str(), index)))
        .filter(|(output, _)| !output.is_empty())
        .collect();
    let mut waits = vec![0_usize; graph.node.len()];
    let mut waiters: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    for (index, node) in graph.node.iter().enumerate() {
        for name in needed(node) {
            if let Some(maker) = makers.get(name) {
                waits[index] += 1;
                waiters[*maker].push(index);
            }
        }
    }
    let mut ready: Vec<usize> = (0..waits.len()).filter(|index| waits[*index] == 0).collect();
    while let Some(done) = ready.pop() {
        for waiter in &waiters[done] {
            waits[*waiter] -= 1;
            if waits[*waiter] == 0 {
                ready.push(*waiter);
            }
        }
    }
    let stuck: Vec<String> = waits
        .iter()
        .zip(&graph.node)
        .filter(|(waits, _)| **waits > 0)
        .map(|(_, node)| format!("`{}`", brief(shown(node))))
        .collect();
    match stuck.len() {
        0 => None,
        1..=NAMED => Some(stuck.join(", ")),
        more => Some(format!("{} and {} more", stuck[..NAMED].join(", "), more - NAMED)),
    }
}

/// What a node needs: its inputs, and what its inner graphs take from outside.
fn needed(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
    let graphs = node.attribute.iter().flat_map(|one| one.g.iter().chain(&one.graphs));
    for graph in graphs {
        let made: HashSet<&str> = graph
            .node
            .iter()
            .flat_map(|inner| &inner.output)
            .chain(graph.input.iter().map(|input| &input.name))
            .chain(graph.initializer.iter().map(|tensor| &tensor.name))
            .map(String::as_str)
            .collect();
        let inside = graph.node.iter().flat_map(needed);
        let outputs = graph.output.iter().map(|output| output.name.as_str());
        names.extend(inside.chain(outputs).filter(|name| !made.contains(name)));
    }
    names.retain(|name| !name.is_empty());
    names
}
