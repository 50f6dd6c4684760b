//! What the loading of a model came to, kept on the disk: its graph, typed and decluttered, for the next start.
//!
//! ```text
//! ONNX file ──decode, check, type, declutter──▶ graph ──write──▶ kept file (small: weights stay in the model's)
//!                                                ▲                   │
//!                                                └───────read────────┘
//! ```
//! A kept graph is what the passes made, node by node, and is proven to be before it is written: read
//! back, it equals the graph in memory. What comes after (one plan for each shape, weights packed
//! for this processor) is computed from it at each start. So it can make a start quicker, and no
//! answer another one.
//!
//! tract's optimised graphs cannot be kept: the fields of what they are made of are its own.

mod build;
mod bytes;
mod graph;
mod operators;
mod weights;
mod written;

use super::error::{LoadError, contained};
use super::load::{Extent, Model};
use super::onnx::Places;
use crate::disk::{self, Stretch};
use crate::oci::Digest;
use crate::tensor::{Dimension, ElementType, Port};
use bytes::{Reader, Unkept, Writer};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;
use tract_onnx::prelude::{Tensor, TypedModel};
use tract_onnx::tract_core::internal::SymbolScope;
use weights::{Source, Stored};
pub(super) use written::Written;

/// What a kept file begins with; the number is that of its form.
const MAGIC: [u8; 16] = *b"potoroo graph 1\n";

/// The largest kept file. Weights that the model's file does not have as they are (batch
/// normalisation folded in, for instance) stand in it; a model with more of them is not kept.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What a kept graph leaves free of the disk, in bytes: the journal and the next pipeline come first.
const ROOM_BYTES_MIN: u64 = 64 << 20;

/// Graphs kept at most, the oldest is dropped first; a pipeline has some three models, and two
/// pipelines are kept.
const FILES_MAX: usize = 32;

/// Where graphs are kept, a file for each model's digest.
#[derive(Debug)]
pub struct Cache {
    directory: PathBuf,
    build: OnceLock<Digest>,
    /// What stays free of the disk.
    room_bytes: u64,
    /// Models whose graphs were found or kept since the program started. One that is served from an
    /// image layout of someone else's is of no pipeline that is stored here.
    used: Mutex<BTreeSet<Digest>>,
}

impl Cache {
    /// Keeps graphs in this directory, which is made when the first one is.
    #[must_use]
    pub fn new(directory: PathBuf) -> Cache {
        let (build, used) = (OnceLock::new(), Mutex::default());
        Cache { directory, build, room_bytes: ROOM_BYTES_MIN, used }
    }

    /// The model as it was kept, its weights read by so many threads; what does not fit this file,
    /// this build or this processor, or is damaged, is taken away.
    pub(super) fn find(&self, digest: &Digest, file: &Stretch, threads: usize) -> Option<Model> {
        let path = self.path(digest);
        let kept = disk::read_whole(&path, FILE_BYTES_MAX).unwrap_or_default()?;
        let model = contained(|| Ok(self.read(&kept, digest, file, threads))).ok().flatten();
        match model {
            Some(_) => self.uses(digest),
            None => {
                log::debug!("the kept graph of {digest} is of no use here, and is made again");
                let _ = std::fs::remove_file(&path); // the next one takes its place anyway
            }
        }
        model
    }

    fn read(&self, kept: &[u8], digest: &Digest, file: &Stretch, threads: usize) -> Option<Model> {
        let body = kept.strip_prefix(&MAGIC)?;
        let (seal, body) = body.split_at_checked(digest.as_bytes().len())?;
        if seal != Digest::of(body).as_bytes() {
            return None;
        }
        let mut from = Reader::new(body, SymbolScope::default());
        if from.bytes()? != self.build().as_bytes() || from.bytes()? != digest.as_bytes() {
            return None;
        }
        let (file, body) = (file.pick().ok()?, from.rest());
        let Parts { inputs, outputs, extents, divisible, typed } =
            read_model(&mut from, &Source::File(&file, threads))?;
        let mut model = Model::of_parts(inputs, outputs, extents, divisible, typed);
        if let Some(written) = Written::kept(&model, body, file) {
            model.plans.leave(written);
        }
        Some(model)
    }

    /// Keeps what the loading of `file` came to, if it has a form that can be, and the disk has room.
    pub(super) fn keep(&self, digest: &Digest, file: &Stretch, model: &Model) {
        match contained(|| Ok(self.bytes(digest, file, model))) {
            Ok(Ok(bytes)) => match self.put(digest, &bytes) {
                Ok(()) => log::debug!("the graph of {digest} is kept, in {} bytes", bytes.len()),
                Err(error) => log::debug!("{}", crate::exit::chain(&error)),
            },
            Ok(Err(what)) => log::debug!("the graph of {digest} is not kept: it has {what}"),
            Err(trouble) => log::debug!(
                "the graph of {digest} is not kept: {}",
                crate::exit::chain(&LoadError::from(trouble))
            ),
        }
    }

