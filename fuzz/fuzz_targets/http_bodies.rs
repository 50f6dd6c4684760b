//! Any bytes as the body of a good head, by length or in chunks, and as what is pipelined behind it.
#![no_main]

mod say;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, u8, &[u8])| {
    let (kind, one, other, bytes) = input;
    let framing = match kind & 3 {
        0 | 1 => "Transfer-Encoding: chunked\r\n".to_owned(),
        2 => format!("Content-Length: {}\r\n", usize::from(kind >> 2) * 8),
        _ => format!("Content-Length: {}\r\n", bytes.len() / (1 + usize::from(kind >> 4))),
    };
    let expect = if kind & 4 == 0 { "" } else { "Expect: 100-continue\r\n" };
    let head = format!("POST /a HTTP/1.1\r\nHost: a\r\n{framing}{expect}\r\n");
    let all = [head.as_bytes(), bytes].concat();
    let heard = say::in_every_way(&all, &[one, other]).heard;
    // By length, the body is those bytes and nothing else, and a request follows or does not.
    if let Some(length) = framing.strip_prefix("Content-Length: ") {
        let length: usize = length.trim_end().parse().unwrap_or(usize::MAX);
        let body = bytes.get(..length).map(|body| format!("{:?}", String::from_utf8_lossy(body)));
        assert_eq!(heard[0].contains("Truncated"), body.is_none(), "{heard:?}");
        assert!(body.is_none_or(|body| heard[0].ends_with(&body)), "{heard:?}");
    }
});
