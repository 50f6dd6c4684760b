//! Passwords from files and standard input, never from arguments.

use crate::exit::{Exit, Failure};
use crate::registry::Secret;
use std::io::Read;
use std::path::Path;

/// A password read from standard input or a file.
const PASSWORD_BYTES_MAX: u64 = 64 << 10;

/// The variable with the password of a private key, the same as cosign's.
const KEY_PASSWORD: &str = "COSIGN_PASSWORD";

/// The password of a private key; it may be empty, and there may be none.
pub(super) fn key_password(file: Option<&Path>) -> Result<Option<Secret>, Failure> {
    let text = match file {
        Some(path) => Some(password_of(path)?),
        None => std::env::var(KEY_PASSWORD).ok(),
    };
    Ok(text.map(Secret::new))
}

/// What a file holds, up to the end of its line.
pub(super) fn password_of(path: &Path) -> Result<String, Failure> {
    let file = std::fs::File::open(path).map_err(|error| {
        let sentence = format!("{} cannot be read: {error}", path.display());
        Failure::new(Exit::Usage, sentence)
    })?;
    password(file)
}

/// What is read from there, up to the end of its line.
pub(super) fn password(from: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    from.take(PASSWORD_BYTES_MAX).read_to_string(&mut text).map_err(|error| {
        Failure::new(Exit::Usage, format!("the password cannot be read: {error}"))
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
