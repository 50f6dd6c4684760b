//! The scope of a token: which repository, and whether to pull from it.

use crate::oci::Repository;

/// One `repository:NAME:ACTIONS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) repository: Repository,
    /// Whether pulling is among the actions; no other is ever granted.
    pub(super) pull: bool,
}

impl Scope {
    /// The scopes of one value, which blanks part; what is about no repository is left out, as the
    /// token specification has it of things that are not granted.
    pub(super) fn all(text: &str) -> impl Iterator<Item = Scope> {
        text.split_ascii_whitespace().filter_map(Scope::parse)
    }

    fn parse(text: &str) -> Option<Scope> {
        let rest = text.strip_prefix("repository:")?;
        let (name, actions) = rest.rsplit_once(':')?;
        let pull = actions.split(',').any(|action| matches!(action, "pull" | "*"));
        Some(Scope { repository: name.parse().ok()?, pull })
    }
}

#[cfg(test)]
mod tests {
    use super::Scope;

    #[test]
    fn scopes_are_read_one_by_one() {
        let text = "repository:a/b:pull,push repository:c:push registry:catalog:* \
                    repository:../d:pull repository:e repository:f:*";
        let found: Vec<_> =
            Scope::all(text).map(|it| (it.repository.to_string(), it.pull)).collect();
        let expected = [("a/b", true), ("c", false), ("f", true)];
        assert_eq!(found, expected.map(|(name, pull)| (name.to_owned(), pull)));
    }
}
