//! A service that wants a key, asked with the right one, a wrong one and none.

use super::super::ApiKey;
use super::*;

struct Locked(ApiKey);

impl Service for Locked {
    fn answer(&self, request: &mut Request<'_, '_>) -> Response {
        match self.0.admits(request) {
            true => text(200, "come in"),
            false => ApiKey::challenge(Response::empty(401)),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        Response::from(&refusal)
    }
}

#[test]
fn only_the_key_admits_in_either_field() {
    let server = Server::bind("127.0.0.1:0", limits()).unwrap();
    let (address, handle) = (server.address(), server.handle().unwrap());
    let key = ApiKey::new("correct-horse").unwrap();
    let thread = thread::spawn(move || server.run(Locked(key)));
    let cases = [
        ("Authorization: Bearer correct-horse\r\n", 200),
        ("authorization: BEARER  correct-horse \r\n", 200),
        ("X-API-Key: correct-horse\r\n", 200),
        ("Authorization: Bearer other\r\nX-API-Key: correct-horse\r\n", 200),
        ("", 401),
        ("Authorization: Bearer\r\n", 401),
        ("Authorization: correct-horse\r\n", 401),
        ("Authorization: Basic correct-horse\r\n", 401),
        ("Authorization: Bearer correct-hors\r\n", 401),
        ("Authorization: Bearer correct-horse2\r\n", 401),
        ("X-API-Key: correct-Horse\r\n", 401),
        ("X-API-Key:\r\n", 401),
        ("Api-Key: correct-horse\r\n", 401),
    ];
    for (fields, status) in cases {
        let mut client = Client::connect(address);
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        let answer = client.answer();
        assert_eq!(answer.status, status, "{fields:?}");
        assert_eq!(answer.head.contains("\r\nWWW-Authenticate: Bearer\r\n"), status == 401);
    }
    assert!(handle.shutdown(PATIENCE));
    thread.join().unwrap();
}
