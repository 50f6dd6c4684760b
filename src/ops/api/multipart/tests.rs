//! Bodies of several parts: however they are cut, they mean the same, and damaged they mean nothing.

use super::*;

const TYPE: &str = "multipart/form-data; boundary=XYZ";

/// Gives a few bytes at a time, each time as many as it was told.
struct Cut<'b>(&'b [u8], usize);

impl Read for Cut<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(self.1);
        Read::read(&mut self.0, &mut into[..most])
    }
}

type Parts = Vec<(PartHead, Vec<u8>)>;

fn parts(body: &[u8], cut: usize) -> io::Result<Parts> {
    let mut multipart = Multipart::new(Cut(body, cut), TYPE).unwrap();
    let mut parts = Vec::new();
    while let Some(head) = multipart.next_part()? {
        let mut bytes = Vec::new();
        multipart.read_to_end(&mut bytes)?;
        parts.push((head, bytes));
    }
    Ok(parts)
}

fn head_of(name: &str, file_name: Option<&str>) -> PartHead {
    PartHead { name: name.into(), file_name: file_name.map(str::to_owned) }
}

#[test]
fn however_a_body_is_cut_its_parts_are_the_same() {
    let file = b"\r\n--XY\r\r\n--X\r\n\r\n-- \0\r".as_slice();
    let body = [
        b"preamble\r\n--XYZ\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\
          Content-Type: application/json\r\n\r\n{}\r\n--XYZ  \r\n\
          content-disposition: form-data; name=file; filename=\"a \\\"b\\\".onnx\"\r\n\r\n",
        file,
        b"\r\n--XYZ\r\nContent-Disposition: form-data; name=\"none\"\r\n\r\n\r\n--XYZ--\r\nepilogue",
    ]
    .concat();
    let wanted = vec![
        (head_of("metadata", None), b"{}".to_vec()),
        (head_of("file", Some("a \"b\".onnx")), file.to_vec()),
        (head_of("none", None), Vec::new()),
    ];
    for cut in (1..40).chain([body.len()]) {
        assert_eq!(parts(&body, cut).unwrap(), wanted, "cut to {cut}");
    }
}

#[test]
fn a_part_that_is_larger_than_the_window_comes_whole() {
    let file: Vec<u8> =
        (0..300_000_u32).map(|at| if at % 7 == 0 { b'\r' } else { b'\n' }).collect();
    let head = b"--XYZ\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
    let body = [head, file.as_slice(), b"\r\n--XYZ--"].concat();
    assert_eq!(parts(&body, 10_000).unwrap(), [(head_of("file", None), file)]);
}

#[test]
fn a_part_that_was_not_read_is_passed_over() {
    let body = b"--XYZ\r\nContent-Disposition: form-data; name=a\r\n\r\n1234\r\n--XYZ\r\n\
                 Content-Disposition: form-data; name=b\r\n\r\n5\r\n--XYZ--";
    let mut multipart = Multipart::new(body.as_slice(), TYPE).unwrap();
    multipart.next_part().unwrap();
    assert_eq!(multipart.next_part().unwrap(), Some(head_of("b", None)));
    assert_eq!(multipart.text(1).unwrap(), b"5");
    assert_eq!(multipart.next_part().unwrap(), None);
}

#[test]
fn each_damage_has_its_sentence() {
    let head = "--XYZ\r\nContent-Disposition: form-data; name=a\r\n\r\n";
    let cases = [
        (String::new(), "ended within"),
        ("--XYZ".into(), "ended within"),
        (head.into(), "ended within"),
        (format!("{head}data"), "ended within"),
        (format!("{head}data\r\n--XY"), "ended within"),
        ("--XYZ\r\n\r\ndata\r\n--XYZ--".into(), "the head of part 1 is none"),
        ("--XYZ\r\nContent-Disposition: form-data\r\n\r\n\r\n--XYZ--".into(), "part 1 is none"),
        ("--XYZ\r\nContent-Disposition: form-data; name=\"a\r\n\r\n\r\n--XYZ--".into(), "is none"),
        ("--XYZX\r\n\r\n".into(), "after the boundary of part 1"),
        (format!("--XYZ\r\nX: {}", "x".repeat(20_000)), "more than 8192 bytes"),
        (format!("--XYZ\r\n{}", "X: y\r\n".repeat(5_000)), "more than 8192 bytes"),
        (format!("{head}\r\n").repeat(529) + "--XYZ--", "more than 528 parts"),
    ];
    for (body, part) in cases {
        for cut in [1, 7, 1 << 20] {
            let error = parts(body.as_bytes(), cut).unwrap_err().to_string();
            assert!(error.contains(part), "{body:.80} gave {error}");
        }
    }
    let body = format!("{head}12345\r\n--XYZ--");
    let mut multipart = Multipart::new(body.as_bytes(), TYPE).unwrap();
    multipart.next_part().unwrap();
    let error = multipart.text(4).unwrap_err().to_string();
    assert!(error.contains("part 1 has more than 4 bytes"), "{error}");
}

#[test]
fn a_content_type_without_a_boundary_is_refused() {
    let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
    let refused = [
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=a\u{1}b",
        "multipart/mixed; boundary=a",
        &long,
    ];
    for kind in refused {
        assert!(Multipart::new(b"".as_slice(), kind).is_err(), "{kind}");
    }
    for kind in
        ["multipart/form-data; charset=utf-8; boundary=\"a b\"", "Multipart/Form-Data;boundary=a"]
    {
        assert!(Multipart::new(b"".as_slice(), kind).is_ok(), "{kind}");
    }
}
