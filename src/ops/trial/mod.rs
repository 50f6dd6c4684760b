//! Trials: a stranger's model, or the steps of a pipeline, loaded and run in a process of their own.
//!
//! ```text
//! center ──order, one line of JSON──▶ `potoroo-ops trial` ──verdict, JSON──▶ center
//!    └─ watches its memory and its time, and ends it
//! ```
//! The loader contains panics and gives up what is late, but it can neither take back the memory that
//! a model makes it ask for, nor stop a thread, nor outlive an overflow of its stack. A process can be
//! ended, and the kernel, short of memory, ends it before the center.

mod facts;
mod inside;
mod process;

pub(in crate::ops) use facts::{Extent, Facts, PortFact};
pub(in crate::ops) use inside::answer;
pub(in crate::ops) use process::{Bounds, TrialError, hold};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is to be tried.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::ops) enum Order {
    /// A model alone.
    Model {
        /// Its file.
        file: PathBuf,
        /// The files beside it, by the locations that it names.
        beside: BTreeMap<String, PathBuf>,
    },
    /// The steps of a pipeline, and its known answers.
    Pipeline {
        /// The config blob, as far as it is known.
        config: String,
        /// Each model's file by its sha256, as 64 hexadecimal digits.
        files: BTreeMap<String, PathBuf>,
        /// The files beside the one of a model version, by its UUID and the locations that it names.
        beside: BTreeMap<String, BTreeMap<String, PathBuf>>,
    },
}

/// How it went.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::ops) enum Verdict {
    /// What is to be known of a model, whether or not it loads.
    Model(Facts),
    /// The config blob with all that the steps tell: inputs, outputs, known answers.
    Pipeline {
        /// JSON.
        config: String,
    },
    /// Why a pipeline is none that runs.
    Unfit {
        /// What is wrong, and where.
        sentence: String,
        /// What to do.
        hint: Option<String>,
    },
}