    fn bytes(&self, digest: &Digest, file: &Stretch, model: &Model) -> Result<Vec<u8>, Unkept> {
        if model.late.is_some() {
            return Err("another graph for each request".into());
        }
        let mut body = Writer::default();
        body.bytes(self.build().as_bytes());
        body.bytes(digest.as_bytes());
        match model.plans.written() {
            Some(written) => body.0.extend(written.body()), // proven when it was written
            None => {
                let header = body.0.len();
                let (file, places) = (file.pick(), Places::default());
                let file = file.map_err(|_| "a file that cannot be read".to_owned())?;
                let stored = Stored::of(&file, &places);
                let long = write_model(model, (&stored, graph::HERE_BYTES_MAX), &mut body)?;
                if !is_read_back(model, &body.0[header..], &long) {
                    return Err("something that is another when it is read back".into());
                }
            }
        }
        if FILE_BYTES_MAX < body.0.len() as u64 {
            return Err("more than may be kept".into());
        }
        let mut all = MAGIC.to_vec();
        all.extend(Digest::of(&body.0).as_bytes());
        all.append(&mut body.0);
        Ok(all)
    }

    fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), disk::Error> {
        disk::make_directory(&self.directory)?;
        disk::sweep(&self.directory)?;
        let wanted = (bytes.len() as u64).saturating_add(self.room_bytes);
        if disk::free_bytes(&self.directory)? < wanted || FILE_BYTES_MAX < bytes.len() as u64 {
            return Ok(());
        }
        self.drop_oldest();
        self.uses(digest);
        disk::write_durably(&self.path(digest), bytes)
    }

    fn uses(&self, digest: &Digest) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest);
    }

    /// Makes place for one more file.
    fn drop_oldest(&self) {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut files: Vec<(SystemTime, PathBuf)> = entries
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort();
        let more = (files.len() + 1).saturating_sub(FILES_MAX);
        for (_, path) in files.iter().take(more) {
            let _ = std::fs::remove_file(path); // one too many is no harm
        }
    }

    /// Takes away the graphs of all models but these and those in use; gives how many, and their
    /// bytes.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn sweep(&self, keep: &BTreeSet<Digest>) -> Result<(u64, u64), disk::Error> {
        let (mut files, mut bytes) = (0, 0);
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return Ok((0, 0)) };
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for entry in entries.flatten() {
            let is_kept = keep.union(&used).any(|digest| self.path(digest) == entry.path());
            if is_kept || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            let length = entry.metadata().map_or(0, |it| it.len());
            if disk::remove_unheld(&entry.path())? {
                files += 1;
                bytes += length;
            }
        }
        Ok((files, bytes))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.hex())
    }

    fn build(&self) -> &Digest {
        self.build.get_or_init(build::digest)
    }
}

/// Writes the model; gives its long tensors in the order of their places.
fn write_model(
    model: &Model,
    (stored, here_bytes_max): (&Stored<'_>, usize),
    to: &mut Writer,
) -> Result<Vec<Arc<Tensor>>, Unkept> {
    for ports in [model.inputs(), model.outputs()] {
        to.size(ports.len());
        for port in ports {
            to.text(&port.name);
            let place = ElementType::ALL.iter().position(|known| *known == port.element);
            to.size(place.ok_or_else(|| "an element type".to_owned())?);
            to.size(port.dimensions.len());
            for dimension in &port.dimensions {
                match dimension {
                    Dimension::Fixed(extent) => {
                        to.flag(true);
                        to.size(*extent);
                    }
                    Dimension::Free(name) => {
                        to.flag(false);
                        to.text(name);
                    }
                }
            }
        }
    }
    to.flag(model.divisible);
    let typed = model.plans.whole().ok_or_else(|| "no graph".to_owned())?;
    let long = graph::write(typed, (stored, here_bytes_max), to)?;
    to.size(model.extents.len());
    for extents in &model.extents {
        to.size(extents.len());
        for extent in extents {
            match extent {
                Extent::Fixed(extent) => {
                    to.flag(true);
                    to.size(*extent);
                }
                Extent::Free(symbol) => {
                    to.flag(false);
                    to.text(&symbol.to_string());
                }
            }
        }
    }
    Ok(long)
}

/// Whether what was written of a model, whose long tensors are these, is the same when it is read.
fn is_read_back(model: &Model, body: &[u8], long: &[Arc<Tensor>]) -> bool {
    let mut from = Reader::new(body, SymbolScope::default());
    let again = read_model(&mut from, &Source::There(long));
    again.is_some_and(|again| {
        let Model { extents, divisible, late, plans, .. } = model;
        (model.inputs(), model.outputs(), extents, divisible)
            == (&again.inputs, &again.outputs, &again.extents, &again.divisible)
            && late.is_none()
            && plans.whole().is_some_and(|typed| graph::same(typed, &again.typed))
    })
}

/// What a model is made of.
struct Parts {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    extents: Vec<Vec<Extent>>,
    divisible: bool,
    typed: TypedModel,
}

fn read_model(from: &mut Reader<'_>, weights: &Source<'_>) -> Option<Parts> {
    let mut ports = || {
        from.list(|from| {
            let name = from.text()?.to_owned();
            let element = *ElementType::ALL.get(from.size()?)?;
            let dimensions = from.list(|from| {
                Some(match from.flag()? {
                    true => Dimension::Fixed(from.size()?),
                    false => Dimension::Free(from.text()?.to_owned()),
                })
            })?;
            Some(Port { name, element, dimensions })
        })
    };
    let (inputs, outputs) = (ports()?, ports()?);
    let divisible = from.flag()?;
    let typed = graph::read(from, weights)?;
    let extents = from.list(|from| {
        from.list(|from| {
            Some(match from.flag()? {
                true => Extent::Fixed(from.size()?),
                false => Extent::Free(from.symbol()?),
            })
        })
    })?;
    from.is_at_its_end().then_some(Parts { inputs, outputs, extents, divisible, typed })
}

#[cfg(test)]
mod tests;
