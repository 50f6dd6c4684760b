//! The state file: which pipeline answers, which did before, and what does not load, in durable JSON.

use super::assigned::{Assigned, Followed};
use crate::disk;
use crate::oci::Digest;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file in the persistent directory.
pub(in crate::engine) const FILE: &str = "pipelines.json";

/// The same once more: a worn card loses a block now and then, and without this file a device that has
/// no network would not know what it may serve.
pub(in crate::engine) const COPY: &str = "pipelines.copy.json";

/// The form of the file. A later one is not guessed at.
const VERSION: u32 = 1;

/// The largest state that is read, in bytes: it has one URL for each pipeline, of some 5 KB at most.
const BYTES_MAX: u64 = 64 << 10;

/// The longest reason that is kept, in characters: it is for a person's one look.
const WHY_CHARS_MAX: usize = 500;

/// This engine. Another version may load what this one does not.
pub(super) const ENGINE: &str = env!("CARGO_PKG_VERSION");

/// A pipeline that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct Kept {
    /// Of its manifest.
    pub(in crate::engine) digest: Digest,
    /// The `PIPELINE_URL` that led to it.
    pub(in crate::engine) url: String,
    /// When it first answered, RFC 3339, by the device's clock.
    pub(in crate::engine) since: String,
}

/// A pipeline that does not load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::engine) struct Refused {
    /// Of its manifest.
    pub(in crate::engine) digest: Digest,
    /// The version of the engine that could not load it.
    pub(in crate::engine) engine: String,
    /// What was wrong.
    pub(in crate::engine) why: String,
}

/// A pipeline that is being loaded for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trying {
    pub(super) digest: Digest,
    /// How often that was begun.
    pub(super) times: u32,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    version: u32,
    pub(super) current: Option<Kept>,
    pub(super) previous: Option<Kept>,
    pub(super) refused: Option<Refused>,
    pub(super) trying: Option<Trying>,
    /// Where pipelines are asked for, if not at `PIPELINE_URL`.
    #[serde(default)]
    pub(super) followed: Option<Followed>,
    #[serde(default)]
    pub(super) assigned: Option<Assigned>,
}

