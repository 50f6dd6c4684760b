//! What an upload is to become, checked before its bytes are taken, and why it does not.

use super::MODEL_BYTES_MAX;
use crate::disk;
use crate::ops::name::{NAME_CHARS_MAX, is_name};
use crate::registry;

/// Characters of a file's name, which is shown and never opened: as many bytes as file systems take.
const FILE_NAME_CHARS_MAX: usize = 255;

/// Bytes of the location of a file beside a model, as many as the runtime reads.
const LOCATION_BYTES_MAX: usize = 1 << 10;

/// What people may set; whoever is no member of a workspace sees neither.
const VISIBILITIES: [&str; 2] = ["private", "public"];

/// The frameworks by whose names the original is told that a file is ONNX.
const FRAMEWORKS: [&str; 1] = ["onnx"];

/// What an upload is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Wanted {
    /// Where.
    pub workspace: i64,
    /// The model's name.
    pub name: String,
    /// What the file is called where it comes from.
    pub file_name: String,
    /// `private` or `public`.
    pub visibility: String,
}

impl Wanted {
    /// Checks what is asked for.
    ///
    /// # Errors
    /// What of it cannot be.
    pub(in crate::ops) fn checked(
        workspace: i64,
        name: &str,
        file_name: Option<&str>,
        visibility: Option<&str>,
    ) -> Result<Wanted, UploadError> {
        if !is_name(name) {
            return Err(UploadError::Name(name.chars().take(NAME_CHARS_MAX).collect()));
        }
        let file_name = match file_name {
            None | Some("") => format!("{name}.onnx"),
            Some(text) => text.to_owned(),
        };
        let chars = file_name.chars().count();
        if chars > FILE_NAME_CHARS_MAX || file_name.chars().any(char::is_control) {
            return Err(UploadError::FileName);
        }
        let visibility = visibility.unwrap_or(VISIBILITIES[0]);
        if !VISIBILITIES.contains(&visibility) {
            return Err(UploadError::Visibility);
        }
        let (name, visibility) = (name.to_owned(), visibility.to_owned());
        Ok(Wanted { workspace, name, file_name, visibility })
    }

    /// Checks the location of a file beside a model: a text that the model has for it, never a path
    /// of ours.
    ///
    /// # Errors
    /// When it is none that a model can have.
    pub(in crate::ops) fn location(text: Option<&str>) -> Result<String, UploadError> {
        let text = text.unwrap_or_default();
        let is_one = (1..=LOCATION_BYTES_MAX).contains(&text.len())
            && !text.chars().any(char::is_control)
            && text.split('/').all(|part| !["", ".", ".."].contains(&part));
        if is_one { Ok(text.to_owned()) } else { Err(UploadError::Location) }
    }

    /// Whether a file of that framework is taken; one that tells none is taken for ONNX.
    pub(in crate::ops) fn framework(framework: Option<&str>) -> Result<(), UploadError> {
        match framework {
            None => Ok(()),
            Some(known) if FRAMEWORKS.contains(&known.to_ascii_lowercase().as_str()) => Ok(()),
            Some(other) => Err(UploadError::Framework(other.chars().take(64).collect())),
        }
    }
}

