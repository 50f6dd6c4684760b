//! The programs of a model that plans have at hand: a plan for more rows packs no weights again.

use super::graph::{Extents, Graph, Name};
use super::program;
use super::steps::Work;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

type Program = program::Program<Work>;

/// The programs that plans of one model run, for other plans of it.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Programs(Mutex<HashMap<Key, Weak<Program>>>);

/// What a program of one model is known by: the names of its nodes, the extents of all values, and
/// which of them go out.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    nodes: Vec<String>,
    extents: Vec<Extents>,
    inputs: usize,
    outputs: Vec<Name>,
}

impl Key {
    pub(super) fn new(nodes: Vec<String>, graph: &Graph) -> Key {
        let (inputs, outputs) = (graph.inputs.len(), graph.outputs.clone());
        Key { nodes, extents: graph.values(), inputs, outputs }
    }
}

impl Programs {
    /// The program known by this, or else what `make` makes.
    pub(super) fn or_make(
        &self,
        key: Key,
        make: impl FnOnce() -> Option<Program>,
    ) -> Option<Arc<Program>> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(&key).and_then(Weak::upgrade);
        if known.is_some() {
            return known;
        }
        // Two plans that are made at once make it twice, which is rare; neither waits for the other.
        let made = Arc::new(make()?);
        let mut programs = lock();
        programs.retain(|_, program| program.strong_count() > 0);
        programs.insert(key, Arc::downgrade(&made));
        Some(made)
    }
}
