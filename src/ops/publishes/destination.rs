//! Where publishes go: the external registry of the settings, or the built-in one, workspace by workspace.

use crate::oci::{Reference, ReferenceError, RegistryHost, Repository};
use crate::ops::center::Center;

/// The folders of a repository's name, before the pipeline's.
pub(in crate::ops) const FOLDERS: [&str; 2] = ["pipelines", "charts"];

/// What the names of repositories in the built-in registry begin with, before the workspace's number.
const WORKSPACE: &str = "workspace-";

/// A registry, and the path before `pipelines/` and `charts/` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Destination {
    /// The registry.
    pub host: RegistryHost,
    /// The path, often empty.
    pub prefix: String,
}

impl Destination {
    /// Where what is published in a workspace goes.
    pub(in crate::ops) fn of(center: &Center, workspace: i64) -> Destination {
        match &center.settings.registry {
            Some(external) => Destination {
                host: external.host.clone(),
                prefix: external.prefix.trim_matches('/').to_owned(),
            },
            // Two workspaces may have pipelines of one name, and neither may pull the other's.
            None => Destination {
                host: center.address.host.clone(),
                prefix: format!("{WORKSPACE}{workspace}"),
            },
        }
    }

    /// `{host}/{prefix}/pipelines/{name}:{version}`
    pub(in crate::ops) fn pipeline(
        &self,
        name: &str,
        version: &str,
    ) -> Result<Reference, ReferenceError> {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("{}/{}{slash}{}/{name}:{version}", self.host, self.prefix, FOLDERS[0]).parse()
    }

    /// The engine image of the settings, or that of this version: beside the pipelines in an external
    /// registry, and on the machine itself otherwise, since the built-in registry carries no images.
    pub(in crate::ops) fn engine(&self, center: &Center) -> Result<Reference, ReferenceError> {
        let version = env!("CARGO_PKG_VERSION");
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        match (&center.settings.engine_url, &center.settings.registry) {
            (Some(url), _) => url.parse(),
            (None, Some(_)) => {
                let Destination { host, prefix } = self;
                format!("{host}/{prefix}{slash}engines/potoroo-engine:v{version}").parse()
            }
            (None, None) => format!("localhost/potoroo-engine:v{version}").parse(),
        }
    }
}

/// The workspace and pipeline that a repository of the built-in registry belongs to.
pub(in crate::ops) fn built_in(repository: &Repository) -> Option<(i64, &str)> {
    let mut parts = repository.as_str().split('/');
    let workspace = parts.next()?.strip_prefix(WORKSPACE)?.parse().ok()?;
    let folder = parts.next()?;
    let name = parts.next().filter(|_| FOLDERS.contains(&folder))?;
    parts.next().is_none().then_some((workspace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_of_the_built_in_registry_tells_its_workspace_and_pipeline() {
        for (repository, owner) in [
            ("workspace-5/pipelines/fraud", Some((5, "fraud"))),
            ("workspace-5/charts/fraud", Some((5, "fraud"))),
            ("workspace-5/engines/fraud", None),
            ("workspace-5/pipelines/fraud/more", None),
            ("workspace-x/pipelines/fraud", None),
            ("pipelines/fraud", None),
        ] {
            assert_eq!(built_in(&repository.parse().unwrap()), owner, "{repository}");
        }
    }
}
