//! Names and values in the query of a request or the body of a form (WHATWG URL, section 5.1).

use super::percent;

/// Names and values of a query or of a form's body in their order; `None` for a pair with a broken
/// escape, or one that is not UTF-8.
pub fn pairs(text: &str) -> impl Iterator<Item = Option<(String, String)>> {
    let decoded = |text: &str| String::from_utf8(percent::form_decoded(text)?).ok();
    text.split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name)?, decoded(value)?))
    })
}

/// Every value of that name in its order; one that cannot be read is left out.
pub fn values<'q>(query: Option<&'q str>, name: &'q str) -> impl Iterator<Item = String> {
    let named = move |(known, value)| (known == name).then_some(value);
    pairs(query.unwrap_or_default()).flatten().filter_map(named)
}

/// The first value of that name.
pub fn value(query: Option<&str>, name: &str) -> Option<String> {
    values(query, name).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_kept_in_order() {
        let query = Some("scope=a%3Ab&n=&scope=c+d&s%63ope=e&scope=%ff&scope");
        assert_eq!(values(query, "scope").collect::<Vec<_>>(), ["a:b", "c d", "e", ""]);
        assert_eq!(value(query, "n").as_deref(), Some(""));
        assert_eq!(value(query, "m"), None);
        assert_eq!(value(None, "n"), None);
    }
}
