//! Pulling over bad links: what has come is kept, what is missing is fetched, what is wrong is not taken.

use std::time::Duration;

use potoroo::http::client::Timeouts;
use potoroo::oci::{Descriptor, media_type};
use potoroo::registry::{Brought, Error, Layout, Remote, Retry, Transfer, Transport};
use tempfile::TempDir;

use crate::support::fault_proxy::{Asked, Fault, FaultProxy};
use crate::support::registry::{Auth, Registry};

mod gone_on_with;
mod hostile;
mod killed;
mod memory;
mod shared_store;
mod side_by_side;
mod tried_again;

/// Waits that a test does not notice.
const QUICK: Retry = Retry {
    attempts_max: 4,
    wait: Duration::from_millis(1),
    wait_max: Duration::from_millis(2),
    asked_wait_max: Duration::from_millis(2),
};

/// For a link that is to stall: tests wait for it.
const SOON: Timeouts = Timeouts { stall: Duration::from_millis(500), ..Timeouts::EDGE };

/// Bytes that no compression shortens and no two seeds share (xorshift).
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = bytes.div_ceil(8);
    let mut noise = Vec::with_capacity(words * 8);
    for _ in 0..words {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend(state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

/// A registry with some blobs, a bad link to it, and a layout at this end.
struct Link {
    _registry: Registry,
    proxy: FaultProxy,
    blobs: Vec<Descriptor>,
    layout: Layout,
    timeouts: Timeouts,
    _directory: TempDir,
}

impl Link {
    /// A link to an open registry that has these blobs.
    fn to(
        contents: &[Vec<u8>],
        plan: impl Fn(&Asked) -> Vec<Fault> + Send + Sync + 'static,
    ) -> Link {
        let registry = Registry::start(&Auth::None);
        let remote = registry.remote("a/b", None);
        let blobs = contents.iter().map(|bytes| push(&remote, bytes)).collect();
        let proxy = FaultProxy::start(&registry.host().to_string(), plan);
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let timeouts = Timeouts::EDGE;
        Link { _registry: registry, proxy, blobs, layout, timeouts, _directory: directory }
    }

    fn remote(&self) -> Remote {
        self.proxy.remote(Transport::new(self.timeouts, Vec::new()), "a/b", None)
    }

    fn bring(&self, retry: Retry) -> Result<Brought, Error> {
        let remote = self.remote();
        let transfer = Transfer { remote: &remote, layout: &self.layout, retry };
        transfer.bring(&self.blobs, &mut |_, _| {})
    }

    /// The one blob is there, and nothing beside it is left.
    fn is_whole(&self) {
        for blob in &self.blobs {
            let _proof = self.layout.verify_blob(blob).unwrap();
        }
        assert_eq!(self.layout.partial_blobs().unwrap(), []);
    }

    /// What has come of the first blob.
    fn partial(&self) -> std::path::PathBuf {
        let name = format!("partial/sha256-{}", self.blobs[0].digest.hex());
        self.layout.root().join(name)
    }
}

/// Pushes a blob and gives its descriptor.
fn push(remote: &Remote, bytes: &[u8]) -> Descriptor {
    let blob = Descriptor::of(media_type::MODEL_WEIGHT, bytes);
    let source = bytes.to_vec();
    remote.push_blob(&blob, &mut || Ok(Box::new(std::io::Cursor::new(source.clone())))).unwrap();
    blob
}
