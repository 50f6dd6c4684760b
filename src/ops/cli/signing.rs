//! With which key publishes are signed: the arguments that `publish` and `serve` share.

use super::password::key_password;
use crate::exit::{Exit, Failure};
use crate::ops::sign::{PrivateKey, Signing};
use crate::registry::signature::Form;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct SigningArguments {
    /// Sign what is published with this private key: a file of `keygen`'s or cosign's, or plain PKCS #8
    /// in PEM.
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// How the signature travels: cosign reads both, versions before 3 the tag alone.
    #[arg(long, value_enum, default_value = "both", requires = "sign")]
    sign_form: SignForm,
    /// Read the key's password from this file; `COSIGN_PASSWORD` holds it otherwise.
    #[arg(long, value_name = "FILE", requires = "sign")]
    sign_password_file: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum SignForm {
    /// A manifest with the tag `sha256-….sig`.
    Tag,
    /// A Sigstore bundle that refers to the artifact.
    Bundle,
    /// One of each.
    Both,
}

impl SigningArguments {
    /// The key and the forms, where a key is named.
    pub(super) fn signing(&self) -> Result<Option<Signing>, Failure> {
        let Some(path) = &self.sign else { return Ok(None) };
        let password = key_password(self.sign_password_file.as_deref())?;
        let key = PrivateKey::read(path, password.as_ref()).map_err(|error| {
            Failure::new(Exit::Usage, error).hint(
                "`potoroo-ops keygen` makes a key; COSIGN_PASSWORD or --sign-password-file opens \
                 it; `openssl pkcs8 -topk8 -nocrypt` turns an EC key into PKCS #8",
            )
        })?;
        let forms = match self.sign_form {
            SignForm::Tag => vec![Form::Tag],
            SignForm::Bundle => vec![Form::Bundle],
            SignForm::Both => vec![Form::Tag, Form::Bundle],
        };
        Ok(Some(Signing { key, forms }))
    }
}
