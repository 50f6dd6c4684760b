//! Values of any nesting without rows about them, as another format carries them within its JSON.

use super::column::Filling;
use super::cursor::Cursor;
use super::fault::{Place, What};
use crate::codec::limits::{NESTING_MAX, VALUES_MAX};
use crate::tensor::{Data, ElementType, MisfitKind, RowShape};

/// Values that are not what is wanted.
#[derive(Debug)]
pub(in crate::codec) struct Unfit {
    pub(in crate::codec) kind: MisfitKind,
    /// What is wrong: `value 3 is null; expected float`.
    pub(in crate::codec) what: String,
    pub(in crate::codec) expected: Option<String>,
    pub(in crate::codec) found: Option<String>,
}

/// Reads a text that is one JSON value: an element, or lists of them to any depth, at most
/// `room` elements in all. The shape is that of the lists; of one flat list, its length.
pub(in crate::codec) fn read(
    text: &str,
    element: ElementType,
    room: usize,
) -> Result<(RowShape, Data<'static>), Unfit> {
    let mut cursor = Cursor::new(text);
    let mut filling = Filling::new(String::new(), element);
    let fault = match filling.read(&mut cursor, room) {
        Ok(_) if cursor.peek_token().is_none() => return Ok(filling.finish()),
        Ok(_) => cursor.fault(What::Syntax("the end of the value")),
        Err(fault) => fault,
    };
    let misfit =
        fault.into_misfit(text, Place { row: Some(0), column: None, element: Some(element) });
    let what = match (&misfit.expected, &misfit.found) {
        _ if fault.what == What::TooDeep => {
            format!("its lists go more than {NESTING_MAX} deep")
        }
        _ if fault.what == What::ManyValues => {
            format!("up to value {} of its data there are more than {VALUES_MAX}", filling.len())
        }
        _ if fault.what == What::Ragged => {
            "the lists of its data differ in length or depth".to_owned()
        }
        (Some(expected), Some(found)) => {
            format!("value {} is {found}; expected {expected}", filling.len())
        }
        (_, _) => misfit.sentence,
    };
    Err(Unfit { kind: misfit.kind, what, expected: misfit.expected, found: misfit.found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[test]
    fn lists_of_any_depth_are_read_with_their_shape() {
        let (shape, data) = read(" [[1, 2.5], [3, 4]] ", ElementType::F64, 4).unwrap();
        assert_eq!(shape, RowShape::Told(vec![2, 2]));
        assert_eq!(data, Data::F64(Cow::Borrowed(&[1.0, 2.5, 3.0, 4.0])));
        assert_eq!(read("[1,2]", ElementType::U8, 2).unwrap().0, RowShape::Flat(2));
    }

    #[test]
    fn a_fault_is_told_with_the_place_of_the_value() {
        let cases = [
            ("[[1,2],[null]]", MisfitKind::Null, "value 2 is null; expected int8"),
            ("[1,\"a\"]", MisfitKind::WrongType, "value 1 is a string; expected int8"),
            ("[1,2,300]", MisfitKind::ValueRange, "value 2 is 300; expected int8"),
            ("[[1,2],[3]]", MisfitKind::WrongShape, "lists of its data differ"),
            ("[1,2,3,4,5]", MisfitKind::OverLimit, "up to value 4 of its data"),
            ("[[[[[[[[[1]]]]]]]]]", MisfitKind::OverLimit, "more than 8 deep"),
            ("[1] 2", MisfitKind::Unreadable, "the end of the value"),
        ];
        for (text, kind, what) in cases {
            let unfit = read(text, ElementType::I8, 4).unwrap_err();
            assert_eq!(unfit.kind, kind, "{text}");
            assert!(unfit.what.contains(what), "{text}: {}", unfit.what);
        }
    }
}
