//! Arrow files made with Arrow's own writer, read by ours, and the other way round.

use super::*;
use crate::codec::{AnswerError, Dataset};
use crate::pipeline::{Finding, Record};
use crate::tensor::{Column, Data, ElementType, NamedTensor, RowShape, Table, Tensor};
use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, Int64Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{
    Array, BooleanArray, Float32Array, Int64Array, LargeStringArray, ListArray, StringArray,
    TimestampSecondArray,
};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::Field;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

fn port(name: &str) -> Port {
    Port { name: name.into(), element: ElementType::F32, dimensions: vec![] }
}

fn field(name: &str, array: &ArrayRef, metadata: &[(&str, &str)]) -> Field {
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Field::new(name, array.data_type().clone(), true)
        .with_metadata(metadata.collect::<HashMap<_, _>>())
}

fn file(batches: &[Vec<(Field, ArrayRef)>]) -> Vec<u8> {
    let fields: Vec<Field> = batches[0].iter().map(|(field, _)| field.clone()).collect();
    let schema = Arc::new(Schema::new(fields));
    let mut writer = FileWriter::try_new(Vec::new(), &schema).unwrap();
    for batch in batches {
        let arrays = batch.iter().map(|(_, array)| array.clone()).collect();
        writer.write(&RecordBatch::try_new(schema.clone(), arrays).unwrap()).unwrap();
    }
    writer.into_inner().unwrap()
}

fn one(array: ArrayRef, metadata: &[(&str, &str)]) -> Vec<u8> {
    file(&[vec![(field("tensor", &array, metadata), array)]])
}

fn float_lists(rows: &[&[f32]]) -> ArrayRef {
    Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(
        rows.iter().map(|row| Some(row.iter().map(|value| Some(*value)))),
    ))
}

fn tensor_column(body: Vec<u8>) -> Result<Column<'static>, Misfit> {
    let decoded = decode(Container::File, body, &[port("tensor")], &[])?;
    let table = decoded.table();
    let column = &table.columns()[0];
    let (name, row_shape) = (column.name.to_string().into(), column.row_shape.clone());
    Ok(Column { name, row_shape, data: column.data.clone().into_owned() })
}

#[test]
fn floats_are_lent_from_the_body_itself() {
    for array in [
        float_lists(&[&[1.0, 2.0], &[3.0, 4.0]]),
        Arc::new(Float32Array::from(vec![1.0, 2.0, 3.0, 4.0])),
    ] {
        let body = one(array, &[]);
        let allocation = body.as_ptr_range();
        let decoded = decode(Container::File, body, &[port("tensor")], &[]).unwrap();
        let table = decoded.table();
        let Data::F32(Cow::Borrowed(values)) = &table.columns()[0].data else {
            panic!("{table:?}")
        };
        assert_eq!(*values, [1.0, 2.0, 3.0, 4.0]);
        let lent = values.as_ptr_range();
        assert!(allocation.contains(&lent.start.cast()) && lent.end.cast() <= allocation.end);
    }
}

#[test]
fn the_shape_is_told_by_metadata_nesting_or_not_at_all() {
    let rows: [&[f32]; 2] = [&[0.0; 6], &[1.0; 6]];
    let extension = ("ARROW:extension:name", "arrow.fixed_shape_tensor");
    let told = |shape: &[usize]| RowShape::Told(shape.to_vec());
    let cases: [(&[(&str, &str)], RowShape); 5] = [
        (&[], RowShape::Flat(6)),
        (&[("tensor_type", "{\"shape\": [3, 2]}")], told(&[3, 2])),
        (&[("tensor_type", "{\"shape\":[null,2]}")], told(&[3, 2])),
        (&[extension, ("ARROW:extension:metadata", "{\"shape\":[2,3]}")], told(&[2, 3])),
        (&[("ARROW:extension:metadata", "{\"shape\":[2,3]}")], RowShape::Flat(6)),
    ];
    for (metadata, row_shape) in cases {
        let column = tensor_column(one(float_lists(&rows), metadata)).unwrap();
        assert_eq!(column.row_shape, row_shape, "{metadata:?}");
    }
    let scalars: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    assert_eq!(tensor_column(one(scalars, &[])).unwrap().row_shape, told(&[]));
}

