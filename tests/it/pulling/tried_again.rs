//! What is tried again and what is not: troubles that pass, logins that end, storage elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use potoroo::http::client::{self, Timeouts};
use potoroo::oci::{Descriptor, Version, media_type};
use potoroo::registry::{Action, Error, Layout, Remote, Retry, Transfer, Transport};

use super::{Asked, Fault, Link, QUICK, SOON, noise, push};
use crate::support::fault_proxy::FaultProxy;
use crate::support::registry::{Auth, PASSWORD, Registry, credentials};
use crate::support::scripted::{Scripted, Step, answer, raw};
use crate::support::token_server::{Policy, TokenServer};

const SIZE: usize = 200_000;

fn refusal(status: u16, headers: Headers<'_>) -> Fault {
    Fault::Instead(raw(status, &[headers, &[("content-length", "0")]].concat(), b""))
}

#[test]
fn troubles_that_pass_are_waited_for() {
    let plan = |asked: &Asked| match asked.nth {
        0 => vec![refusal(429, &[("retry-after", "0")])],
        1 => vec![refusal(500, &[])],
        2 => vec![refusal(502, &[])],
        // New bytes: from here on failures count anew.
        3 => vec![Fault::Cut(1024)],
        4 => vec![refusal(503, &[("retry-after", "7200")])],
        5 => vec![refusal(504, &[])],
        // Not even a head.
        6 => vec![Fault::Instead(Vec::new())],
        _ => vec![],
    };
    let link = Link::to(&[noise(1, SIZE)], plan);
    let brought = link.bring(QUICK).unwrap();
    link.is_whole();
    assert_eq!((brought.blobs, brought.retries, brought.bytes), (1, 7, SIZE as u64));
}

#[test]
fn troubles_that_do_not_pass_are_given_up_and_the_last_is_told() {
    let link = Link::to(&[noise(1, SIZE)], |asked: &Asked| match asked.nth {
        0 => vec![Fault::Cut(100_000)],
        _ => vec![refusal(503, &[])],
    });
    let error = link.bring(QUICK).unwrap_err();
    assert!(matches!(error, Error::Server { status: 503, .. }), "{error:?}");
    assert_eq!(link.proxy.asked().len(), 1 + QUICK.attempts_max as usize);
    // What had come is there for the next time.
    assert_eq!(link.layout.partial_bytes(&link.blobs[0].digest).unwrap(), 100_000);
}

#[test]
fn a_refusal_for_good_is_not_tried_again() {
    for status in [400, 403, 404, 410, 418, 451, 501, 505] {
        let link = Link::to(&[noise(1, 10)], move |_| vec![refusal(status, &[])]);
        let error = link.bring(QUICK).unwrap_err();
        assert!(!error.is_transient(), "{status}: {error:?}");
        assert_eq!(link.proxy.asked().len(), 1, "{status}");
    }
}

#[test]
fn a_link_that_stalls_is_cut_and_gone_on_with() {
    // A busy machine may stall by itself; so every request for the whole blob does, and it is
    // enough that the rest was asked for in the end.
    let mut link = Link::to(&[noise(1, SIZE)], |asked: &Asked| match asked.first {
        None => vec![Fault::Stall(100_000)],
        Some(_) => vec![],
    });
    link.timeouts = SOON;
    link.bring(Retry { attempts_max: 20, ..QUICK }).unwrap();
    link.is_whole();
    assert!(matches!(link.proxy.firsts()[..], [None, .., Some(_)]), "{:?}", link.proxy.asked());
}

#[test]
fn a_link_that_only_stalls_is_given_up_with_what_was_waited_for() {
    let mut link = Link::to(&[noise(1, SIZE)], |_| vec![Fault::Stall(0)]);
    link.timeouts = SOON;
    let error = link.bring(Retry { attempts_max: 2, ..QUICK }).unwrap_err();
    let Error::Unreachable { source: client::Error::TimedOut { limit, .. }, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((limit, link.proxy.asked().len()), (SOON.stall, 2));
}

#[test]
fn a_registry_that_sends_a_byte_for_each_connection_is_given_up() {
    let link = Link::to(&[noise(1, SIZE)], |_| vec![Fault::Cut(1)]);
    let error = link.bring(QUICK).unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error:?}");
    assert_eq!(link.proxy.asked().len(), QUICK.attempts_max as usize);
}

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let head = b"HTTP/1.1 200 OK\r\nx-slow: ".to_vec();
    let registry = Scripted::start([Step::Hang(head)]);
    let host = registry.address().to_string().parse().unwrap();
    let timeouts = Timeouts { commit: Duration::from_millis(50), ..Timeouts::EDGE };
    let remote =
        Remote::new(Transport::new(timeouts, Vec::new()), host, "a/b".parse().unwrap(), None);
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let transfer = Transfer { remote: &remote, layout: &layout, retry: Retry::NEVER };
    let blob = Descriptor::of(media_type::OCTET_STREAM, b"hello");
    let error = transfer.bring(&[blob], &mut |_, _| {}).unwrap_err();
    let Error::Unreachable { source: client::Error::TimedOut { limit, .. }, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(limit, timeouts.commit);
}

