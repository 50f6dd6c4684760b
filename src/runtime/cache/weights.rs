//! The long tensors of a graph, found in and read from the model's own file.

use super::graph::zeros;
use crate::disk::Picking;
use crate::runtime::onnx::{self, Places};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tract_onnx::prelude::*;

/// Bytes that are compared at once, so that a model is not held twice.
const COMPARED_BYTES: usize = 256 << 10;

/// A tensor that is to be read.
pub(super) struct Place<'b> {
    pub(super) datum: DatumType,
    pub(super) shape: TVec<usize>,
    pub(super) at: At<'b>,
}

/// Where its bytes are.
#[derive(Clone, Copy)]
pub(super) enum At<'b> {
    /// From this byte of the model's file on.
    File(u64),
    Here(&'b [u8]),
}

/// Where the long tensors of a graph come from.
pub(super) enum Source<'s> {
    /// The model's file, read by so many threads.
    File(&'s Picking, usize),
    /// They are there already, in the order of their places.
    There(&'s [Arc<Tensor>]),
}

impl Source<'_> {
    /// The tensors of these places, in their order; none when one is not there.
    pub(super) fn read(&self, places: &[Place<'_>]) -> Option<Vec<Arc<Tensor>>> {
        match self {
            Source::There(tensors) => (tensors.len() == places.len()).then(|| tensors.to_vec()),
            Source::File(file, threads) => read(file, *threads, places),
        }
    }
}

fn read(file: &Picking, threads: usize, places: &[Place<'_>]) -> Option<Vec<Arc<Tensor>>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Arc<Tensor>)>> = Mutex::new(Vec::with_capacity(places.len()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Relaxed);
            let Some(tensor) = places.get(number).and_then(|place| tensor(file, place)) else {
                return;
            };
            done.lock().unwrap_or_else(PoisonError::into_inner).push((number, Arc::new(tensor)));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(places.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(number, _)| *number);
    (done.len() == places.len()).then(|| done.into_iter().map(|(_, it)| it).collect())
}

fn tensor(file: &Picking, place: &Place<'_>) -> Option<Tensor> {
    let mut extents = place.shape.iter();
    let elements = extents.try_fold(1_usize, |all, extent| all.checked_mul(*extent))?;
    let bytes = elements.checked_mul(place.datum.size_of())?;
    match place.at {
        At::Here(given) => {
            let mut tensor = zeros(place.datum, &place.shape, given.len())?;
            tensor.as_bytes_mut().copy_from_slice(given);
            Some(tensor)
        }
        At::File(offset) => {
            if file.bytes() < offset.checked_add(bytes as u64)? {
                return None;
            }
            let mut tensor = zeros(place.datum, &place.shape, bytes)?;
            file.read_exact_at(tensor.as_bytes_mut(), offset).ok()?;
            Some(tensor)
        }
    }
}

/// The stored tensors of a model's file, to be found by what is known of them, or by their bytes.
pub(super) struct Stored<'s> {
    file: &'s Picking,
    places: &'s Places,
    by_length: OnceCell<HashMap<u64, Vec<Range<u64>>>>,
}

impl<'s> Stored<'s> {
    pub(super) fn of(file: &'s Picking, places: &'s Places) -> Stored<'s> {
        Stored { file, places, by_length: OnceCell::new() }
    }

    /// Where the file has exactly the bytes of this tensor as a stored one.
    pub(super) fn find(&self, tensor: &Arc<Tensor>) -> Option<u64> {
        if let Some(offset) = self.places.of(tensor) {
            return Some(offset);
        }
        let by_length = self.by_length.get_or_init(|| {
            let mut by_length: HashMap<u64, Vec<Range<u64>>> = HashMap::new();
            for place in onnx::raw_data(self.file) {
                by_length.entry(place.end - place.start).or_default().push(place);
            }
            by_length
        });
        let bytes = tensor.as_bytes();
        let places = by_length.get(&(bytes.len() as u64))?;
        let same = |place: &&Range<u64>| self.has_at(bytes, place.start).unwrap_or(false);
        places.iter().find(same).map(|place| place.start)
    }

    fn has_at(&self, bytes: &[u8], mut offset: u64) -> io::Result<bool> {
        let mut buffer = vec![0; COMPARED_BYTES.min(bytes.len())];
        for wanted in bytes.chunks(COMPARED_BYTES) {
            let found = &mut buffer[..wanted.len()];
            self.file.read_exact_at(found, offset)?;
            if found != wanted {
                return Ok(false);
            }
            offset += wanted.len() as u64;
        }
        Ok(true)
    }
}
