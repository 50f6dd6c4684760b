//! `login`, `logout` and `token`: who one is to an ops center, and the tokens that programs show.

use super::center::{CenterArguments, rows};
use super::keep::Kept;
use super::password::{password, password_of};
use super::pipeline::unread;
use super::table::table;
use super::told;
use crate::exit::{Exit, Failure};
use crate::registry::Secret;
use clap::{Args, Subcommand};
use serde_json::json;
use std::io::IsTerminal;
use std::path::PathBuf;

/// Where the ops center takes passwords, as the original has it.
const TOKEN_PATH: &str = "/auth/realms/master/protocol/openid-connect/token";

/// How long a kept login holds.
const LOGIN_DAYS: u32 = 90;

#[derive(Args)]
pub(super) struct LoginCommand {
    /// Who you are there.
    email: String,
    /// Read the password from this file; it is read from standard input otherwise.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl LoginCommand {
    /// Gets a token by the password, and keeps it.
    pub(super) fn run(self, center: &CenterArguments) -> Result<String, Failure> {
        let stranger = center.stranger()?;
        let password = match &self.password_file {
            Some(path) => password_of(path)?,
            None if std::io::stdin().is_terminal() => {
                return Err(Failure::new(Exit::Usage, "a password typed here would be seen")
                    .hint("use --password-file, or send it: `potoroo-ops login EMAIL <FILE`"));
            }
            None => password(std::io::stdin().lock())?,
        };
        let fields = [
            ("grant_type", "password"),
            ("client_id", "potoroo-ops"),
            ("username", self.email.as_str()),
            ("password", password.as_str()),
        ];
        let answer = stranger.form(TOKEN_PATH, &fields)?;
        let bearer = answer["access_token"].as_str().ok_or_else(|| unread("access_token"))?;
        let client = center.with_token(Secret::new(bearer.to_owned()))?;
        let body = json!({ "name": "potoroo-ops login", "expires_in_days": LOGIN_DAYS });
        let made = client.post("tokens/create", &body)?;
        let token = made["token"].as_str().ok_or_else(|| unread("token"))?;
        let path = Kept::write(client.base(), &Secret::new(token.to_owned()))?;
        Ok(format!(
            "{} is signed in at {}; {} keeps the token for {LOGIN_DAYS} days\n",
            self.email,
            client.base(),
            path.display()
        ))
    }
}

/// Forgets the kept token; it holds on until it is revoked or ends.
pub(super) fn logout() -> String {
    match Kept::forget() {
        true => "the token is forgotten here; `potoroo-ops token revoke ID` ends it everywhere\n"
            .to_owned(),
        false => "no token was kept\n".to_owned(),
    }
}

#[derive(Subcommand)]
pub(super) enum TokenVerb {
    /// Make a token for a program; it is shown only now.
    Create {
        /// What it is for.
        name: String,
        /// After how many days it ends.
        #[arg(long, default_value_t = 90, value_name = "DAYS")]
        days: u32,
    },
    /// List your tokens.
    List,
    /// Take a token back.
    Revoke {
        /// Its number.
        id: i64,
    },
}

impl TokenVerb {
    pub(super) fn run(self, center: &CenterArguments) -> Result<String, Failure> {
        let client = center.client()?;
        match self {
            TokenVerb::Create { name, days } => {
                let body = json!({ "name": name, "expires_in_days": days });
                let answer = client.post("tokens/create", &body)?;
                Ok(told(center, &answer, || {
                    format!("{}\n", answer["token"].as_str().unwrap_or_default())
                }))
            }
            TokenVerb::List => {
                let answer = client.post("tokens/list", &json!({}))?;
                Ok(told(center, &answer, || {
                    let columns = [
                        ("ID", "id"),
                        ("NAME", "name"),
                        ("CREATED", "created_at"),
                        ("EXPIRES", "expires_at"),
                        ("USED", "last_used_at"),
                    ];
                    table(&columns, rows(&answer, "tokens"), "no tokens")
                }))
            }
            TokenVerb::Revoke { id } => {
                let answer = client.post("tokens/revoke", &json!({ "id": id }))?;
                Ok(told(center, &answer, || format!("token {id} is revoked\n")))
            }
        }
    }
}
