//! What must hold before a pipeline runs on this device: signatures, known answers, and room for its models.

use super::{Environment, Fitting, Proving};
use crate::registry::signature::Keyring;
use std::path::Path;

/// What is asked of a pipeline before it runs.
#[derive(Debug)]
pub enum Trust {
    /// Nothing.
    Off,
    /// A signature by one of these keys.
    Keys {
        /// What its lack leads to.
        policy: Policy,
        /// The keys.
        keys: Keyring,
    },
}

/// What the lack of a signature leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The pipeline runs, and the log says so.
    Warn,
    /// The pipeline does not run.
    Require,
}

impl Environment {
    /// `warn` where nothing is said: a device that computes something else is better known of.
    pub(super) fn proving(&mut self) -> Proving {
        let asked = self.text("POTOROO_KNOWN_ANSWERS").map(str::to_ascii_lowercase);
        match asked.as_deref() {
            None | Some("warn") => Proving::Warn,
            Some("off") => Proving::Off,
            Some("require") => Proving::Require,
            Some(_) => {
                let name = "POTOROO_KNOWN_ANSWERS";
                self.problems.push(super::malformed(name, "`off`, `warn` or `require`"));
                Proving::Warn
            }
        }
    }

    /// `warn` where nothing is said: what is expected is an estimate, and may be wrong.
    pub(super) fn fitting(&mut self) -> Fitting {
        let asked = self.text("POTOROO_MEMORY").map(str::to_ascii_lowercase);
        match asked.as_deref() {
            None | Some("warn") => Fitting::Warn,
            Some("off") => Fitting::Off,
            Some("require") => Fitting::Require,
            Some(_) => {
                let name = "POTOROO_MEMORY";
                self.problems.push(super::malformed(name, "`off`, `warn` or `require`"));
                Fitting::Warn
            }
        }
    }

    /// A key alone means that it is to be used: who sets one up expects it to be asked for.
    pub(super) fn trust(&mut self) -> Trust {
        let key = self.text("POTOROO_SIGNATURE_KEY").map(str::to_owned);
        let asked = self.text("POTOROO_SIGNATURES").map(str::to_ascii_lowercase);
        let policy = match (asked.as_deref(), &key) {
            (None, None) | (Some("off"), _) => return Trust::Off,
            (None | Some("require"), _) => Policy::Require,
            (Some("warn"), _) => Policy::Warn,
            (Some(_), _) => {
                let problem = super::malformed("POTOROO_SIGNATURES", "`off`, `warn` or `require`");
                self.problems.push(problem);
                return Trust::Off;
            }
        };
        let Some(path) = key else {
            self.problems.push(
                "POTOROO_SIGNATURE_KEY is not set, but POTOROO_SIGNATURES is: name the file of \
                 the public key, or set it to `off`"
                    .to_owned(),
            );
            return Trust::Off;
        };
        match Keyring::read(Path::new(&path)) {
            Ok(keys) => Trust::Keys { policy, keys },
            Err(error) => {
                let why = crate::exit::chain(&error);
                self.problems.push(format!("POTOROO_SIGNATURE_KEY cannot be used: {why}"));
                Trust::Off
            }
        }
    }
}
