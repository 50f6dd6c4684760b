//! Which ops center is asked, as whom, and in which form it is told: the arguments of its commands.

use super::keep::Kept;
use super::password::password_of;
use crate::exit::{Exit, Failure};
use crate::ops::client::OpsClient;
use crate::registry::Secret;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Where an ops center on this machine is found.
const URL_DEFAULT: &str = "http://localhost:8090";

/// The variable with a token.
const TOKEN: &str = "POTOROO_OPS_TOKEN";

#[derive(Args)]
pub(super) struct CenterArguments {
    /// The ops center, `https://ops.example.com`; where `login` went, or this machine.
    #[arg(long, global = true, env = "POTOROO_OPS_URL")]
    url: Option<String>,
    /// Read the token from this file; `POTOROO_OPS_TOKEN` holds it otherwise, or `login` keeps it.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Send the token without TLS to another machine.
    #[arg(long, global = true)]
    ops_plain_http: bool,
    /// Print JSON instead of a table.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl CenterArguments {
    /// The ops center, with the token for it.
    pub(super) fn client(&self) -> Result<OpsClient, Failure> {
        let kept = Kept::read()?;
        let url = self.url(kept.as_ref());
        let token = match &self.token_file {
            Some(path) => Some(password_of(path)?),
            None => std::env::var(TOKEN).ok().filter(|token| !token.is_empty()),
        };
        // What was kept is for where it was got.
        let token = token.map(Secret::new).or_else(|| kept?.token_for(&url));
        OpsClient::new(&url, token, self.ops_plain_http)
    }

    /// The ops center without any token: to get one.
    pub(super) fn stranger(&self) -> Result<OpsClient, Failure> {
        OpsClient::new(&self.url(None), None, self.ops_plain_http)
    }

    /// The ops center with this token.
    pub(super) fn with_token(&self, token: Secret) -> Result<OpsClient, Failure> {
        OpsClient::new(&self.url(None), Some(token), self.ops_plain_http)
    }

    fn url(&self, kept: Option<&Kept>) -> String {
        let named = self.url.clone().filter(|url| !url.is_empty());
        named
            .or_else(|| kept.map(|kept| kept.url.clone()))
            .unwrap_or_else(|| URL_DEFAULT.to_owned())
    }
}

#[derive(Args)]
pub(super) struct WorkspaceArgument {
    /// The workspace, by name or number; the first that you see otherwise.
    #[arg(long, env = "POTOROO_OPS_WORKSPACE")]
    workspace: Option<String>,
}

impl WorkspaceArgument {
    /// Its number.
    pub(super) fn id(&self, client: &OpsClient) -> Result<i64, Failure> {
        let answer = client.post("workspaces/list", &json!({}))?;
        let known = rows(&answer, "workspaces");
        let id = |found: &Value| found["id"].as_i64();
        let found = match &self.workspace {
            None => known.iter().filter_map(id).min(),
            Some(wanted) => {
                let is_it = |it: &&Value| {
                    it["name"].as_str() == Some(wanted)
                        || wanted.parse().is_ok_and(|number: i64| it["id"].as_i64() == Some(number))
                };
                known.iter().find(is_it).and_then(id)
            }
        };
        found.ok_or_else(|| {
            let sentence = match &self.workspace {
                None => "you are in no workspace".to_owned(),
                Some(wanted) => {
                    format!("there is no workspace `{wanted}`, or you are no member of it")
                }
            };
            Failure::new(Exit::NotFound, sentence)
                .hint("`potoroo-ops workspace list` shows yours, `workspace create NAME` makes one")
        })
    }
}

/// The list under a key of an answer; nothing where there is none.
pub(super) fn rows<'a>(answer: &'a Value, key: &str) -> &'a [Value] {
    answer[key].as_array().map_or(&[], Vec::as_slice)
}
