//! `user`: who may sign in to an ops center.

use super::center::CenterArguments;
use super::table::table;
use super::told;
use crate::exit::Failure;
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Subcommand)]
pub(super) enum UserVerb {
    /// List the users.
    List,
    /// Show who you are there.
    Me,
    /// Let somebody in, with a password that is shown only now.
    Invite {
        /// Whom, by email.
        email: String,
    },
    /// Let somebody in again.
    Activate {
        /// Whom, by email.
        email: String,
    },
    /// Let somebody in no more: sessions and tokens end.
    Deactivate {
        /// Whom, by email.
        email: String,
    },
}

impl UserVerb {
    pub(super) fn run(self, center: &CenterArguments) -> Result<String, Failure> {
        let client = center.client()?;
        match self {
            UserVerb::List => {
                let answer = client.post("users/query", &json!({}))?;
                Ok(told(center, &answer, || {
                    let users = answer["users"].as_object();
                    let users: Vec<Value> =
                        users.into_iter().flat_map(|it| it.values().cloned()).collect();
                    let columns = [("EMAIL", "email"), ("ENABLED", "enabled"), ("ID", "id")];
                    table(&columns, &users, "no users")
                }))
            }
            UserVerb::Me => {
                let answer = client.get("users/me")?;
                Ok(told(center, &answer, || {
                    let email = answer["email"].as_str().unwrap_or_default();
                    let what = if answer["is_admin"] == true { ", an administrator" } else { "" };
                    format!("{email}{what}, at {}\n", client.base())
                }))
            }
            UserVerb::Invite { email } => {
                let answer = client.post("users/invite", &json!({ "email": email }))?;
                Ok(told(center, &answer, || {
                    format!("{email}\npassword: {}\n", answer["password"].as_str().unwrap_or("-"))
                }))
            }
            UserVerb::Activate { email } => {
                let answer = client.post("users/activate", &json!({ "email": email }))?;
                Ok(told(center, &answer, || format!("{email} may sign in\n")))
            }
            UserVerb::Deactivate { email } => {
                let answer = client.post("users/deactivate", &json!({ "email": email }))?;
                Ok(told(center, &answer, || format!("{email} may no longer sign in\n")))
            }
        }
    }
}
