//! What a member of a workspace may do there: look, publish, or decide.

/// From the least to the most: each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::ops) enum Role {
    /// Sees models, pipelines, publishes, edges and logs.
    Viewer,
    /// Uploads, saves, publishes, adds and removes edges.
    Publisher,
    /// Says who else is a member.
    Admin,
}

/// Each role with its name in records and in answers.
const NAMES: [(Role, &str); 3] =
    [(Role::Viewer, "viewer"), (Role::Publisher, "publisher"), (Role::Admin, "admin")];

impl Role {
    /// The role of that name.
    pub(in crate::ops) fn of(name: &str) -> Option<Role> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(role, _)| *role)
    }

    /// Its name.
    pub(in crate::ops) fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Publisher => "publisher",
            Role::Admin => "admin",
        }
    }
}
