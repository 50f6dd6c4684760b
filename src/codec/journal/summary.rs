//! Inferences of one pipeline as counts alone: of each column how its values are spread.

use super::frame::{self, FrameError};
use super::gathered::{Origin, Stamp};
use super::header::{Batch, Header};
use crate::pipeline::Record;
use crate::tensor::{Data, NamedTensor, Table};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// Columns of one summary: what comes beyond them is not counted.
const COLUMNS_MAX: usize = 256;

/// The powers of ten between which values are told apart; beyond them are the first and last.
const POWERS: std::ops::RangeInclusive<i32> = -6..=9;

/// Three bounds in each power of ten, as in the latencies of the metrics.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

/// Counts of inferences.
#[derive(Debug)]
pub struct Summary {
    origin: Arc<Origin>,
    columns: BTreeMap<String, Spread>,
    failed: BTreeMap<String, u64>,
    records: u64,
    rows: u64,
    failures: u64,
    first: Moment,
    last: Moment,
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    ms: u64,
    mono_ms: u64,
}

/// How the values of a column are spread.
#[derive(Debug, Default)]
struct Spread {
    values: u64,
    /// NaN and infinities, which have no place among numbers.
    not_finite: u64,
    least: Option<f64>,
    greatest: Option<f64>,
    sum: f64,
    /// By bucket, of which most are empty: see [`bucket`].
    buckets: BTreeMap<i32, u64>,
    texts: u64,
    empty_texts: u64,
}

/// What a summary's frame holds, as JSON.
#[derive(Serialize)]
struct Wire<'a> {
    columns: BTreeMap<&'a str, SpreadWire>,
    /// In how many rows each validation failed.
    failed: &'a BTreeMap<String, u64>,
}

