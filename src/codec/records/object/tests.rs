//! What an object of columns becomes, and what is said of those that cannot be read.

use crate::codec::limits::{COLUMNS_MAX, ROWS_MAX};
use crate::codec::records::decode;
use crate::codec::records::tests::{floats, port, refused, two};
use crate::tensor::{Data, ElementType, MisfitKind, RowShape};
use std::borrow::Cow;

#[test]
fn the_outer_list_of_each_column_is_its_rows() {
    let text = " {\"tensor\" : [ [1.5,2, -3e0],\n[4,5,6] ] } ";
    let decoded = decode(text.as_bytes(), &floats(), &[]).unwrap();
    let table = decoded.table();
    let column = table.column("tensor").unwrap();
    assert_eq!((table.rows(), &column.row_shape), (2, &RowShape::Flat(3)));
    assert_eq!(column.data, Data::F32(Cow::Borrowed(&[1.5, 2.0, -3.0, 4.0, 5.0, 6.0])));
    let decoded = decode(br#"{"tensor":[1,2,3]}"#, &floats(), &[]).unwrap();
    assert_eq!((decoded.table().rows(), decoded.table().columns()[0].data.len()), (3, 3));
}

#[test]
fn columns_come_in_any_order_among_others() {
    let text = r#"{"x":{"y":[null]},"b":["é","\n"],"z":7,"a":[[[1],[2]],[[3],[4]]]}"#;
    let decoded = decode(text.as_bytes(), &two(), &[]).unwrap();
    let table = decoded.table();
    let [first, second] = table.columns() else { panic!("{table:?}") };
    assert_eq!((&*first.name, &first.row_shape), ("b", &RowShape::Told(vec![])));
    assert_eq!(second.row_shape, RowShape::Told(vec![2, 1]));
    assert_eq!(second.data, Data::I64(Cow::Borrowed(&[1, 2, 3, 4])));
}

#[test]
fn an_only_column_stands_for_an_only_input_under_its_own_name() {
    let decoded = decode(br#"{"d\u0061ta":[[1],[2]]}"#, &floats(), &[]).unwrap();
    assert_eq!(decoded.table().columns()[0].name, "data");
    assert_eq!(refused(r#"{"x":[1],"y":[1]}"#, &floats()).kind, MisfitKind::MissingColumn);
}

#[test]
fn strings_for_bytes_are_base64_in_either_form() {
    let inputs = [port("image", ElementType::U8)];
    for text in [
        r#"{"image":["AP8Q","/wAB"]}"#,
        r#"[{"image":"AP8Q"},{"image":"\/wAB"}]"#,
        r#"[{"image":[0,255,16]},{"image":"/wAB"}]"#,
    ] {
        let decoded = decode(text.as_bytes(), &inputs, &[]).unwrap();
        let table = decoded.table();
        assert_eq!(table.columns()[0].row_shape, RowShape::Flat(3), "{text}");
        assert_eq!(table.columns()[0].data, Data::U8(Cow::Borrowed(&[0, 255, 16, 255, 0, 1])));
    }
    let nested = decode(br#"{"image":[["AP8Q","/wAB"]]}"#, &inputs, &[]).unwrap();
    assert_eq!(nested.table().columns()[0].row_shape, RowShape::Told(vec![2, 3]));
    let cases = [
        (r#"["AP8Q","AA"]"#, MisfitKind::WrongShape, "row 1 has 1 values, the first row 3 values"),
        (r#"["AP8Q","A+*="]"#, MisfitKind::WrongType, "row 1 has a string that is not base64"),
        (r#"[["AP8Q",1]]"#, MisfitKind::WrongShape, "row 0: the lists within the value differ"),
        (r#"[[1,"AP8Q"]]"#, MisfitKind::WrongShape, "row 0: the lists within the value differ"),
        (r#"[[[[[[[[["AA=="]]]]]]]]]"#, MisfitKind::OverLimit, "row 0: the lists go too deep"),
    ];
    for (value, kind, part) in cases {
        let misfit = refused(&format!(r#"{{"image":{value}}}"#), &inputs);
        assert_eq!(misfit.kind, kind, "{value}: {misfit}");
        assert!(misfit.sentence.contains(part), "{value}: {misfit}");
    }
}

#[test]
fn columns_of_unlike_rows_are_both_named() {
    let misfit = refused(r#"{"b":["x","y"],"a":[1,2,3]}"#, &two());
    assert_eq!(misfit.kind, MisfitKind::WrongShape);
    assert_eq!(misfit.sentence, "column `a` has 3 rows, column `b` has 2 rows");
    assert_eq!(misfit.expected.as_deref(), Some("2 rows"));
    assert_eq!(refused(r#"{"b":[],"a":[1]}"#, &two()).kind, MisfitKind::WrongShape);
}

#[test]
fn a_fault_in_a_value_names_column_and_row() {
    use MisfitKind::{NotANumber, Null, OverLimit, Unreadable, ValueRange, WrongShape, WrongType};
    let cases = [
        ("[1,null]", Null),
        ("null", Null),
        ("[1,NaN]", NotANumber),
        ("[1,\"2\"]", WrongType),
        ("{\"0\":1}", WrongType),
        ("[1,1e39]", ValueRange),
        ("[1]", WrongShape),
        ("5", WrongShape),
        ("[[1],[2,3]]", WrongShape),
        ("[[[[[[[[[1]]]]]]]]]", OverLimit),
        ("[1,2", Unreadable),
    ];
    for (value, kind) in cases {
        let misfit = refused(&format!("{{\"tensor\":[[1,2],{value}]}}"), &floats());
        assert_eq!(misfit.kind, kind, "{value}: {misfit}");
        if kind != Unreadable {
            let place = (misfit.column.as_deref(), misfit.row);
            assert_eq!(place, (Some("tensor"), Some(1)), "{value}: {misfit}");
        }
    }
}

#[test]
fn sentences_say_what_is_wrong() {
    let cases = [
        (r#"{"a":5,"b":[]}"#, "column `a` has a number, not a list with one value for each row"),
        (r#"{"a":{"0":1}}"#, "column `a` has an object, not a list with one value for each row"),
        (r#"{"a":null}"#, "tensor values may not be null: column `a` has a null"),
        (r#"{"a":[1],"a":[2]}"#, "column `a` is given twice"),
        (r#"{"a":[1]}"#, "column `b` is missing: the model takes `a`, `b`, the data has `a`"),
        ("{}", "column `a` is missing: the model takes `a`, `b`, the data has no column"),
        (
            r#"{"a":[],"b":[]}"#,
            "the columns have no rows: send a list of rows, `[{\"column\": [1.0, 2.0]}, …]`",
        ),
        (
            r#"{"a":[1],"b":["x"]} {}"#,
            "the body is not JSON at line 1, column 21: expected the end of the body, found '{'",
        ),
        (
            r#"{"a":[1],"b":["x"}"#,
            "the body is not JSON at line 1, column 18: expected `,` or `]`, found '}'",
        ),
        (
            r#"{"a":[1"#,
            "the body is not JSON: it ends at line 1, column 8, in the middle of a value",
        ),
    ];
    for (text, sentence) in cases {
        assert_eq!(refused(text, &two()).sentence, sentence);
    }
}

#[test]
fn rows_and_columns_are_limited() {
    let many = format!("{{\"tensor\":[{}1]}}", "1,".repeat(ROWS_MAX));
    assert_eq!(refused(&many, &floats()).kind, MisfitKind::OverLimit);
    let columns: String = (0..COLUMNS_MAX).map(|index| format!(",\"c{index}\":0")).collect();
    let wide = format!("{{\"tensor\":[1]{columns}}}");
    assert_eq!(refused(&wide, &floats()).sentence, "the object has more than 1024 columns");
}
