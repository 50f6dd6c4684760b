//! The journal: whether one is kept, how large it is, and whether it can be read.

use super::finding::Finding;
use super::{Found, size};
use crate::disk;
use crate::engine::config::Settings;
use crate::engine::journal::{DIRECTORY, look};
use std::path::Path;

/// Examines the journal in the persistent directory.
pub(super) fn examine(directory: &Path, settings: Option<&Settings>, found: Found<'_>) {
    let looked = match look(&directory.join(DIRECTORY)) {
        Ok(looked) => looked,
        Err(error) => {
            return found(Finding::warn(
                "journal",
                crate::exit::chain(&error),
                "let this user read the directory, or name another in POTOROO_PERSIST",
            ));
        }
    };
    let survey = looked.as_ref().map(|(_, reading)| reading.survey());
    match (settings, survey) {
        (None, None) => {}
        (Some(settings), None) => {
            let cap = size(settings.cap_bytes);
            let finding = format!("inferences will be kept, up to {cap}");
            found(Finding::ok("journal", finding));
        }
        (settings, Some(survey)) => {
            let (rows, bytes) = (survey.rows, size(survey.bytes));
            let kept = match settings {
                Some(settings) => format!("of {}", size(settings.cap_bytes)),
                None => "and no more are kept".to_owned(),
            };
            let finding = format!("{rows} rows of inferences are kept in {bytes} {kept}");
            found(match survey.damaged_bytes {
                0 => Finding::ok("journal", finding),
                damaged => Finding::warn(
                    "journal",
                    format!("{finding}; {} of them cannot be read", size(damaged)),
                    "the rest is read and sent all the same; a medium that damages files should be \
                     changed",
                ),
            });
        }
    }
    let Some(settings) = settings else { return };
    if let Ok(free) = disk::free_bytes(directory)
        && free < settings.cap_bytes
    {
        found(Finding::warn(
            "journal",
            format!("{} are free, and the log may take {}", size(free), size(settings.cap_bytes)),
            "lower LOCAL_INFERENCE_STORAGE, or make room: what finds none is lost, and counted",
        ));
    }
}
