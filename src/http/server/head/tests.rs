//! Heads as data: what each target, host and damage comes to.

use super::*;

fn status_of(head: &[u8]) -> Result<(), u16> {
    if end_of_head(head, 0) != Scan::End(head.len()) {
        return Err(400);
    }
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    parse(head, &mut fields).map(drop).map_err(|refusal| refusal.status())
}

#[test]
fn the_four_forms_of_a_target_come_to_path_and_query() {
    let cases = [
        ("GET", "/", Some(("/", None))),
        ("GET", "/a/b?c=d?e", Some(("/a/b", Some("c=d?e")))),
        ("GET", "//a?", Some(("//a", Some("")))),
        ("GET", "http://a:8/b?c", Some(("/b", Some("c")))),
        ("GET", "HTTPS://a", Some(("/", None))),
        ("GET", "http://a?b", Some(("/", Some("b")))),
        ("GET", "http://[::1]:8/a", Some(("/a", None))),
        ("GET", "http:///a", None),
        ("GET", "http://?a", None),
        ("GET", "http://:8/a", None),
        ("GET", "http://user@a/b", None),
        ("GET", "http://a:b/c", None),
        ("OPTIONS", "*", Some(("*", None))),
        ("GET", "*", None),
        ("CONNECT", "a:443", None),
        ("GET", "ftp://a/b", None),
        ("GET", "a/b", None),
        ("GET", "/a#b", None),
        ("GET", "/\u{e4}", None),
    ];
    let wrong: Vec<_> = cases
        .into_iter()
        .map(|(method, target, expected)| (target, split_target(method, target).ok(), expected))
        .filter(|(_, found, expected)| found != expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_host_is_a_name_or_an_address_with_an_optional_port() {
    let cases = [
        ("a", true),
        ("a-b.c_d:8080", true),
        ("192.0.2.1:80", true),
        ("a:", true),
        ("[2001:db8::1]", true),
        ("[2001:db8::1]:80", true),
        ("", true),
        (":80", false),
        ("a:b", false),
        ("a:80:80", false),
        ("2001:db8::1", false),
        ("[::1", false),
        ("[::1]80", false),
        ("[]", false),
        ("a]", false),
        ("a b", false),
        ("a/b", false),
        ("a@b", false),
    ];
    let is_taken = |host: &str| {
        status_of(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).is_ok()
    };
    let wrong: Vec<_> =
        cases.into_iter().filter(|(host, taken)| is_taken(host) != *taken).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_end_of_a_head_is_found_wherever_it_was_cut() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\n";
    for cut in 0..head.len() - 5 {
        assert_eq!(end_of_head(&head[..cut.min(26)], 0), Scan::Unfinished, "{cut}");
        assert_eq!(end_of_head(head, cut.min(26)), Scan::End(27), "{cut}");
    }
    assert_eq!(end_of_head(b"GET / HTTP/1.1\n\n", 0), Scan::BareLineFeed);
}

#[test]
fn a_connection_stays_as_its_version_has_it() {
    let cases = [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: keep-alive, Close\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ];
    for (version, fields, expected) in cases {
        let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
        let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let head = parse(text.as_bytes(), &mut fields).unwrap();
        assert_eq!(head.keeps, expected, "{text:?}");
    }
}

#[test]
fn no_damaged_byte_makes_a_head_of_another_kind_of_fault() {
    let head =
        b"POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(status_of(head), Ok(()));
    for at in 0..head.len() {
        for byte in 0..=u8::MAX {
            let mut damaged = head.to_vec();
            damaged[at] = byte;
            let status = status_of(&damaged);
            let is_known = matches!(status, Ok(()) | Err(400 | 413 | 417 | 505));
            assert!(is_known, "{status:?} for {:?}", String::from_utf8_lossy(&damaged));
            let control = byte < b' ' && byte != b'\t' && damaged != head;
            assert!(!control || status.is_err(), "{:?}", String::from_utf8_lossy(&damaged));
        }
        assert!(status_of(&head[..at]).is_err(), "{at}");
    }
}
