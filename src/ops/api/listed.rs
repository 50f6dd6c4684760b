//! Lists in an answer, written while their records are read, so that none of these is kept.

use super::json_into;
use crate::http::server::Response;
use serde::Serialize;

/// An answer of lists under names, and what follows them.
#[derive(Debug)]
pub(super) struct Listed {
    json: Vec<u8>,
}

impl Listed {
    /// An answer that begins with the list of this name.
    pub(super) fn of(name: &'static str) -> Listed {
        let mut listed = Listed { json: b"{".to_vec() };
        listed.begin(name);
        listed
    }

    /// Adds to the list that is begun.
    pub(super) fn push(&mut self, item: &impl Serialize) {
        if !self.json.ends_with(b"[") {
            self.json.push(b',');
        }
        json_into(&mut self.json, item);
    }

    /// Ends the list that is begun, and begins another.
    pub(super) fn then(&mut self, name: &'static str) {
        self.json.extend_from_slice(b"],");
        self.begin(name);
    }

    /// The answer, with one more field where it has a value.
    pub(super) fn answer(mut self, name: &'static str, value: Option<&impl Serialize>) -> Response {
        self.json.push(b']');
        if let Some(value) = value {
            self.json.push(b',');
            json_into(&mut self.json, &name);
            self.json.push(b':');
            json_into(&mut self.json, value);
        }
        self.json.push(b'}');
        Response::new(200, "application/json", self.json)
    }

    fn begin(&mut self, name: &'static str) {
        json_into(&mut self.json, &name);
        self.json.extend_from_slice(b":[");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_lists_is_what_a_struct_of_them_would_be() {
        let mut listed = Listed::of("a");
        [1, 2].iter().for_each(|item| listed.push(item));
        listed.then("b");
        listed.push(&"[");
        listed.push(&"x");
        let answer = listed.answer("next", Some(&7));
        assert_eq!(answer.body(), br#"{"a":[1,2],"b":["[","x"],"next":7}"#);
        let empty = Listed::of("a").answer("next", None::<&i64>);
        assert_eq!(empty.body(), br#"{"a":[]}"#);
    }
}
