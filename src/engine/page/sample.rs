//! A row of zeros of the shape that the pipeline takes, and the commands that send it.

use crate::codec::{CONTENT_TYPE_ARROW_FILE, CONTENT_TYPE_RECORDS};
use crate::http::percent;
use crate::tensor::{Dimension, ElementType, Port};

/// Values of a row that a page shows: a table of sensors fits, an image does not.
pub(super) const VALUES_MAX: usize = 64;

/// Bytes of a row that a page shows; only names of columns without end reach it.
const BYTES_MAX: usize = 4096;

/// Bytes of a `Host` that is repeated in a command: a DNS name (RFC 1035, section 2.3.4) and a
/// port.
const HOST_BYTES_MAX: usize = 255 + 6;

/// Where a command sends rows when the client does not say under which name it found us.
const HOST_DEFAULT: &str = "localhost:8080";

/// One row of zeros as pandas-records; `None` when it is too long to be read. A free dimension
/// has one element.
pub(super) fn row(inputs: &[Port]) -> Option<String> {
    let mut values = 0_usize;
    let mut row = String::from("[{");
    for (index, port) in inputs.iter().enumerate() {
        let extents: Vec<usize> = row_dimensions(port).iter().map(extent).collect();
        // An empty list takes space too, so no extent counts for nothing.
        let product = extents.iter().fold(1_usize, |all, one| all.saturating_mul((*one).max(1)));
        values = values.saturating_add(product);
        if VALUES_MAX < values || BYTES_MAX < row.len() + port.name.len() {
            return None;
        }
        row.push_str(if index == 0 { "" } else { ", " });
        row.push_str(&serde_json::Value::from(port.name.as_str()).to_string());
        row.push_str(": ");
        nested(&mut row, &extents, zero(port.element));
    }
    row.push_str("}]");
    (row.len() <= BYTES_MAX).then_some(row)
}

/// The dimensions of one row: all but the batch, unless the model computes a fixed number of rows
/// at a time; then one row that holds them all is what is easiest to write.
pub(super) fn row_dimensions(port: &Port) -> &[Dimension] {
    match port.dimensions.as_slice() {
        [Dimension::Free(_) | Dimension::Fixed(1), rest @ ..] => rest,
        whole => whole,
    }
}

fn extent(dimension: &Dimension) -> usize {
    match dimension {
        Dimension::Fixed(extent) => *extent,
        Dimension::Free(_) => 1,
    }
}

fn nested(row: &mut String, extents: &[usize], zero: &str) {
    let Some((extent, inner)) = extents.split_first() else { return row.push_str(zero) };
    row.push('[');
    for index in 0..*extent {
        row.push_str(if index == 0 { "" } else { ", " });
        nested(row, inner, zero);
    }
    row.push(']');
}

fn zero(element: ElementType) -> &'static str {
    match element {
        ElementType::Bool => "false",
        ElementType::F16 | ElementType::F32 | ElementType::F64 => "0.0",
        ElementType::I8
        | ElementType::I16
        | ElementType::I32
        | ElementType::I64
        | ElementType::U8
        | ElementType::U16
        | ElementType::U32
        | ElementType::U64 => "0",
        ElementType::String => "\"\"",
    }
}

/// The command that posts the row to `path`, or an Arrow file when there is no row to show.
///
/// Without a scheme curl speaks plain HTTP, so `scheme` is written out for TLS alone.
pub(super) fn curl(scheme: &str, host: &str, path: &str, row: Option<&str>) -> String {
    let scheme = if scheme == "https" { "https://" } else { "" };
    let url = shell_word(&format!("{scheme}{host}{path}"));
    let (content_type, data) = match row {
        Some(row) => (CONTENT_TYPE_RECORDS, shell_word(row)),
        None => (CONTENT_TYPE_ARROW_FILE, "@rows.arrow".to_owned()),
    };
    format!("curl -X POST {url} \\\n  -H 'Content-Type: {content_type}' \\\n  --data-binary {data}")
}

/// The path under which the pipeline of this name is asked, percent-encoded (RFC 3986, section
/// 2.3).
pub(super) fn pipeline_path(name: &str) -> String {
    format!("/pipelines/{}", percent::encoded(name, b""))
}

