//! Packed weights that plans of one model have at hand: a plan for more rows shares those of plans before.

use crate::runtime::kernels::{Kind, Weights, integers};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What weights are looked for by: how many terms and columns they have.
type Key = [usize; 2];

/// The packed weights of products that are in use.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Packed {
    floats: Mutex<HashMap<Key, Vec<Weak<Weights>>>>,
    integers: Mutex<Vec<Weak<integers::Product>>>,
}

impl Packed {
    /// Weights of so many terms and columns, of which `weight` tells each by its term and its column: those that
    /// somebody has, or else packed by all threads of the pool that this is called on, where these may.
    pub(super) fn or_pack(
        &self,
        kind: Kind,
        [terms, columns]: Key,
        weight: impl Fn(usize, usize) -> f32 + Sync,
        on_all_threads: bool,
    ) -> Arc<Weights> {
        let lock = || self.floats.lock().unwrap_or_else(PoisonError::into_inner);
        let alike: Vec<Arc<Weights>> =
            lock().get(&[terms, columns]).into_iter().flatten().filter_map(Weak::upgrade).collect();
        // Each is looked at: which node of one graph is which of another is not known for sure.
        if let Some(same) = alike.into_iter().find(|it| it.are(&weight)) {
            return same;
        }
        // Two plans that are made at once pack them twice, which is rare; neither waits for the other.
        let made = Arc::new(Weights::pack(kind, [terms, columns], weight, on_all_threads));
        let mut packed = lock();
        let alike = packed.entry([terms, columns]).or_default();
        alike.retain(|it| it.strong_count() > 0);
        alike.push(Arc::downgrade(&made));
        made
    }

    /// This product of integers, or the same one that somebody has.
    pub(super) fn or_same(&self, product: integers::Product) -> Arc<integers::Product> {
        let lock = || self.integers.lock().unwrap_or_else(PoisonError::into_inner);
        let known: Vec<Arc<integers::Product>> = lock().iter().filter_map(Weak::upgrade).collect();
        if let Some(same) = known.into_iter().find(|it| **it == product) {
            return same;
        }
        let made = Arc::new(product);
        let mut packed = lock();
        packed.retain(|it| it.strong_count() > 0);
        packed.push(Arc::downgrade(&made));
        made
    }

    /// How many are in use.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let floats = self.floats.lock().unwrap_or_else(PoisonError::into_inner);
        let integers = self.integers.lock().unwrap_or_else(PoisonError::into_inner);
        floats.values().flatten().filter(|it| it.strong_count() > 0).count()
            + integers.iter().filter(|it| it.strong_count() > 0).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_shared_as_long_as_somebody_has_them_and_they_are_the_same_to_the_bit() {
        let (packed, kind) = (Packed::default(), Kind::best());
        let weight = |term: usize, column: usize| (term * 31 + column) as f32 - 7.5;
        let pack = |weight: &(dyn Fn(usize, usize) -> f32 + Sync)| {
            packed.or_pack(kind, [9, 21], weight, false)
        };
        let first = pack(&weight);
        assert!(Arc::ptr_eq(&first, &pack(&weight)));
        let other =
            |term, column| if (term, column) == (8, 20) { 0.0 } else { weight(term, column) };
        let second = pack(&other);
        assert!(!Arc::ptr_eq(&first, &second) && second.are(other) && !second.are(weight));
        let minus =
            |term, column| if (term, column) == (8, 20) { -0.0 } else { weight(term, column) };
        assert!(!second.are(minus));
        let known = Arc::downgrade(&first);
        drop(first);
        assert!(known.upgrade().is_none(), "nobody else keeps them");
        assert!(pack(&weight).are(weight));
    }
}
