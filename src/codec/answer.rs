//! An inference record as the list of one that the contract shows, byte for byte in its form.

use super::literal::{float, json, list};
use crate::pipeline::{Finding, Record};
use crate::tensor::{Data, NamedTensor};

/// Bytes of a record without its outputs: names, versions, numbers.
const FRAME_BYTES: usize = 512;

/// Bytes that one value takes with its comma: a widened `float` has up to 24, most have fewer.
const VALUE_BYTES: usize = 20;

/// The version of the form of an output, `"v"`.
const OUTPUT_VERSION: u64 = 1;

/// Writes a record as JSON: a list with one element, keys in alphabetical order at each level,
/// no white space. Floats are widened to 64 bits and printed in the shortest form that reads
/// back the same; NaN and infinities, which JSON does not have, become `null`.
pub fn write_records(record: &Record<'_>) -> Vec<u8> {
    let values: usize = record.outputs.iter().map(|output| output.tensor.data().len()).sum();
    let reserve = values.saturating_mul(VALUE_BYTES).saturating_add(FRAME_BYTES);
    let mut out = Vec::with_capacity(reserve);
    out.extend_from_slice(b"[{\"check_failures\":");
    let failures: Vec<&Finding> = record.findings.iter().filter(|it| it.is_failure()).collect();
    list(&mut out, &failures, |out, failure| {
        out.extend_from_slice(b"{\"False\":{\"expr\":");
        json(out, &failure.text);
        out.extend_from_slice(b"}}");
    });
    out.extend_from_slice(b",\"elapsed\":");
    list(&mut out, &record.elapsed_ns, json);
    out.extend_from_slice(b",\"model_name\":");
    json(&mut out, &record.model_name);
    out.extend_from_slice(b",\"model_version\":");
    json(&mut out, &record.model_version);
    out.extend_from_slice(b",\"original_data\":null,\"outputs\":");
    list(&mut out, &record.outputs, output);
    out.extend_from_slice(b",\"pipeline_name\":");
    json(&mut out, &record.pipeline_name);
    out.extend_from_slice(b",\"shadow_data\":{");
    for (index, shadow) in record.shadows.iter().enumerate() {
        if 0 < index {
            out.push(b',');
        }
        json(&mut out, &shadow.model_name);
        out.push(b':');
        list(&mut out, &shadow.outputs, output);
    }
    out.extend_from_slice(b"},\"time\":");
    json(&mut out, &record.time_ms);
    out.extend_from_slice(b"}]");
    out
}

/// One output under the name of its element type. The model's name for it is not in this form.
fn output(out: &mut Vec<u8>, output: &NamedTensor<'_>) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(output.tensor.element().record_key().as_bytes());
    out.extend_from_slice(b"\":{\"data\":");
    data(out, output.tensor.data());
    out.extend_from_slice(b",\"dim\":");
    list(out, output.tensor.shape(), json);
    out.extend_from_slice(b",\"v\":");
    json(out, &OUTPUT_VERSION);
    out.extend_from_slice(b"}}");
}

fn data(out: &mut Vec<u8>, data: &Data<'_>) {
    match data {
        Data::Bool(values) => list(out, values, json),
        Data::F16(values) => list(out, values, |out, value| float(out, value.to_f64())),
        Data::F32(values) => list(out, values, |out, value| float(out, f64::from(*value))),
        Data::F64(values) => list(out, values, |out, value| float(out, *value)),
        Data::I8(values) => list(out, values, json),
        Data::I16(values) => list(out, values, json),
        Data::I32(values) => list(out, values, json),
        Data::I64(values) => list(out, values, json),
        Data::String(values) => list(out, values, json),
        Data::U8(values) => list(out, values, json),
        Data::U16(values) => list(out, values, json),
        Data::U32(values) => list(out, values, json),
        Data::U64(values) => list(out, values, json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;
    use half::f16;
    use std::borrow::Cow;

    fn named<'a>(shape: &[usize], data: Data<'a>) -> NamedTensor<'a> {
        NamedTensor { name: "out".into(), tensor: Tensor::new(shape.to_vec(), data).unwrap() }
    }

    fn record(outputs: Vec<NamedTensor<'_>>) -> Record<'_> {
        Record {
            findings: vec![],
            chosen: None,
            shadows: vec![],
            elapsed_ns: vec![1_067_541, 21_209_776],
            model_name: "resnet-50".into(),
            model_version: "2e05e1d0-fcb3-4213-bba8-4bac13f53e8d".into(),
            model_sha: String::new(),
            outputs,
            pipeline_name: "edge-cv-demo".into(),
            pipeline_version: String::new(),
            time_ms: 1_694_205_578_428,
        }
    }

    #[test]
    fn a_record_has_the_bytes_of_the_contract() {
        let probabilities =
            [0.00009498586587142199_f64, 0.00009141524787992239, 0.0004606838047038764];
        let probabilities = probabilities.map(|value| value as f32);
        let record = record(vec![
            named(&[1], Data::I64(Cow::Borrowed(&[535]))),
            named(&[1, 3], Data::F32(Cow::Borrowed(&probabilities))),
        ]);
        assert_eq!(
            String::from_utf8(write_records(&record)).unwrap(),
            concat!(
                r#"[{"check_failures":[],"elapsed":[1067541,21209776],"model_name":"resnet-50","#,
                r#""model_version":"2e05e1d0-fcb3-4213-bba8-4bac13f53e8d","original_data":null,"#,
                r#""outputs":[{"Int64":{"data":[535],"dim":[1],"v":1}},{"Float":{"data":["#,
                r#"0.00009498586587142199,0.00009141524787992239,0.0004606838047038764],"#,
                r#""dim":[1,3],"v":1}}],"pipeline_name":"edge-cv-demo","shadow_data":{},"#,
                r#""time":1694205578428}]"#
            )
        );
    }

    #[test]
    fn every_element_type_is_json() {
        let halves = [f16::from_f32(0.1), f16::NAN];
        let texts = ["a \"b\"\n\u{1}".to_owned()];
        let mut record = record(vec![
            named(&[2], Data::Bool(Cow::Borrowed(&[true, false]))),
            named(&[2], Data::F16(Cow::Borrowed(&halves))),
            named(&[1, 1], Data::String(Cow::Borrowed(&texts))),
            named(&[], Data::U64(Cow::Borrowed(&[u64::MAX]))),
            named(&[0, 4], Data::F64(Cow::Borrowed(&[]))),
        ]);
        let (name, text) = ("v".into(), "a < \"1\"".into());
        record.findings = vec![Finding { name, text, failed: vec![false, true] }];
        let written = String::from_utf8(write_records(&record)).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(parsed[0]["check_failures"][0]["False"]["expr"], "a < \"1\"");
        assert!(written.contains(concat!(
            r#""outputs":[{"Bool":{"data":[true,false],"dim":[2],"v":1}},"#,
            r#"{"Half":{"data":[0.0999755859375,null],"dim":[2],"v":1}},"#,
            r#"{"String":{"data":["a \"b\"\n\u0001"],"dim":[1,1],"v":1}},"#,
            r#"{"Uint64":{"data":[18446744073709551615],"dim":[],"v":1}},"#,
            r#"{"Double":{"data":[],"dim":[0,4],"v":1}}]"#
        )));
    }
}
