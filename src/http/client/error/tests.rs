//! Each way of not getting an answer has its own error.

use std::net::TcpListener;
use std::time::Duration;

use ureq::http::Method;

use crate::http::client::{Call, Client, Distrust, Error, Patience, Proxies, Timeouts, Wait};

fn fetch(uri: &str, timeouts: Timeouts) -> Error {
    let call = Call {
        method: Method::GET,
        uri: &uri.parse().unwrap(),
        headers: &[],
        authorization: None,
        patience: Patience::Answer,
    };
    Client::new(timeouts).fetch(&call).unwrap_err()
}

#[test]
fn a_port_where_nothing_listens_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = fetch(&format!("http://{address}/"), Timeouts::EDGE);
    assert!(matches!(error, Error::Refused { host, .. } if host == address.to_string()));
}

#[test]
fn a_host_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    let stall = Duration::from_millis(50);
    let error = fetch(&uri, Timeouts { stall, ..Timeouts::EDGE });
    assert!(
        matches!(error, Error::TimedOut { wait: Wait::Read, limit, .. } if limit == stall),
        "{error:?}"
    );
}

#[test]
fn a_server_without_tls_is_told_from_an_untrusted_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("https://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 64]).unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let error = fetch(&uri, Timeouts::EDGE);
    server.join().unwrap();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
}

#[test]
fn behind_a_proxy_with_tls_either_certificate_may_be_the_one() {
    let variable = |name: &str| (name == "HTTPS_PROXY").then(|| "https://p.io".to_owned());
    let proxies = Proxies::read(variable).unwrap();
    let error = Error::Untrusted { host: "r.io".to_owned(), distrust: Distrust::UnknownIssuer };
    assert_eq!(
        error.behind(proxies.https.as_ref().unwrap()).to_string(),
        "the TLS certificate of r.io or its proxy p.io:443 is signed by nobody whom this device \
         trusts"
    );
}