#[test]
fn a_link_that_is_slow_is_waited_for() {
    let link = Link::to(&[noise(1, SIZE)], |_| vec![Fault::Slow(10_000, Duration::from_millis(5))]);
    let brought = link.bring(Retry::NEVER).unwrap();
    assert_eq!((brought.retries, brought.bytes), (0, SIZE as u64));
}

/// Names and values.
type Headers<'a> = &'a [(&'a str, &'a str)];

#[test]
fn the_wait_that_is_asked_for_is_heard_in_seconds_and_as_a_date() {
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let cases: [(Headers<'_>, Option<u64>); 6] = [
        (&[("retry-after", "7")], Some(7)),
        (&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), date], Some(30)),
        (&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), date], Some(0)),
        (&[("retry-after", "99999999999")], Some(86_400)),
        // Without the registry's own time a date says nothing: ours may be wrong.
        (&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], None),
        (&[("retry-after", "soon")], None),
    ];
    for (headers, seconds) in cases {
        for status in [429, 503] {
            let registry = Scripted::start([answer(status, headers, b"")]);
            let host = registry.address().to_string().parse().unwrap();
            let transport = Transport::new(Timeouts::EDGE, Vec::new());
            let remote = Remote::new(transport, host, "a/b".parse().unwrap(), None);
            let error = remote.manifest(&Version::Tag("v1".parse().unwrap())).unwrap_err();
            assert!(error.is_transient());
            assert_eq!(error.retry_after(), seconds.map(Duration::from_secs), "{headers:?}");
        }
    }
}

#[test]
fn a_manifest_is_tried_again_too() {
    let registry = Scripted::start([
        answer(503, &[("retry-after", "0")], b""),
        answer(429, &[], b""),
        answer(404, &[], b""),
    ]);
    let host = registry.address().to_string().parse().unwrap();
    let transport = Transport::new(Timeouts::EDGE, Vec::new());
    let remote = Remote::new(transport, host, "a/b".parse().unwrap(), None);
    let version = Version::Tag("v1".parse().unwrap());
    let error = QUICK.run(|| remote.manifest(&version)).unwrap_err();
    assert!(matches!(error, Error::UnknownVersion { .. }), "{error:?}");
    assert_eq!(registry.asked().len(), 3);
}

const POLICY: Policy = Policy {
    username: "edge",
    password: "a key file",
    user_may: &["pull", "push"],
    anyone_may: &[],
    expires_in: 300,
    key: "token",
};

#[test]
fn a_token_that_ends_in_the_middle_of_a_blob_is_fetched_anew_and_the_blob_gone_on_with() {
    let tokens = TokenServer::start(POLICY);
    let registry = Registry::start(&Auth::Token(&tokens));
    let login = || credentials("edge", "a key file");
    let blob = push(&registry.remote("a/b", login()), &noise(1, SIZE));
    let before = tokens.scopes().len();
    // The token is taken away from the request that goes on: to the registry it is over.
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let proxy = FaultProxy::start(&registry.host().to_string(), move |asked| match asked.first {
        None if asked.shown.is_some() => vec![Fault::Cut(100_000)],
        Some(_) if !over.swap(true, Ordering::SeqCst) => vec![Fault::Without("authorization")],
        _ => vec![],
    });
    let remote = proxy.remote(Transport::new(Timeouts::EDGE, Vec::new()), "a/b", login());
    remote.login(Action::Pull).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let transfer = Transfer { remote: &remote, layout: &layout, retry: QUICK };
    let brought = transfer.bring(std::slice::from_ref(&blob), &mut |_, _| {}).unwrap();
    let _proof = layout.verify_blob(&blob).unwrap();
    assert_eq!((brought.bytes, brought.retries), (SIZE as u64, 1));
    assert_eq!(proxy.firsts().last(), Some(&Some(100_000)));
    assert_eq!(tokens.scopes().len(), before + 2, "{:?}", tokens.scopes());
}

#[test]
fn the_part_that_is_asked_for_travels_with_a_redirect_and_the_password_does_not() {
    let storage = Registry::start(&Auth::None);
    let blob = push(&storage.remote("a/b", None), &noise(1, SIZE));
    let storage = FaultProxy::start(&storage.host().to_string(), |asked| match asked.nth {
        0 => vec![Fault::Cut(100_000)],
        _ => vec![],
    });
    let registry = Registry::start(&Auth::Htpasswd("me"));
    let elsewhere = storage.host();
    let proxy = FaultProxy::start(&registry.host().to_string(), move |asked| {
        let location = format!("http://{elsewhere}{}?signature=1", asked.target);
        vec![refusal(307, &[("location", &location)])]
    });
    let login = credentials("me", PASSWORD);
    let remote = proxy.remote(Transport::new(Timeouts::EDGE, Vec::new()), "a/b", login);
    remote.login(Action::Pull).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let transfer = Transfer { remote: &remote, layout: &layout, retry: QUICK };
    transfer.bring(std::slice::from_ref(&blob), &mut |_, _| {}).unwrap();
    let _proof = layout.verify_blob(&blob).unwrap();
    assert!(proxy.asked().iter().all(|asked| asked.shown.is_some()), "{:?}", proxy.asked());
    assert_eq!(storage.firsts(), [None, Some(100_000)]);
    assert!(storage.asked().iter().all(|asked| asked.shown.is_none()), "{:?}", storage.asked());
}