#[test]
fn nested_lists_and_fixed_size_lists_are_flattened() {
    let mut lists = ListBuilder::new(FixedSizeListBuilder::new(Int64Builder::new(), 2));
    for row in 0..2 {
        for pair in 0..3 {
            lists.values().values().append_slice(&[row, pair]);
            lists.values().append(true);
        }
        lists.append(true);
    }
    let column = tensor_column(one(Arc::new(lists.finish()), &[])).unwrap();
    assert_eq!(column.row_shape, RowShape::Told(vec![3, 2]));
    assert_eq!(column.data, Data::I64(Cow::Borrowed(&[0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2])));
}

#[test]
fn several_and_sliced_batches_are_one_table() {
    let array = float_lists(&[&[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]]);
    let described = field("tensor", &array, &[]);
    let part = |from, rows| vec![(described.clone(), array.slice(from, rows))];
    let column = tensor_column(file(&[part(2, 1), part(0, 0), part(0, 2)])).unwrap();
    assert_eq!(column.data, Data::F32(Cow::Borrowed(&[5.0, 6.0, 1.0, 2.0, 3.0, 4.0])));
}

#[test]
fn text_and_truth_values_are_copied() {
    let bits: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    assert_eq!(
        tensor_column(one(bits, &[])).unwrap().data,
        Data::Bool(Cow::Borrowed(&[true, false]))
    );
    let texts: [ArrayRef; 2] = [
        Arc::new(StringArray::from(vec!["a", "é"])),
        Arc::new(LargeStringArray::from(vec!["a", "é"])),
    ];
    for array in texts {
        let column = tensor_column(one(array, &[])).unwrap();
        assert_eq!(column.data, Data::String(Cow::Owned(vec!["a".into(), "é".into()])));
    }
}

#[test]
fn a_type_that_no_model_takes_is_refused_only_where_wanted() {
    let odd: ArrayRef = Arc::new(TimestampSecondArray::from(vec![1, 2]));
    let array = float_lists(&[&[1.0], &[2.0]]);
    let wanted = (field("tensor", &array, &[]), array);
    let body = file(&[vec![(field("odd", &odd, &[]), odd.clone()), wanted]]);
    assert_eq!(tensor_column(body).unwrap().data, Data::F32(Cow::Borrowed(&[1.0, 2.0])));
    let misfit = tensor_column(one(odd, &[])).unwrap_err();
    assert_eq!(misfit.kind, MisfitKind::WrongType);
    assert_eq!(misfit.column.as_deref(), Some("tensor"));
}

#[test]
fn a_fault_in_the_rows_names_column_and_row() {
    let mut inner = ListBuilder::new(Float32Builder::new());
    inner.append_value([Some(1.0), Some(2.0)]);
    inner.append_value([Some(1.0), None]);
    let mut outer = ListBuilder::new(Float32Builder::new());
    outer.append_value([Some(1.0)]);
    outer.append_null();
    let cases: [(ArrayRef, MisfitKind); 3] = [
        (Arc::new(inner.finish()), MisfitKind::Null),
        (Arc::new(outer.finish()), MisfitKind::Null),
        (float_lists(&[&[1.0], &[2.0, 3.0]]), MisfitKind::WrongShape),
    ];
    for (array, kind) in cases {
        let misfit = tensor_column(one(array, &[])).unwrap_err();
        assert_eq!(misfit.kind, kind, "{misfit}");
        assert_eq!((misfit.column.as_deref(), misfit.row), (Some("tensor"), Some(1)), "{misfit}");
        assert!(misfit.sentence.contains("column `tensor`, row 1"), "{misfit}");
    }
}

#[test]
fn a_told_shape_must_have_as_many_values_as_the_rows() {
    let body = one(float_lists(&[&[1.0; 6]]), &[("tensor_type", "{\"shape\": [4]}")]);
    let misfit = tensor_column(body).unwrap_err();
    assert_eq!(
        misfit.sentence,
        "column `tensor` has 6 values in each row, its metadata tell shape [4]"
    );
    let body = one(float_lists(&[&[1.0]]), &[("tensor_type", "4")]);
    assert_eq!(tensor_column(body).unwrap_err().kind, MisfitKind::Unreadable);
}

