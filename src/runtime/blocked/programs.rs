//! The programs of a model that plans have at hand: a plan for more rows packs no weights again.

use super::graph::{Extents, Graph, Name};
use super::program::{Program, Work};
use super::{integers, steps};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The programs that plans of one model run, for other plans of it.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Programs {
    pub(super) floats: Known<steps::Work>,
    pub(super) integers: Known<integers::Work>,
}

/// Those of one kind.
#[derive(Debug)]
pub(super) struct Known<W: Work>(Mutex<HashMap<Key, Weak<Program<W>>>>);

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
    pub(super) fn new<O, V: Copy>(
        nodes: Vec<String>,
        graph: &Graph<O, V>,
        extents: impl Fn(V) -> Extents,
    ) -> Key {
        let (inputs, outputs) = (graph.inputs.len(), graph.outputs.clone());
        let extents = graph.values().into_iter().map(extents).collect();
        Key { nodes, extents, inputs, outputs }
    }
}

impl<W: Work> Default for Known<W> {
    fn default() -> Known<W> {
        Known(Mutex::default())
    }
}

impl<W: Work> Known<W> {
    /// The program known by this, or else what `make` makes.
    pub(super) fn or_make(
        &self,
        key: Key,
        make: impl FnOnce() -> Option<Program<W>>,
    ) -> Option<Arc<Program<W>>> {
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
