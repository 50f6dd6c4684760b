//! `keygen`, `export` and `import`: keys, and pipelines that travel as files.

use super::password::key_password;
use super::registry::{LoginArguments, is_tls};
use crate::exit::{Exit, Failure};
use crate::oci::{Reference, Source};
use crate::ops::Login;
use crate::ops::export::{Moved, export, import};
use crate::ops::keygen::keygen;
use clap::Args;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Args)]
pub(super) struct KeygenArguments {
    /// The files are `PREFIX.key` and `PREFIX.pub`.
    #[arg(long, value_name = "PREFIX", default_value = "cosign")]
    output_prefix: String,
    /// Read the key's password from this file; `COSIGN_PASSWORD` holds it otherwise.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct ExportArguments {
    /// `registry/repository:tag`, `…@sha256:…`, or `oci-layout:PATH:TAG`.
    source: Written<Source>,
    /// The tar file, which is replaced when it is there.
    file: PathBuf,
    #[command(flatten)]
    login: LoginArguments,
}

#[derive(Args)]
pub(super) struct ImportArguments {
    /// The tar file; `oci-layout:PATH:TAG` where it holds several pipelines.
    file: String,
    /// `registry/repository:tag`.
    to: Written<Reference>,
    #[command(flatten)]
    login: LoginArguments,
}

/// What an argument names, and whether it is written with `https://`, which a reference forgets.
#[derive(Clone)]
struct Written<T> {
    it: T,
    is_tls: bool,
}

impl<T: FromStr> FromStr for Written<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        Ok(Written { it: text.parse()?, is_tls: is_tls(text) })
    }
}

impl KeygenArguments {
    pub(super) fn run(self) -> Result<String, Failure> {
        let password = key_password(self.password_file.as_deref())?;
        let password = password.ok_or_else(|| {
            Failure::new(Exit::Usage, "there is no password for the new key").hint(
                "set COSIGN_PASSWORD, to an empty text if there is to be none, or use \
                 --password-file",
            )
        })?;
        let files = keygen(&self.output_prefix, &password)?;
        Ok(format!(
            "private key: {}\npublic key: {}\nkey: {}\n",
            files.private.display(),
            files.public.display(),
            files.id
        ))
    }
}

impl ExportArguments {
    pub(super) fn run(self) -> Result<String, Failure> {
        let ExportArguments { source, file, login } = self;
        let login = match &source.it {
            Source::Registry(from) => login.login(&from.registry, source.is_tls)?,
            Source::Layout { .. } => Login::default(),
        };
        let moved = export(&source.it, &file, &login)?;
        let tag = moved.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let url = format!("oci-layout:{}{tag}", file.display());
        Ok(moved_report(&moved, &url))
    }
}

impl ImportArguments {
    pub(super) fn run(self) -> Result<String, Failure> {
        let ImportArguments { file, to, login } = self;
        let source: Result<Source, _> = if file.starts_with("oci-layout:") {
            file.parse()
        } else {
            Ok(Source::Layout { path: file.into(), version: None })
        };
        let source =
            source.map_err(|error| Failure::new(Exit::Usage, error).hint("name the tar file"))?;
        let login = login.login(&to.it.registry, to.is_tls)?;
        let moved = import(&source, &to.it, &login)?;
        Ok(moved_report(&moved, &to.it.to_string()))
    }
}

fn moved_report(moved: &Moved, url: &str) -> String {
    let Moved { digest, bytes, signatures, .. } = moved;
    format!("pipeline_url: {url}\ndigest: {digest}\nbytes: {bytes}\nsignatures: {signatures}\n")
}
