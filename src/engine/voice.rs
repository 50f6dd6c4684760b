//! What is said while a pipeline is fetched: the contract's lines at a start, log lines later.

use crate::logging::{AT_PULL, announce};
use crate::oci::{Descriptor, Digest, Source, excerpt};
use crate::pipeline::FILE_TYPE;
use std::collections::BTreeSet;

/// Who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// Scripts that wait for the contract's start-up lines on stdout.
    Contract,
    /// Whoever reads the log of an engine that answers already.
    Log,
}

impl Voice {
    /// The registry let us in as somebody.
    pub(super) fn logged_in(self) {
        self.announce("Login Succeeded");
    }

    /// The manifest is asked for.
    pub(super) fn manifest(self, pipeline_url: &str) {
        self.announce(&format!("Fetching manifest and config for pipeline: {pipeline_url}"));
    }

    /// The manifest is there.
    pub(super) fn found(self, source: &Source, digest: &Digest) {
        match self {
            Voice::Contract => log::info!(target: AT_PULL, "ref={source} digest={digest}"),
            Voice::Log => log::debug!(target: AT_PULL, "ref={source} digest={digest}"),
        }
    }

    /// The layers are looked at, in this order.
    pub(super) fn layers(self, layers: &[Descriptor]) -> Layers<'_> {
        self.announce("Fetching model layers");
        let told = Layers { voice: self, left: layers, whole: BTreeSet::new() };
        told.begin_first();
        told
    }

    fn announce(self, line: &str) {
        match self {
            Voice::Contract => announce(line),
            Voice::Log => {}
        }
    }
}

/// Tells layers in their order, whatever the order is in which they come.
pub(super) struct Layers<'a> {
    voice: Voice,
    left: &'a [Descriptor],
    whole: BTreeSet<Digest>,
}

impl Layers<'_> {
    /// The layer is whole.
    pub(super) fn whole(&mut self, layer: &Descriptor) {
        self.whole.insert(layer.digest);
        while let Some((first, left)) = self.left.split_first() {
            if !self.whole.contains(&first.digest) {
                break;
            }
            self.voice.announce("Fetched");
            self.left = left;
            self.begin_first();
        }
    }

    fn begin_first(&self) {
        if let Some(layer) = self.left.first() {
            self.voice.announce(&layer_lines(layer));
        }
    }
}

/// The contract's lines for a layer, the empty one at their end included.
fn layer_lines(layer: &Descriptor) -> String {
    // Text from outside: it must neither move the terminal's cursor nor begin a line of its own.
    let annotation =
        |key: &str| layer.annotations.get(key).map_or("null".to_owned(), |text| excerpt(text));
    format!(
        "digest: {}\n  filename: {}\n  name: {}\n  type: {}\n  runtime: {}\n  version: {}\n",
        layer.digest,
        annotation("filename"),
        annotation("name"),
        annotation(FILE_TYPE),
        annotation("runtime"),
        annotation("version"),
    )
}