#[test]
fn what_is_no_arrow_file_is_told_apart() {
    let array = float_lists(&[&[1.0]]);
    let good = one(array.clone(), &[]);
    let schema = Schema::new(vec![field("tensor", &array, &[])]);
    let mut stream = StreamWriter::try_new(Vec::new(), &schema).unwrap();
    stream.write(&RecordBatch::try_new(Arc::new(schema), vec![array.clone()]).unwrap()).unwrap();
    let cases = [
        (
            stream.into_inner().unwrap(),
            "the body is an Arrow stream; send it as `application/vnd.apache.arrow.stream`, or write \
             an Arrow file",
        ),
        (
            good[..good.len() - 1].to_vec(),
            "the body is not a sound Arrow file: it ends before its footer, as when it was cut short",
        ),
        (
            b"[{\"tensor\":[1]}]".to_vec(),
            "the body is not a sound Arrow file: it does not begin with `ARROW1`",
        ),
        (Vec::new(), "the body is empty: send an Arrow file"),
        (one(array.slice(0, 0), &[]), "the Arrow file has no rows"),
    ];
    for (body, sentence) in cases {
        assert_eq!(tensor_column(body).unwrap_err().sentence, sentence);
    }
}

fn answer<'a>(outputs: Vec<NamedTensor<'a>>) -> Record<'a> {
    Record {
        findings: vec![],
        chosen: None,
        shadows: vec![],
        elapsed_ns: vec![10, 5_000_000_000],
        model_name: "m".into(),
        model_version: String::new(),
        model_sha: "ab".into(),
        outputs,
        pipeline_name: "p".into(),
        pipeline_version: "v".into(),
        time_ms: 1_698_785_222_951,
    }
}

/// A validation that every second of these rows failed, the first among them.
fn low(rows: usize) -> Finding {
    let failed = (0..rows).map(|row| row % 2 == 0).collect();
    Finding { name: "low".into(), text: "a < 1".into(), failed }
}

fn output<'a>(name: &str, shape: &[usize], data: Data<'a>) -> NamedTensor<'a> {
    NamedTensor { name: name.into(), tensor: Tensor::new(shape.to_vec(), data).unwrap() }
}

fn input_of(rows: usize, values: &[f32]) -> Table<'_> {
    let column = Column {
        name: "tensor".into(),
        row_shape: RowShape::Flat(values.len() / rows),
        data: Data::F32(Cow::Borrowed(values)),
    };
    Table::new(rows, vec![column]).unwrap()
}

fn written(record: &Record<'_>, input: &Table<'_>) -> RecordBatch {
    let body = write_arrow(record, input).unwrap();
    FileReader::try_new(std::io::Cursor::new(body), None).unwrap().next().unwrap().unwrap()
}

#[test]
fn an_answer_has_the_columns_of_the_original() {
    let mut record = answer(vec![
        output("class", &[2], Data::I64(Cow::Borrowed(&[7, 8]))),
        output("scores", &[2, 3], Data::F32(Cow::Borrowed(&[0.5; 6]))),
    ]);
    record.findings = vec![low(2)];
    let batch = written(&record, &input_of(2, &[1.0, 2.0, 3.0, 4.0]));
    let schema = batch.schema();
    let types: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| format!("{} {} {}", field.name(), field.data_type(), field.is_nullable()))
        .collect();
    assert_eq!(
        types,
        [
            "time Int64 false",
            "in Struct(\"tensor\": non-null List(Float32), metadata: \
             {\"tensor_type\": \"{\\\"shape\\\":[2]}\"}) false",
            "out Struct(\"class\": non-null List(non-null Int64, field: 'inner'), metadata: \
             {\"tensor_type\": \"{\\\"shape\\\":[1]}\"}, \"scores\": non-null \
             List(non-null Float32, field: 'inner'), metadata: \
             {\"tensor_type\": \"{\\\"shape\\\":[3]}\"}) false",
            "check_failures List(Utf8) false",
            "metadata Struct(\"last_model\": non-null Utf8, \"pipeline_version\": non-null Utf8, \
             \"elapsed\": non-null List(non-null UInt64, field: 'steps'), \
             \"dropped\": non-null List(Utf8), \"partition\": non-null Utf8) false",
        ]
    );
    let second = batch.column(2).as_struct().column(0).as_list::<i32>().value(1);
    assert_eq!(second.as_primitive::<Int64Type>().values()[..], [8]);
    let failures = batch.column(3).as_list::<i32>();
    assert_eq!(failures.value(0).as_string::<i32>().value(0), "a < 1");
    assert!(failures.value(1).is_empty());
    let metadata = batch.column(4).as_struct();
    let model = metadata.column(0).as_string::<i32>().value(1);
    assert_eq!(model, "{\"model_name\":\"m\",\"model_sha\":\"ab\"}");
    let elapsed = metadata.column(2).as_list::<i32>().value(0);
    assert_eq!(elapsed.as_primitive::<UInt64Type>().values()[..], [10, 5_000_000_000]);
}

