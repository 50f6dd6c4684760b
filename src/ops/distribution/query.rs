//! The query of a request, as forms are encoded.

use crate::http::percent;

/// Every value of that name in its order; one that is not UTF-8 is left out.
pub(super) fn values<'q>(query: Option<&'q str>, name: &'q str) -> impl Iterator<Item = String> {
    query.unwrap_or_default().split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let text = |part: &str| String::from_utf8(percent::form_decoded(part)?).ok();
        (text(key)? == name).then(|| text(value))?
    })
}

/// The first value of that name.
pub(super) fn value(query: Option<&str>, name: &str) -> Option<String> {
    values(query, name).next()
}

#[cfg(test)]
mod tests {
    use super::{value, values};

    #[test]
    fn values_are_decoded_and_kept_in_order() {
        let query = Some("scope=a%3Ab&n=&scope=c+d&s%63ope=e&scope=%ff&scope");
        assert_eq!(values(query, "scope").collect::<Vec<_>>(), ["a:b", "c d", "e", ""]);
        assert_eq!(value(query, "n").as_deref(), Some(""));
        assert_eq!(value(query, "m"), None);
        assert_eq!(value(None, "n"), None);
    }
}
