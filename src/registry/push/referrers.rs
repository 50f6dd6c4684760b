//! Referrers: manifests that say which other manifest they are about, and the list of them.

use std::io::Read;

use ureq::http::Method;

use crate::http::client::Patience;
use crate::http::percent;
use crate::oci::{Digest, media_type};
use crate::registry::layout::{INDEX_BYTES_MAX, Index, subject_tag};
use crate::registry::signature::Attached;
use crate::registry::{Action, Doing, Error, Remote};

impl Remote {
    /// The manifests of this artifact type that refer to `subject`.
    ///
    /// A registry that cannot be asked for them has a list under the tag `sha256-HEX` instead
    /// (distribution specification, "Referrers Tag Schema"). Of a list in pages the first is read.
    pub(in crate::registry) fn referrers(
        &self,
        subject: &Digest,
        artifact_type: &str,
    ) -> Result<Index, Error> {
        let filter = percent::encoded(artifact_type, b"/");
        let listed = self.index(&format!("referrers/{subject}?artifactType={filter}"))?;
        match listed {
            Some(index) => Ok(index),
            None => self.tagged_referrers(subject),
        }
    }

    fn tagged_referrers(&self, subject: &Digest) -> Result<Index, Error> {
        let listed = self.index(&format!("manifests/{}", subject_tag(subject)))?;
        Ok(listed.unwrap_or_else(Index::empty))
    }

    /// An image index, or `None` where the registry has none there.
    fn index(&self, path: &str) -> Result<Option<Index>, Error> {
        let doing = Doing::FetchManifest;
        let uri = self.in_repository(path)?;
        let headers = [("accept", media_type::INDEX)];
        let answer =
            self.fetch(doing, Action::Pull, Method::GET, &uri, &headers, Patience::Answer)?;
        match answer.status {
            200 => {}
            // Registries without such an endpoint have each their own way to say so.
            400 | 404 | 405 | 406 | 501 => return Ok(None),
            _ => return Err(self.refusal(doing, answer)),
        }
        let bytes =
            answer.read(INDEX_BYTES_MAX).map_err(|source| self.lost(doing, source))?.ok_or_else(
                || Error::TooLarge { what: format!("the list {uri}"), bytes_max: INDEX_BYTES_MAX },
            )?;
        Ok(Index::parse(&bytes))
    }

    /// Sends a signature of `subject`: its blobs, its manifest, and where it refers to its
    /// subject and the registry does not list it by itself, its line in the list.
    ///
    /// # Errors
    /// Those of [`push_blob`](Self::push_blob) and [`push_manifest`](Self::push_manifest).
    pub fn push_attached(&self, subject: &Digest, attached: &Attached) -> Result<(), Error> {
        for (blob, bytes) in attached.blobs() {
            let bytes = bytes.clone();
            self.push_blob(blob, &mut || Ok(Box::new(std::io::Cursor::new(bytes.clone()))))?;
        }
        let Attached { descriptor, manifest, .. } = attached;
        let name = attached
            .tag(subject)
            .map_or_else(|| descriptor.digest.to_string(), |tag| tag.to_string());
        let is_listed = self.put(&name, &descriptor.media_type, manifest)?;
        if is_listed || attached.tag(subject).is_some() {
            return Ok(());
        }
        let mut index = self.tagged_referrers(subject)?;
        if index.add(descriptor) {
            self.put(&subject_tag(subject).to_string(), media_type::INDEX, &index.to_bytes())?;
        }
        Ok(())
    }

    /// Puts a manifest or an index, and tells whether the registry took note of its subject.
    fn put(&self, name: &str, media_type: &str, bytes: &[u8]) -> Result<bool, Error> {
        let doing = Doing::PushManifest;
        let uri = self.in_repository(&format!("manifests/{name}"))?;
        let headers = [("content-type", media_type)];
        let size = bytes.len() as u64;
        let mut body = || Ok(Box::new(bytes) as Box<dyn Read>);
        let answer = self.send(Method::PUT, doing, &uri, &headers, size, &mut body)?;
        let is_listed = answer.header("oci-subject").is_some();
        self.accepted(doing, "the manifest sent", Digest::of(bytes), answer)?;
        Ok(is_listed)
    }
}