#[test]
fn outputs_are_divided_among_the_rows() {
    let cases: [(&[usize], usize, Option<&str>); 6] = [
        (&[2, 4], 2, Some("[4]")),
        (&[4, 2], 2, Some("[2, 2]")),
        (&[4, 2], 1, Some("[4, 2]")),
        (&[1, 8], 1, Some("[8]")),
        (&[8], 8, Some("[1]")),
        (&[8], 3, None),
    ];
    for (shape, rows, told) in cases {
        let record = answer(vec![output("o", shape, Data::F32(Cow::Borrowed(&[0.0; 8])))]);
        let input = vec![0.0; rows];
        match (write_arrow(&record, &input_of(rows, &input)), told) {
            (Ok(_), Some(told)) => {
                let batch = written(&record, &input_of(rows, &input));
                let out = batch.column(2).as_struct();
                let expected =
                    HashMap::from([("tensor_type".to_owned(), format!("{{\"shape\":{told}}}"))]);
                assert_eq!(out.fields()[0].metadata(), &expected, "{shape:?} for {rows}");
            }
            (Err(AnswerError::NotInRows { output, .. }), None) => assert_eq!(output, "o"),
            (answer, _) => panic!("{shape:?} for {rows}: {answer:?}"),
        }
    }
}

#[test]
fn the_later_form_counts_anomalies_and_has_what_a_query_asks_for() {
    let mut record = answer(vec![output("o", &[2], Data::F32(Cow::Borrowed(&[0.5, 1.5])))]);
    record.findings = vec![low(2)];
    let input = [1.0, 2.0];
    let batch = |query: &str| {
        let dataset = Dataset::parse(Some(query)).unwrap();
        let body = write_rows_arrow(&record, &input_of(2, &input), "edge-1", &dataset).unwrap();
        FileReader::try_new(std::io::Cursor::new(body), None).unwrap().next().unwrap().unwrap()
    };
    let whole = batch("");
    let schema = whole.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["time", "in", "out", "anomaly", "metadata"]);
    assert_eq!(
        format!("{}", schema.field(3).data_type()),
        concat!(
            "Struct(\"count\": non-null UInt32, metadata: {\"tensor_type\": \"{\\\"shape\\\":[]}\"}, ",
            "\"low\": non-null Boolean, metadata: {\"tensor_type\": \"{\\\"shape\\\":[]}\"})"
        )
    );
    let count = whole.column(3).as_struct().column(0).as_primitive::<UInt32Type>().clone();
    assert_eq!(count.values()[..], [1, 0]);
    let partition = whole.column(4).as_struct().column(4).as_string::<i32>().clone();
    assert_eq!(partition.value(1), "edge-1");
    let flat = batch("dataset[]=out&dataset[]=anomaly.count&dataset.separator=.");
    let schema = flat.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["out.o", "anomaly.count"]);
    assert_eq!(schema.field(0).metadata()["tensor_type"], "{\"shape\":[1]}");
    let alone = batch("dataset[]=out");
    assert_eq!(alone.schema().field(0).name(), "o");
}
