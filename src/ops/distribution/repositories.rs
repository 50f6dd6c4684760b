//! The repositories on disk: one image layout each, and one store of blobs that all of them share.

use std::fs;
use std::path::{Path, PathBuf};

use crate::disk::{self, Step, failed};
use crate::oci::{Digest, Repository};
use crate::registry::{Error, Layout, LayoutFault};

/// The directory of the layouts.
const LAYOUTS: &str = "repositories";
/// The directory of all blobs; in each layout the name of a link to it.
const BLOBS: &str = "blobs";
/// Where a layout's link leads to, seen from the layout.
const TO_BLOBS: &str = "../../blobs";
/// The file in a layout that says which repository it is, for people.
const NAME: &str = "repository";

/// A directory with a layout for each repository.
///
/// ```text
/// blobs/sha256/DIGEST
/// repositories/SHA256-OF-THE-NAME/repository     the name
///                                 blobs          a link to the blobs of all
///                                 index.json     the tags and signatures of this one
///                                 oci-layout
/// ```
///
/// Each is an image layout to every tool that reads one. A blob is stored once, however many
/// repositories have it; which of them do is told by their manifests.
#[derive(Debug, Clone)]
pub struct Repositories {
    root: PathBuf,
}

impl Repositories {
    /// Those in this directory, which is made where there is none.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn create(root: &Path) -> Result<Repositories, Error> {
        disk::make_directory(&root.join(BLOBS).join("sha256"))?;
        disk::make_directory(&root.join(LAYOUTS))?;
        Ok(Repositories { root: root.to_owned() })
    }

    /// The layout to publish into, made where there is none.
    ///
    /// Every change to it is durable, and several may write at once, to one repository or to
    /// many. [`Layout::sweep`] is not for it: it would take the blobs of the others.
    ///
    /// # Errors
    /// [`Error::Disk`], and [`Error::NotALayout`] when something else is in its place.
    pub fn layout(&self, repository: &Repository) -> Result<Layout, Error> {
        let path = self.path(repository);
        disk::make_directory(&path)?;
        disk::make_link(&path.join(BLOBS), Path::new(TO_BLOBS))?;
        if !path.join(NAME).exists() {
            disk::write_durably(&path.join(NAME), format!("{repository}\n").as_bytes())?;
        }
        Layout::create(&path)
    }

    /// The layout of a repository, if there is one.
    ///
    /// # Errors
    /// [`Error::Disk`], and [`Error::NotALayout`] when it is damaged.
    pub fn find(&self, repository: &Repository) -> Result<Option<Layout>, Error> {
        match Layout::open(&self.path(repository)) {
            Ok(layout) => Ok(Some(layout)),
            // The marker is written last: without it nothing was published yet.
            Err(Error::NotALayout { fault: LayoutFault::NoMarker, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The layouts of all repositories.
    ///
    /// # Errors
    /// [`Error::Disk`], and [`Error::NotALayout`] when one is damaged.
    pub fn all(&self) -> Result<Vec<Layout>, Error> {
        let root = self.root.join(LAYOUTS);
        let mut found = Vec::new();
        for entry in fs::read_dir(&root).map_err(failed(Step::Read, &root))? {
            let path = entry.map_err(failed(Step::Read, &root))?.path();
            match Layout::open(&path) {
                Ok(layout) => found.push(layout),
                Err(Error::NotALayout { fault: LayoutFault::NoMarker, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// A name from outside is never a file name, and `a/blobs` must not meet the blobs of `a`.
    fn path(&self, repository: &Repository) -> PathBuf {
        self.root.join(LAYOUTS).join(Digest::of(repository.as_str().as_bytes()).hex())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Repositories;
    use crate::oci::{Descriptor, Manifest, Version, media_type};
    use crate::registry::{Layout, Pushed};

    fn put(layout: &Layout, tag: &str, model: &[u8]) -> Pushed {
        let blob = |bytes: &[u8]| Descriptor::of(media_type::OCTET_STREAM, bytes);
        let manifest = Manifest {
            media_type: media_type::MANIFEST.to_owned(),
            artifact_type: None,
            config: blob(b"{}"),
            layers: vec![blob(model)],
            annotations: [].into(),
        };
        layout.put_blob_from(&manifest.config, &mut b"{}".as_slice()).unwrap();
        let pushed = layout.put_blob_from(&manifest.layers[0], &mut &*model).unwrap();
        layout.put_manifest(&tag.parse().unwrap(), &manifest.to_bytes()).unwrap();
        pushed
    }

    #[test]
    fn a_blob_is_stored_once_and_each_repository_has_its_own_tags() {
        let directory = tempfile::tempdir().unwrap();
        let repositories = Repositories::create(directory.path()).unwrap();
        let [first, second] = ["a", "a/blobs"].map(|name| name.parse().unwrap());
        assert_eq!(put(&repositories.layout(&first).unwrap(), "v1", b"model"), Pushed::Sent);
        let layout = repositories.layout(&second).unwrap();
        assert_eq!(put(&layout, "v2", b"model"), Pushed::AlreadyThere);
        assert_eq!(fs::read_dir(directory.path().join("blobs/sha256")).unwrap().count(), 3);
        let found = repositories.find(&second).unwrap().unwrap();
        found.manifest(&Version::Tag("v2".parse().unwrap())).unwrap();
        found.manifest(&Version::Tag("v1".parse().unwrap())).unwrap_err();
        assert!(repositories.find(&"b".parse().unwrap()).unwrap().is_none());
        let moved = tempfile::tempdir().unwrap();
        fs::rename(directory.path(), moved.path().join("elsewhere")).unwrap();
        let moved = Repositories::create(&moved.path().join("elsewhere")).unwrap();
        let found = moved.find(&first).unwrap().unwrap();
        found.manifest(&Version::Tag("v1".parse().unwrap())).unwrap();
    }

    #[test]
    fn writers_of_one_new_repository_at_the_same_time_lose_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let repositories = Repositories::create(directory.path()).unwrap();
        for round in 0..20 {
            let name = format!("pipelines/edge-{round}").parse().unwrap();
            std::thread::scope(|scope| {
                for writer in 0..8 {
                    let (repositories, name) = (&repositories, &name);
                    scope.spawn(move || {
                        let model = format!("model {}", writer % 3);
                        let layout = repositories.layout(name).unwrap();
                        put(&layout, &format!("v{writer}"), model.as_bytes());
                    });
                }
            });
            let listed = repositories.find(&name).unwrap().unwrap().listed().unwrap();
            assert_eq!(listed.len(), 8, "round {round}");
        }
        let litter = ["", "blobs/sha256"].map(|at| fs::read_dir(directory.path().join(at)));
        let names = litter.into_iter().flat_map(Result::unwrap).map(|it| it.unwrap().file_name());
        assert!(!names.into_iter().any(|it| it.to_string_lossy().ends_with("unfinished")));
    }

    #[test]
    fn a_repository_whose_making_was_cut_short_is_not_there_and_can_be_made() {
        let name = "pipelines/edge".parse().unwrap();
        // Each step of the making, as a kill after it leaves the directory.
        for steps in 0..5 {
            let directory = tempfile::tempdir().unwrap();
            let repositories = Repositories::create(directory.path()).unwrap();
            let path = repositories.path(&name);
            let made: [&dyn Fn(); 4] = [
                &|| fs::create_dir(&path).unwrap(),
                &|| std::os::unix::fs::symlink("../../blobs", path.join("blobs")).unwrap(),
                &|| fs::write(path.join(".0123456789abcdef.unfinished"), "pipel").unwrap(),
                &|| fs::write(path.join("index.json"), r#"{"schemaVersion":2}"#).unwrap(),
            ];
            made[..steps.min(4)].iter().for_each(|step| step());
            assert!(repositories.find(&name).unwrap().is_none(), "after {steps}");
            put(&repositories.layout(&name).unwrap(), "v1", b"model");
            assert_eq!(repositories.find(&name).unwrap().unwrap().listed().unwrap().len(), 1);
            assert!(path.join("blobs").is_symlink());
        }
    }
}