#[derive(Serialize)]
struct SpreadWire {
    values: u64,
    #[serde(skip_serializing_if = "is_zero")]
    not_finite: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<f64>,
    /// The upper bound of each bucket that is not empty, and how many values are in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    histogram: Vec<(Option<f64>, u64)>,
    #[serde(skip_serializing_if = "is_zero")]
    texts: u64,
    #[serde(skip_serializing_if = "is_zero")]
    empty_texts: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Summary {
    /// The counts of no inference; `mono_ms` and the record are of the first that is to be added.
    pub fn new(origin: Arc<Origin>, record: &Record<'_>, mono_ms: u64) -> Summary {
        let moment = Moment { ms: record.time_ms, mono_ms };
        Summary {
            origin,
            columns: BTreeMap::new(),
            failed: BTreeMap::new(),
            records: 0,
            rows: 0,
            failures: 0,
            first: moment,
            last: moment,
        }
    }

    /// Whether inferences of this origin are counted here.
    pub fn is_of(&self, origin: &Origin) -> bool {
        *self.origin == *origin
    }

    /// How many inferences these are.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Counts one more.
    pub fn add(&mut self, record: &Record<'_>, input: &Table<'_>, mono_ms: u64) {
        for column in input.columns() {
            self.count(format!("in.{}", column.name), &column.data);
        }
        self.outputs("out", &record.outputs);
        for shadow in &record.shadows {
            self.outputs(&format!("out_{}", shadow.model_name), &shadow.outputs);
        }
        for finding in &record.findings {
            let failed = finding.failed.iter().filter(|failed| **failed).count() as u64;
            *self.failed.entry(finding.name.clone()).or_default() += failed;
        }
        let failed = |row: &usize| record.findings.iter().any(|it| it.failed[*row]);
        self.failures += (0..input.rows()).filter(failed).count() as u64;
        self.records += 1;
        self.rows += input.rows() as u64;
        self.last = Moment { ms: record.time_ms, mono_ms };
    }

    fn outputs(&mut self, group: &str, outputs: &[NamedTensor<'_>]) {
        for output in outputs {
            self.count(format!("{group}.{}", output.name), output.tensor.data());
        }
    }

    fn count(&mut self, name: String, data: &Data<'_>) {
        if self.columns.len() == COLUMNS_MAX && !self.columns.contains_key(&name) {
            return;
        }
        let spread = self.columns.entry(name).or_default();
        macro_rules! each {
            ($values:expr, $to:expr) => {
                $values.iter().for_each(|value| spread.add($to(*value)))
            };
        }
        match data {
            Data::Bool(values) => each!(values, |value| f64::from(u8::from(value))),
            Data::F16(values) => each!(values, half::f16::to_f64),
            Data::F32(values) => each!(values, f64::from),
            Data::F64(values) => each!(values, |value| value),
            Data::I8(values) => each!(values, f64::from),
            Data::I16(values) => each!(values, f64::from),
            Data::I32(values) => each!(values, f64::from),
            Data::I64(values) => each!(values, |value| value as f64),
            Data::String(values) => {
                spread.texts += values.len() as u64;
                spread.empty_texts += values.iter().filter(|text| text.is_empty()).count() as u64;
            }
            Data::U8(values) => each!(values, f64::from),
            Data::U16(values) => each!(values, f64::from),
            Data::U32(values) => each!(values, f64::from),
            Data::U64(values) => each!(values, |value| value as f64),
        }
    }

    /// The frame of these counts.
    ///
    /// # Errors
    /// When it is over a limit.
    pub fn frame(&self, stamp: Stamp<'_>) -> Result<Vec<u8>, FrameError> {
        let columns = self.columns.iter().map(|(name, spread)| (name.as_str(), spread.wire()));
        let wire = Wire { columns: columns.collect(), failed: &self.failed };
        let payload = serde_json::to_vec(&wire).map_err(FrameError::Header)?;
        let Stamp { journal, first, boot, engine } = stamp;
        let Origin { pipeline, version, digest } = &*self.origin;
        let header = Header::Summary(Batch {
            journal,
            first,
            count: self.records,
            rows: self.rows,
            failures: self.failures,
            pipeline: pipeline.clone(),
            version: version.clone(),
            digest: digest.clone(),
            engine: engine.to_owned(),
            boot,
            first_ms: self.first.ms,
            last_ms: self.last.ms,
            first_mono_ms: self.first.mono_ms,
            last_mono_ms: self.last.mono_ms,
            schema: String::new(),
        });
        frame::encode(&header, &payload)
    }
}

impl Spread {
    fn add(&mut self, value: f64) {
        self.values += 1;
        if !value.is_finite() {
            self.not_finite += 1;
            return;
        }
        self.least = Some(self.least.map_or(value, |least| least.min(value)));
        self.greatest = Some(self.greatest.map_or(value, |greatest| greatest.max(value)));
        self.sum += value;
        *self.buckets.entry(bucket(value)).or_default() += 1;
    }

    fn wire(&self) -> SpreadWire {
        let finite = self.values - self.not_finite;
        SpreadWire {
            values: self.values,
            not_finite: self.not_finite,
            min: self.least,
            max: self.greatest,
            mean: (0 < finite).then(|| self.sum / finite as f64),
            histogram: self.buckets.iter().map(|(at, count)| (bound(*at), *count)).collect(),
            texts: self.texts,
            empty_texts: self.empty_texts,
        }
    }
}

/// The bounds between magnitudes, ascending.
static BOUNDS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    POWERS.flat_map(|power| STEPS.map(|step| step * 10_f64.powi(power))).collect()
});

/// The bucket of a finite value: 0 for the least magnitudes, with the sign of the value for others.
pub fn bucket(value: f64) -> i32 {
    let below = BOUNDS.partition_point(|bound| *bound < value.abs());
    let place = i32::try_from(below).unwrap_or(0);
    if value < 0.0 { -place } else { place }
}

/// The bucket that a frame tells by this bound: see [`bucket`].
#[cfg(feature = "ops")]
pub fn bucket_told(bound: Option<f64>) -> i32 {
    // A bound that was printed and read again may differ in its last digit.
    let place = |bound: f64| BOUNDS.partition_point(|known| *known < 0.99 * bound);
    let place = match bound {
        None => BOUNDS.len(),
        Some(bound) if bound < 0.0 => place(-bound) + 1,
        Some(bound) => place(bound),
    };
    let place = i32::try_from(place).unwrap_or(0);
    if bound.is_some_and(|bound| bound < 0.0) { -place } else { place }
}

