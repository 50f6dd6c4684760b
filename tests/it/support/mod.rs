//! What the tests stand on: programs as processes, a registry, Python's peers, an HTTP client.

pub mod browser;
pub mod built_in;
pub mod case;
pub mod center;
pub mod certificates;
pub mod edge;
pub mod engine;
pub mod fault_proxy;
pub mod founded;
pub mod front;
pub mod helm;
pub mod layout;
pub mod link_proxy;
pub mod ops;
pub mod podman;
pub mod process;
pub mod proxy;
pub mod publishing;
pub mod python;
pub mod registry;
pub mod scripted;
pub mod signing;
pub mod tls_front;
pub mod token_server;

pub mod listener;

use std::path::PathBuf;

/// A file of `tests/fixtures`.
pub fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

/// Compares with a file of `tests/golden`; `UPDATE_GOLDEN=1` writes it anew.
pub fn golden(name: &str, found: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let wanted = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", path.display()));
    let is_foreign = std::env::var_os("POTOROO_ENGINE").is_some();
    // The last bit of a sum is each processor's own.
    if is_foreign && rounded(found) == rounded(&wanted) {
        return;
    }
    assert_eq!(found, wanted, "differs from {}", path.display());
}

/// The text, its fractions with six digits.
fn rounded(text: &str) -> String {
    let is_of_number = |one: char| one.is_ascii_digit() || matches!(one, '.' | '-' | '+' | 'e');
    let mut rounded = String::new();
    for piece in text.split_inclusive(|one| !is_of_number(one)) {
        let number = piece.trim_end_matches(|one| !is_of_number(one));
        match number.parse::<f64>() {
            Ok(value) if number.contains('.') => {
                rounded += &format!("{value:.5e}{}", &piece[number.len()..]);
            }
            Ok(_) | Err(_) => rounded += piece,
        }
    }
    rounded
}