impl Default for State {
    fn default() -> State {
        State {
            version: VERSION,
            current: None,
            previous: None,
            refused: None,
            trying: None,
            followed: None,
            assigned: None,
        }
    }
}

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateError {
    #[error("the state cannot be read")]
    Disk(#[from] disk::Error),
    #[error("{FILE} is damaged")]
    Malformed(#[source] serde_json::Error),
    #[error("{FILE} is of form {0}, and this engine reads form {VERSION}")]
    Version(u32),
}

impl State {
    /// Reads the file, or its copy where the file is of no use; the empty state where there is none.
    pub(super) fn read(directory: &Path) -> Result<State, StateError> {
        match State::read_file(&directory.join(FILE)) {
            Ok(Some(state)) => Ok(state),
            Ok(None) => Ok(State::read_file(&directory.join(COPY))?.unwrap_or_default()),
            Err(error) => match State::read_file(&directory.join(COPY)) {
                Ok(Some(state)) => Ok(state),
                Ok(None) | Err(_) => Err(error),
            },
        }
    }

    fn read_file(path: &Path) -> Result<Option<State>, StateError> {
        let Some(bytes) = disk::read_whole(path, BYTES_MAX)? else { return Ok(None) };
        #[derive(Deserialize)]
        struct Form {
            version: u32,
        }
        let form: Form = serde_json::from_slice(&bytes).map_err(StateError::Malformed)?;
        if form.version != VERSION {
            return Err(StateError::Version(form.version));
        }
        serde_json::from_slice(&bytes).map(Some).map_err(StateError::Malformed)
    }

    pub(super) fn write(&self, directory: &Path) -> Result<(), disk::Error> {
        #[expect(clippy::expect_used, reason = "structs of text and numbers have a JSON form")]
        let bytes = serde_json::to_vec_pretty(self).expect("a state has a JSON form");
        // The file counts, so it comes last: a copy alone that is newer changes nothing.
        disk::write_durably(&directory.join(COPY), &bytes)?;
        disk::write_durably(&directory.join(FILE), &bytes)
    }

    /// `kept` answers now. What was known against others is over: the world has moved on.
    pub(super) fn adopt(&mut self, kept: Kept) {
        self.refused = None;
        self.trying = None;
        let is_same = |it: &Kept| it.digest == kept.digest && it.url == kept.url;
        if self.current.as_ref().is_some_and(is_same) {
            return;
        }
        let replaced = self.current.replace(kept);
        // The same artifact under another URL is not worth the place of the one before it.
        let digest = self.current.as_ref().map(|it| it.digest);
        if replaced.as_ref().is_some_and(|it| Some(it.digest) != digest) {
            self.previous = replaced;
        }
    }

    pub(super) fn refuse(&mut self, digest: Digest, why: &str) {
        let why = why.chars().take(WHY_CHARS_MAX).collect();
        self.refused = Some(Refused { digest, engine: ENGINE.to_owned(), why });
        self.trying = None;
    }

    pub(super) fn try_out(&mut self, digest: Digest) {
        let times = self.trying.as_ref().filter(|it| it.digest == digest).map_or(0, |it| it.times);
        self.trying = Some(Trying { digest, times: times.saturating_add(1) });
    }

    pub(super) fn pardon(&mut self) {
        self.refused = None;
        self.trying = None;
    }

    pub(super) fn forget_previous(&mut self) {
        self.previous = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn kept(text: &str, url: &str) -> Kept {
        Kept { digest: Digest::of(text.as_bytes()), url: url.to_owned(), since: "then".to_owned() }
    }

    #[test]
    fn the_file_gives_back_what_was_written() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(State::read(directory.path()).unwrap(), State::default());
        let mut state = State::default();
        state.adopt(kept("one", "u"));
        state.try_out(Digest::of(b"two"));
        state.refuse(Digest::of(b"two"), &"long ".repeat(1000));
        state.write(directory.path()).unwrap();
        assert_eq!(State::read(directory.path()).unwrap(), state);
    }

    #[test]
    fn a_file_that_is_damaged_or_of_a_later_form_is_told_so() {
        let directory = tempfile::tempdir().unwrap();
        for (text, told) in [
            (r#"{"version":2,"pipelines":[]}"#, "form 2"),
            (r#"{"version":1,"current":{"digest":"sha256:0"}}"#, "damaged"),
            ("{", "damaged"),
        ] {
            fs::write(directory.path().join(FILE), text).unwrap();
            let error = State::read(directory.path()).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_damaged_has_a_copy() {
        let directory = tempfile::tempdir().unwrap();
        let mut state = State::default();
        state.adopt(kept("one", "u"));
        state.write(directory.path()).unwrap();
        fs::write(directory.path().join(FILE), "{").unwrap();
        assert_eq!(State::read(directory.path()).unwrap(), state);
        fs::write(directory.path().join(COPY), "{").unwrap();
        State::read(directory.path()).unwrap_err();
    }

    #[test]
    fn the_pipeline_before_the_current_one_is_the_previous() {
        let mut state = State::default();
        state.adopt(kept("one", "u"));
        state.adopt(kept("two", "u"));
        state.adopt(kept("two", "u"));
        assert_eq!(state.previous, Some(kept("one", "u")));
        state.adopt(kept("two", "v"));
        assert_eq!(state.current, Some(kept("two", "v")));
        assert_eq!(state.previous, Some(kept("one", "u")));
        state.adopt(kept("one", "u"));
        assert_eq!(state.previous, Some(kept("two", "v")));
    }

    #[test]
    fn tries_are_counted_for_one_pipeline_and_end_when_one_answers() {
        let mut state = State::default();
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        for (digest, times) in [(one, 1), (one, 2), (two, 1)] {
            state.try_out(digest);
            assert_eq!(state.trying, Some(Trying { digest, times }));
        }
        state.adopt(kept("two", "u"));
        assert_eq!(state.trying, None);
    }
}