/// The value that a bucket's values are at most; none for the last.
fn bound(bucket: i32) -> Option<f64> {
    let steps = STEPS.len() as i32;
    let at = |place: i32| {
        let (power, step) = (POWERS.start() + place / steps, (place % steps) as usize);
        (power <= *POWERS.end()).then(|| STEPS[step] * 10_f64.powi(power))
    };
    match bucket {
        // Of those below zero the bound is the one nearer to it.
        negative if negative < 0 => at(-negative - 1).map(|bound| -bound),
        bucket => at(bucket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Id;
    use crate::tensor::{Column, RowShape, Tensor};
    use std::borrow::Cow;

    #[test]
    fn a_bucket_holds_what_its_bound_says() {
        for value in [0.0, 1e-9, 0.5, 1.0, 1.5, 7.0, 123.0, 4e9, 1e12, -0.5, -3.0, -1e12] {
            let at = bucket(value);
            assert!(bound(at).is_none_or(|bound| value <= bound), "{value}: {at}");
            assert!(at <= 0 || bound(at - 1).is_some_and(|below| below < value), "{value}: {at}");
            #[cfg(feature = "ops")]
            assert_eq!(bucket_told(bound(at)), at, "{value}");
        }
    }

    #[test]
    fn a_summary_counts_and_tells_no_value_but_the_least_and_greatest() {
        let column = Column {
            name: "x".into(),
            row_shape: RowShape::Told(vec![2]),
            data: Data::F32(Cow::Owned(vec![1.0, 3.0, f32::NAN, -2.0])),
        };
        let text = Column {
            name: "who".into(),
            row_shape: RowShape::Told(vec![]),
            data: Data::String(Cow::Owned(vec!["somebody".into(), String::new()])),
        };
        let input = Table::new(2, vec![column, text]).unwrap();
        let data = Data::F64(Cow::Owned(vec![0.25, 0.75]));
        let tensor = Tensor::new(vec![2, 1], data).unwrap();
        let record = Record {
            findings: vec![],
            chosen: None,
            elapsed_ns: vec![],
            model_name: String::new(),
            model_version: String::new(),
            model_sha: String::new(),
            outputs: vec![NamedTensor { name: "y".into(), tensor }],
            shadows: vec![],
            pipeline_name: "p".into(),
            pipeline_version: String::new(),
            time_ms: 7,
        };
        let origin = Origin { pipeline: "p".into(), version: "".into(), digest: "d".into() };
        let mut summary = Summary::new(Arc::new(origin), &record, 3);
        (0..3).for_each(|_| summary.add(&record, &input, 4));
        let journal = Id::of_random([1; 16]);
        let stamp = Stamp { journal, first: 9, boot: None, engine: "0.1.0" };
        let bytes = summary.frame(stamp).unwrap();
        let frame = frame::first(&bytes).unwrap();
        let Header::Summary(batch) = &frame.header else { panic!("{:?}", frame.header) };
        assert_eq!((batch.first, batch.count, batch.rows), (9, 3, 6));
        assert_eq!(
            String::from_utf8_lossy(frame.payload),
            "{\"columns\":{\
             \"in.who\":{\"values\":0,\"texts\":6,\"empty_texts\":3},\
             \"in.x\":{\"values\":12,\"not_finite\":3,\"min\":-2.0,\"max\":3.0,\
             \"mean\":0.6666666666666666,\"histogram\":[[-1.0,3],[1.0,3],[5.0,3]]},\
             \"out.y\":{\"values\":6,\"min\":0.25,\"max\":0.75,\"mean\":0.5,\
             \"histogram\":[[0.5,3],[1.0,3]]}},\"failed\":{}}"
        );
    }
}