/// Why an upload becomes no model version.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum UploadError {
    #[error(
        "`{0}` cannot be the name of a model: use at most {NAME_CHARS_MAX} of a-z, 0-9 and -, with a \
         letter or digit at both ends"
    )]
    Name(String),
    #[error("filename must have at most {FILE_NAME_CHARS_MAX} characters in one line")]
    FileName,
    #[error("visibility must be `private` or `public`")]
    Visibility,
    #[error(
        "the framework `{0}` is not run by this engine: convert the model to ONNX, and upload it with the framework `onnx`"
    )]
    Framework(String),
    #[error(
        "a file beside a model must be named by the location that the model has for it: a relative path \
         with slashes, without `.` and `..`, of at most {LOCATION_BYTES_MAX} bytes"
    )]
    Location,
    #[error("two files beside the model have the location `{0}`: send each once")]
    LocationTwice(String),
    #[error(
        "the model has more than the {} files beside it that are allowed: save it with larger ones",
        crate::runtime::SIDE_FILES_MAX
    )]
    SideFiles,
    #[error(
        "files beside this model are still being uploaded: finish those uploads first, or take them away"
    )]
    BesideUnfinished,
    #[error("the file is empty: send the bytes of an ONNX file")]
    Empty,
    #[error(
        "the file has more than {MODEL_BYTES_MAX} bytes, the most that an ONNX file can have: give a smaller one"
    )]
    TooLarge,
    #[error(
        "the disk of the ops center has {free} bytes free, and this needs {needed}: nothing was kept; \
         make room and upload it again"
    )]
    NoRoom { free: u64, needed: u64 },
    #[error("the disk of the ops center is full: nothing was kept; make room and upload it again")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the file could not be received")]
    Read(#[source] std::io::Error),
    #[error("the ops center cannot keep the file: its log says why")]
    Disk(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("another request writes to this upload: wait for its end, and ask how far it is")]
    Busy,
    #[error(
        "Content-Range must be `bytes FIRST-LAST/TOTAL` with the length of the body; this is `{0}`"
    )]
    Range(String),
    #[error(
        "the upload has {expected} bytes so far, and this part begins at {found}: ask how far it is, and go on from there"
    )]
    Gap { expected: u64, found: u64 },
    #[error(
        "the upload has {expected} bytes in all, and this part says {found}: begin another upload if the file has changed"
    )]
    Total { expected: u64, found: u64 },
    #[error("the part has {found} bytes, and its Content-Range says {expected}: send it again")]
    Length { expected: u64, found: u64 },
    #[error("the upload has {found} of {expected} bytes: send the rest first")]
    Unfinished { expected: u64, found: u64 },
    #[error("the upload is finished: begin another one")]
    Finished,
    #[error(
        "the bytes have the sha256 {found}, and not {expected}: this upload is gone, begin another one"
    )]
    Digest { expected: String, found: String },
    #[error("sha256 must be 64 hexadecimal digits in lower case")]
    Sha,
}

impl UploadError {
    /// An error of writing: full, or something else.
    pub(super) fn write(error: std::io::Error) -> UploadError {
        let full = [std::io::ErrorKind::StorageFull, std::io::ErrorKind::QuotaExceeded];
        if full.contains(&error.kind()) {
            return UploadError::Full(error.into());
        }
        UploadError::Disk(error.into())
    }
}

impl From<disk::Error> for UploadError {
    fn from(error: disk::Error) -> UploadError {
        if error.is_full() {
            UploadError::Full(error.into())
        } else {
            UploadError::Disk(error.into())
        }
    }
}

impl From<registry::Error> for UploadError {
    fn from(error: registry::Error) -> UploadError {
        if let registry::Error::Disk(error) = error {
            return error.into();
        }
        UploadError::Disk(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let long = "x".repeat(300);
        let cases = [
            (Wanted::checked(1, "Fraud", None, None), "`Fraud` cannot be the name of a model"),
            (Wanted::checked(1, "fraud", Some(&long), None), "filename"),
            (Wanted::checked(1, "fraud", Some("a\nb"), None), "filename"),
            (Wanted::checked(1, "fraud", None, Some("secret")), "visibility"),
        ];
        for location in ["", "/etc/passwd", "../w.bin", "a//b", "a/./b", "a\nb"] {
            Wanted::location(Some(location)).unwrap_err();
        }
        assert_eq!(Wanted::location(Some("parts/w.bin")).unwrap(), "parts/w.bin");
        for (found, part) in cases {
            let error = found.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        let error = Wanted::framework(Some("keras")).unwrap_err().to_string();
        assert!(error.contains("`keras`"), "{error}");
        Wanted::framework(Some("ONNX")).unwrap();
    }

    #[test]
    fn a_file_without_a_name_gets_the_models() {
        assert_eq!(Wanted::checked(1, "fraud", None, None).unwrap().file_name, "fraud.onnx");
    }
}
