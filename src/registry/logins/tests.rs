//! Whose login is found in which file, and what is said of those that are of no use here.

use super::{Login, Logins};
use std::path::Path;

/// What a directory with these files says about `registry`.
fn find(files: &[(&str, &str)], registry: &str, repository: &str) -> Login {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    logins(directory.path()).find(&registry.parse().unwrap(), &repository.parse().unwrap())
}

fn logins(root: &Path) -> Logins {
    Logins::read(|name| {
        let below = match name {
            "REGISTRY_AUTH_FILE" => "named.json",
            "HOME" => "home",
            "XDG_RUNTIME_DIR" => "run",
            _ => return None,
        };
        Some(root.join(below).display().to_string())
    })
}

/// `user:password` of what was found, or the warnings.
fn found(login: Login) -> Result<String, String> {
    assert_eq!(login.credentials.is_some(), login.file.is_some());
    let credentials = login.credentials.ok_or_else(|| login.warnings.join("\n"))?;
    Ok(format!("{}:{}", credentials.username, credentials.password.reveal()))
}

/// `me:hunter2` in base64.
const AUTH: &str = r#"{"auth":"bWU6aHVudGVyMg=="}"#;

#[test]
fn each_way_of_writing_a_registry_is_known() {
    for (key, registry) in [
        ("r.io", "r.io"),
        ("r.io:5000", "r.io:5000"),
        ("https://r.io", "r.io"),
        ("https://R.io/v1/", "r.io"),
        ("http://r.io:5000/v2/", "r.io:5000"),
        ("[::1]:5000", "[::1]:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("r.io/team", "r.io"),
        ("r.io/team/model", "r.io"),
    ] {
        let file = format!(r#"{{"auths":{{"{key}":{AUTH}}}}}"#);
        let login = find(&[("home/.docker/config.json", &file)], registry, "team/model");
        assert_eq!(found(login).as_deref(), Ok("me:hunter2"), "{key}");
    }
}

#[test]
fn another_registrys_login_is_not_taken() {
    for key in ["r.io:5000", "ar.io", "r.io.evil", "https://evil/r.io", "r.io/tea", "r.io/team/m"] {
        let file = format!(r#"{{"auths":{{"{key}":{AUTH}}}}}"#);
        let login = find(&[("home/.docker/config.json", &file)], "r.io", "team/model");
        assert_eq!(found(login), Err(String::new()), "{key}");
    }
}

#[test]
fn the_file_that_was_named_comes_first_and_the_longest_key_wins() {
    // `one:1` and `two:2` in base64.
    let one = r#"{"auths":{"r.io":{"auth":"b25lOjE="}}}"#;
    let two = r#"{"auths":{"r.io":{"auth":"b25lOjE="},"r.io/team":{"auth":"dHdvOjI="}}}"#;
    let docker = "home/.docker/config.json";
    let login = find(&[("named.json", two), (docker, one)], "r.io", "team/model");
    assert_eq!(found(login).as_deref(), Ok("two:2"));
    let login = find(&[("run/containers/auth.json", one)], "r.io", "team/model");
    assert_eq!(found(login).as_deref(), Ok("one:1"));
    let login = find(&[("home/.docker/.dockerconfigjson", one)], "r.io", "team/model");
    assert_eq!(found(login).as_deref(), Ok("one:1"));
    let plain = r#"{"auths":{"r.io":{"username":"me","password":"hunter2","email":"x"}}}"#;
    assert_eq!(found(find(&[(docker, plain)], "r.io", "a")).as_deref(), Ok("me:hunter2"));
}

#[test]
fn what_is_of_no_use_is_told_and_shows_no_secret() {
    for (file, expected) in [
        (r#"{"auths":{"r.io":{}},"credsStore":"pass"}"#, "helper program"),
        (r#"{"credsStore":"desktop"}"#, "helper program"),
        (r#"{"credHelpers":{"r.io":"ecr-login"}}"#, "helper program"),
        (r#"{"auths":{"r.io":{"auth":"hunter2!"}}}"#, "not base64"),
        (r#"{"auths":{"r.io":{"auth":"aHVudGVyMg=="}}}"#, "not base64 of `user:password`"),
        (r#"{"auths":"hunter2"}"#, "is not the JSON"),
        (r#"{"auths":{"r.io":{}}}"#, ""),
        (r#"{"credHelpers":{"other.io":"ecr-login"}}"#, ""),
        ("{}", ""),
    ] {
        let login = find(&[("home/.docker/config.json", file)], "r.io", "a");
        let said = found(login).unwrap_err();
        assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn an_identity_token_stands_for_user_and_password() {
    let file = r#"{"auths":{"r.io":{"auth":"bWU6","identitytoken":"hunter2"}}}"#;
    let login = find(&[("home/.docker/config.json", file)], "r.io", "a");
    assert_eq!(found(login).as_deref(), Ok("<token>:hunter2"));
}

#[test]
fn a_later_file_helps_where_an_earlier_one_cannot() {
    let docker = ("home/.docker/config.json", r#"{"credsStore":"pass"}"#);
    let podman = format!(r#"{{"auths":{{"r.io":{AUTH}}}}}"#);
    let login = find(&[docker, ("run/containers/auth.json", &podman)], "r.io", "a");
    assert_eq!(login.warnings.len(), 1);
    assert_eq!(found(login).as_deref(), Ok("me:hunter2"));
}