/// The name under which the client found us, if it is one (RFC 9110, section 7.2).
pub(super) fn host(header: Option<&str>) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    header
        .filter(|host| (1..=HOST_BYTES_MAX).contains(&host.len()) && host.bytes().all(plain))
        .filter(|host| !host.starts_with('-'))
        .unwrap_or(HOST_DEFAULT)
}

/// One word of a POSIX shell, quoted where it has to be.
fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@_~".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{self, InputFormat};

    fn port(name: &str, element: ElementType, dimensions: &[&str]) -> Port {
        let dimensions = dimensions.iter().map(|text| match text.parse() {
            Ok(extent) => Dimension::Fixed(extent),
            Err(_) => Dimension::Free((*text).to_owned()),
        });
        Port { name: name.into(), element, dimensions: dimensions.collect() }
    }

    #[test]
    fn a_row_has_the_shape_that_the_pipeline_takes() {
        use ElementType::{Bool, F32, I64, String, U8};
        let cases = [
            (vec![port("x", F32, &["batch", "3"])], r#"[{"x": [0.0, 0.0, 0.0]}]"#),
            (vec![port("x", F32, &["1", "2", "1"])], r#"[{"x": [[0.0], [0.0]]}]"#),
            (vec![port("x", I64, &["batch"])], r#"[{"x": 0}]"#),
            (vec![port("x", I64, &[])], r#"[{"x": 0}]"#),
            (vec![port("x", U8, &["2", "2"])], r#"[{"x": [[0, 0], [0, 0]]}]"#),
            (vec![port("x", F32, &["batch", "words", "2"])], r#"[{"x": [[0.0, 0.0]]}]"#),
            (
                vec![port("a \"b\"", String, &["n", "1"]), port("ok", Bool, &["n"])],
                r#"[{"a \"b\"": [""], "ok": false}]"#,
            ),
        ];
        for (inputs, wanted) in cases {
            let row = row(&inputs).unwrap();
            assert_eq!(row, wanted);
            let read = codec::decode(InputFormat::PandasRecords, row.into_bytes(), &inputs, &[]);
            assert_eq!(read.unwrap().table().rows(), 1, "{wanted}");
        }
    }

    #[test]
    fn a_row_that_nobody_would_read_is_not_shown() {
        let image = port("image", ElementType::F32, &["batch", "3", "224", "224"]);
        let wide = port(&"w".repeat(BYTES_MAX), ElementType::F32, &["batch"]);
        let empty = port("empty", ElementType::F32, &["batch", "1000000", "0"]);
        let most = port("most", ElementType::F32, &["batch", &VALUES_MAX.to_string()]);
        for port in [image, wide, empty] {
            assert_eq!(row(std::slice::from_ref(&port)), None, "{port}");
        }
        assert!(row(std::slice::from_ref(&most)).is_some());
        assert_eq!(row(&[most.clone(), most]), None);
    }

    #[test]
    fn a_command_is_one_that_a_shell_reads_as_meant() {
        let command =
            curl("http", "[::1]:8080", &pipeline_path("it's 50%"), Some("[{\"it's\": 0}]"));
        assert_eq!(
            command,
            "curl -X POST '[::1]:8080/pipelines/it%27s%2050%25' \\\n  -H 'Content-Type: \
             application/json; format=pandas-records' \\\n  --data-binary '[{\"it'\\''s\": 0}]'"
        );
        assert!(curl("https", "h", "/infer", None).starts_with("curl -X POST https://h/infer "));
        assert!(
            curl("http", "h", "/infer", None)
                .ends_with("arrow.file' \\\n  --data-binary @rows.arrow")
        );
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        assert_eq!(host(Some("edge-7.local:8080")), "edge-7.local:8080");
        let long = "h".repeat(HOST_BYTES_MAX + 1);
        for odd in [None, Some(""), Some("-K/etc"), Some("a b"), Some("$(reboot)"), Some(&*long)] {
            assert_eq!(host(odd), HOST_DEFAULT, "{odd:?}");
        }
    }
}
