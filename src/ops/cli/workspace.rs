//! `workspace`: the workspaces that one sees, and who is in them.

use super::center::{CenterArguments, WorkspaceArgument, rows};
use super::table::table;
use super::told;
use crate::exit::Failure;
use clap::{Subcommand, ValueEnum};
use serde_json::json;

#[derive(Subcommand)]
pub(super) enum WorkspaceVerb {
    /// List the workspaces that you see.
    List,
    /// Make a workspace, with you as its administrator.
    Create {
        /// Its name, the only one of that name.
        name: String,
    },
    /// List the members of a workspace.
    Users {
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// Make somebody a member.
    AddUser {
        /// Whom, by email.
        email: String,
        /// What they may do.
        #[arg(long, value_enum, default_value = "publisher")]
        role: RoleArgument,
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
    /// Take a member out.
    RemoveUser {
        /// Whom, by email.
        email: String,
        #[command(flatten)]
        workspace: WorkspaceArgument,
    },
}

/// What a member may do.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum RoleArgument {
    /// Look.
    Viewer,
    /// Upload, save, publish, add and remove edges.
    Publisher,
    /// That, and decide about members.
    Admin,
}

impl RoleArgument {
    /// The word for it in the API, which is the original's where that has one.
    fn user_type(self) -> &'static str {
        match self {
            RoleArgument::Viewer => "VIEWER",
            RoleArgument::Publisher => "COLLABORATOR",
            RoleArgument::Admin => "OWNER",
        }
    }
}

impl WorkspaceVerb {
    pub(super) fn run(self, center: &CenterArguments) -> Result<String, Failure> {
        let client = center.client()?;
        match self {
            WorkspaceVerb::List => {
                let answer = client.post("workspaces/list", &json!({}))?;
                Ok(told(center, &answer, || {
                    let columns = [
                        ("ID", "id"),
                        ("NAME", "name"),
                        ("CREATED", "created_at"),
                        ("MODELS", "models"),
                        ("PIPELINES", "pipelines"),
                    ];
                    table(
                        &columns,
                        rows(&answer, "workspaces"),
                        "no workspaces: `potoroo-ops workspace create NAME`",
                    )
                }))
            }
            WorkspaceVerb::Create { name } => {
                let answer =
                    client.post("workspaces/create", &json!({ "workspace_name": name }))?;
                Ok(told(center, &answer, || format!("workspace {}\n", answer["workspace_id"])))
            }
            WorkspaceVerb::Users { workspace } => {
                let id = workspace.id(&client)?;
                let answer =
                    client.post("workspaces/list_users", &json!({ "workspace_id": id }))?;
                Ok(told(center, &answer, || {
                    let columns = [("USER", "user_id"), ("EMAIL", "email"), ("ROLE", "user_type")];
                    table(&columns, rows(&answer, "users"), "no members")
                }))
            }
            WorkspaceVerb::AddUser { email, role, workspace } => {
                let id = workspace.id(&client)?;
                let body =
                    json!({ "workspace_id": id, "email": email, "user_type": role.user_type() });
                let answer = client.post("workspaces/add_user", &body)?;
                Ok(told(center, &answer, || format!("{email} is in workspace {id}\n")))
            }
            WorkspaceVerb::RemoveUser { email, workspace } => {
                let id = workspace.id(&client)?;
                let body = json!({ "workspace_id": id, "email": email });
                let answer = client.post("workspaces/remove_user", &body)?;
                Ok(told(center, &answer, || format!("{email} is no longer in workspace {id}\n")))
            }
        }
    }
}
