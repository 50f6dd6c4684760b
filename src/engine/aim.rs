//! The aim: where a pipeline is asked for, by the settings or by the ops center, and who logs in there.

use super::config::Config;
use crate::exit::{self, Exit, Failure};
use crate::oci::{ReferenceError, Source};
use crate::registry::Credentials;

/// Where a pipeline is asked for.
#[derive(Debug, Clone)]
pub(super) struct Aim {
    pub(super) source: Source,
    /// As it was written, for the start-up lines.
    pub(super) url: String,
    /// Who logs in; nobody for an anonymous pull.
    pub(super) credentials: Option<Credentials>,
}

impl Aim {
    /// What `PIPELINE_URL` says.
    pub(super) fn of_settings(config: &Config) -> Aim {
        Aim {
            source: config.source.clone(),
            url: config.pipeline_url.clone(),
            credentials: config.credentials.clone(),
        }
    }

    /// What the ops center says. The login of the settings goes to no other registry than theirs.
    ///
    /// # Errors
    /// For a text that names no artifact of a registry: nobody from outside names files here.
    pub(super) fn assigned(config: &Config, url: &str) -> Result<Aim, Failure> {
        let refused = |why: String| {
            let sentence = format!("the ops center names no published pipeline: {why}");
            Failure::new(Exit::Usage, sentence).hint("assign a publish whose pipeline_url is one")
        };
        let source: Source =
            url.parse().map_err(|error: ReferenceError| refused(exit::chain(&error)))?;
        let Source::Registry(asked) = &source else {
            return Err(refused("a layout is on the device and not the ops center's".to_owned()));
        };
        let is_theirs = match &config.source {
            Source::Registry(own) => own.registry == asked.registry,
            Source::Layout { .. } => false,
        };
        let credentials = config.credentials.clone().filter(|_| is_theirs);
        Ok(Aim { url: url.to_owned(), source, credentials })
    }
}
