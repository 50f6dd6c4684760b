//! Certificate and key as files: renewed, broken and missing.

use super::*;

#[test]
fn a_renewed_certificate_is_shown_to_the_next_client_and_to_no_older_one() {
    let identity = Identity::new();
    let server = identity.serve(limits());
    let mut older = identity.client(&server);
    older.0.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_ne!(older.0.read(&mut [0]).unwrap(), 0);
    identity.renew();
    // Some file systems keep times by the second, and the new files may be as long as the old.
    let later = std::time::UNIX_EPOCH + Duration::from_secs(1);
    std::fs::File::options()
        .append(true)
        .open(&identity.key)
        .and_then(|file| file.set_modified(later))
        .unwrap();
    assert!(is_alive(&identity, &server), "a client that trusts the new one alone");
    assert!(older.say(last("/")).unwrap().ends_with("hello"), "the older goes on");
}

#[test]
fn a_broken_new_file_keeps_the_old_certificate() {
    let identity = Identity::new();
    let server = identity.serve(limits());
    let trusted = identity.trusting(&rustls::version::TLS13, b"http/1.1");
    let whole = std::fs::read_to_string(&identity.certificate).unwrap();
    for broken in [&whole[..whole.len() / 2], "", &"x".repeat(300 * 1024)] {
        std::fs::write(&identity.certificate, broken).unwrap();
        let mut client = Secure::connect(&server, trusted.clone());
        assert!(client.say(last("/")).unwrap().ends_with("hello"));
    }
    std::fs::remove_file(&identity.key).unwrap();
    let mut client = Secure::connect(&server, trusted);
    assert!(client.say(last("/")).unwrap().ends_with("hello"));
    identity.renew();
    assert!(is_alive(&identity, &server), "and whole ones are taken again");
}

#[test]
fn files_are_not_looked_at_for_every_connection() {
    let identity = Identity::new();
    let tls = Tls::load(&identity.certificate, &identity.key).unwrap();
    let shown = tls.current();
    std::fs::remove_file(&identity.key).unwrap();
    identity.renew();
    assert!(Arc::ptr_eq(&shown, &tls.current()), "the interval is not over");
}

#[test]
fn each_fault_of_the_files_has_its_sentence_and_none_shows_the_key() {
    let (identity, other) = (Identity::new(), Identity::new());
    let path = |name: &str| identity.directory.path().join(name);
    let key = std::fs::read_to_string(&identity.key).unwrap();
    let secret = key.lines().nth(1).unwrap();
    std::fs::write(path("torn"), &key[..key.len() / 2]).unwrap();
    std::fs::write(path("large"), "x".repeat(300 * 1024)).unwrap();
    let (certificate, key) = (&identity.certificate, &identity.key);
    let sentence = |certificate: &PathBuf, key: &PathBuf| {
        let error: TlsError = Tls::load(certificate, key).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(secret), "{shown}");
        error.to_string()
    };
    let cases = [
        (sentence(&path("none"), key), "none cannot be read"),
        (sentence(&path("large"), key), "large is over 262144 bytes"),
        (sentence(key, key), "key holds no certificate"),
        (sentence(certificate, certificate), "cert.pem holds no private key"),
        (sentence(certificate, &path("torn")), "torn holds no private key"),
        (sentence(certificate, &other.key), "cannot be used together"),
    ];
    for (said, expected) in cases {
        assert!(said.contains(expected), "{said}");
    }
    let shown = format!("{:?}", identity.load());
    assert!(shown.contains("cert.pem") && !shown.contains(secret), "{shown}");
}
