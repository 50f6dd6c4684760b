//! A page around a form, for what comes before the dashboard: the first run, and signing in.

use crate::http::server::Response;

/// The looks, in the page itself.
const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:4rem auto;padding:0 1rem}\
                     label,input,button{display:block;width:100%;box-sizing:border-box}\
                     input,button{font:inherit;padding:.5rem;margin:.25rem 0 1rem}\
                     code{overflow-wrap:anywhere}.fault{color:#b00020}";

/// A page of that title; `body` is markup whose texts from outside went through [`escaped`].
pub(super) fn page(status: u16, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title} - potoroo</title>\n\
         <style>{STYLE}</style>\n<h1>{title}</h1>\n{body}\n</html>\n"
    );
    let digest = {
        use base64::Engine;
        let digest = crate::oci::Digest::of(STYLE.as_bytes());
        base64::engine::general_purpose::STANDARD.encode(digest.as_bytes())
    };
    // Nothing runs, nothing is fetched, and the form goes nowhere else. The referrer stays within the
    // site: with `no-referrer` browsers post `Origin: null`, from our page and from any other alike.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    Response::new(status, "text/html; charset=utf-8", html)
        .with_header("Content-Security-Policy", policy)
        .with_header("Referrer-Policy", "same-origin".to_owned())
        .with_header("Cache-Control", "no-store".to_owned())
}

/// A sentence about what went wrong, or nothing.
pub(super) fn fault(sentence: Option<&str>) -> String {
    let of =
        |sentence: &str| format!("<p class=\"fault\" role=\"alert\">{}</p>\n", escaped(sentence));
    sentence.map(of).unwrap_or_default()
}

/// Text as it may stand in HTML, in an attribute too.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_is_no_markup() {
        assert_eq!(escaped("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
    }
}
