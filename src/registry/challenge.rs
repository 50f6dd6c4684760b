//! The challenge of a 401: how a registry wants to be told who asks.

/// The most challenges that are read from one answer.
const CHALLENGES_MAX: usize = 8;

/// One way to log in that a registry offers (RFC 9110, 11.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A user name and a password with each request (RFC 7617).
    Basic,
    /// A token from a token service (the distribution project's token specification).
    Bearer(Bearer),
    /// A scheme we do not know.
    Other(String),
}

/// What the token service must be told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Bearer {
    /// The URL of the token service.
    pub(super) realm: String,
    /// The name under which it knows the registry.
    pub(super) service: Option<String>,
    /// What the request needs, as `repository:pipelines/edge:pull`.
    pub(super) scope: Option<String>,
    /// Why a token that was sent did not do, as `insufficient_scope`.
    pub(super) error: Option<String>,
}

/// Reads the values of all `WWW-Authenticate` headers of one answer, several challenges in each.
///
/// What does not parse ends the value it stands in: the challenges before it still count.
pub(super) fn parse<'a>(values: impl Iterator<Item = &'a str>) -> Vec<Challenge> {
    let mut found = Vec::new();
    for value in values {
        let mut rest = Cursor { rest: value };
        while found.len() < CHALLENGES_MAX {
            rest.skip_separators();
            let Some(scheme) = rest.token() else { break };
            found.push(read(scheme, rest.parameters()));
        }
    }
    found
}

fn read(scheme: &str, parameters: Vec<(String, String)>) -> Challenge {
    if scheme.eq_ignore_ascii_case("basic") {
        return Challenge::Basic;
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Challenge::Other(scheme.to_owned());
    }
    let mut bearer = Bearer::default();
    for (name, value) in parameters {
        match name.as_str() {
            "realm" => bearer.realm = value,
            "service" => bearer.service = Some(value),
            "scope" => bearer.scope = Some(value),
            "error" => bearer.error = Some(value),
            // Parameters to come are none of our business, by the RFC.
            _ => {}
        }
    }
    Challenge::Bearer(bearer)
}

/// What is left of one header value.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn skip_separators(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
    }

    /// A token (RFC 9110, 5.6.2), if one begins here.
    fn token(&mut self) -> Option<&'a str> {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.rest.find(|c| !is_token(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// The parameters up to the next scheme or to what does not parse.
    fn parameters(&mut self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        loop {
            let start = self.rest;
            self.skip_separators();
            let Some(name) = self.token() else { return found };
            self.rest = self.rest.trim_start_matches([' ', '\t']);
            let Some(rest) = self.rest.strip_prefix('=') else {
                // A token without `=` is not ours: it is the scheme of the next challenge.
                self.rest = start;
                return found;
            };
            self.rest = rest.trim_start_matches([' ', '\t']);
            match self.value() {
                Some(value) => found.push((name.to_ascii_lowercase(), value)),
                None => return found,
            }
        }
    }

    /// A token or a quoted string (RFC 9110, 5.6.4).
    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            return self.token().map(str::to_owned);
        };
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.rest = &quoted[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                c => value.push(c),
            }
        }
        // Not closed: half a realm is worse than none.
        self.rest = "";
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Bearer, CHALLENGES_MAX, Challenge, parse};

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer(Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
            error: None,
        })
    }

    #[test]
    fn each_form_a_registry_sends_is_read() {
        let scope = "repository:a/b:pull,push";
        let cases: [(&[&str], Vec<Challenge>); 9] = [
            (&["Basic realm=\"x\""], vec![Challenge::Basic]),
            (&["basic"], vec![Challenge::Basic]),
            (
                &[
                    "Bearer realm=\"https://t.io/token\",service=\"r.io\",scope=\"repository:a/b:pull,push\"",
                ],
                vec![bearer("https://t.io/token", Some("r.io"), Some(scope))],
            ),
            (
                &["BEARER Realm = https , service=\"r\\\"x\""],
                vec![bearer("https", Some("r\"x"), None)],
            ),
            (
                &["Basic realm=\"a, Bearer realm=b\", Bearer realm=\"c\", service=d"],
                vec![Challenge::Basic, bearer("c", Some("d"), None)],
            ),
            (
                &["Negotiate", "Basic realm=\"r\""],
                vec![Challenge::Other("Negotiate".into()), Challenge::Basic],
            ),
            (&["Negotiate, Basic"], vec![Challenge::Other("Negotiate".into()), Challenge::Basic]),
            (&["Bearer realm=\"open"], vec![bearer("", None, None)]),
            (&["", "=", "\"", ",,,"], vec![]),
        ];
        for (values, expected) in cases {
            assert_eq!(parse(values.iter().copied()), expected, "{values:?}");
        }
    }

    #[test]
    fn the_reason_a_token_did_not_do_is_kept() {
        let found = parse(["Bearer realm=\"r\",error=\"insufficient_scope\""].into_iter());
        assert!(matches!(&found[..], [Challenge::Bearer(it)]
            if it.error.as_deref() == Some("insufficient_scope")));
    }

    #[test]
    fn a_thousand_challenges_are_not_all_read() {
        let many = "Basic,".repeat(1000);
        assert_eq!(parse([many.as_str()].into_iter()).len(), CHALLENGES_MAX);
    }

    #[test]
    fn no_prefix_of_a_header_hangs_or_panics() {
        let value = "Bearer realm=\"h\\\"é\", scope=a b=c, Basic q=\"";
        for (at, _) in value.char_indices() {
            let _ = parse([&value[..at], &value[at..]].into_iter());
        }
    }
}
