//! Baselines from values to an index: of numbers, kinds, texts, lists and summaries.

use super::baseline::Baseline;
use super::bins::Bins;
use super::count::Counts;
use super::gathered::Gathered;
use super::make::of_file;
use super::report::column_drift;
use crate::codec::journal::bucket;
use crate::codec::logs::{LogColumn, LogSummary, LogValues, SummedColumn};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};

fn numbers(name: &str, width: usize, values: Vec<f64>) -> LogColumn {
    let offsets = (0..=values.len() / width).map(|row| row * width).collect();
    LogColumn { name: name.to_owned(), offsets, values: LogValues::Numbers(values) }
}

fn texts(name: &str, values: &[Option<&str>]) -> LogColumn {
    let offsets = (0..=values.len()).collect();
    let values = values.iter().map(|text| text.map(str::to_owned)).collect();
    LogColumn { name: name.to_owned(), offsets, values: LogValues::Texts(values) }
}

fn baseline(columns: &[LogColumn]) -> Baseline {
    let mut gathered = Gathered::default();
    gathered.add(columns);
    Baseline::of(gathered.columns().0)
}

fn psi(baseline: &Baseline, counts: &Counts, label: &str) -> Option<f64> {
    let place = baseline.columns.iter().position(|it| it.to_string() == label).unwrap();
    let (first, _) = baseline.begins(place);
    let column = &baseline.columns[place];
    super::bins::psi(&column.counts, &counts.bins[first..first + column.bins.len()])
}

#[test]
fn what_a_baseline_was_made_of_has_not_moved_from_it() {
    let column = numbers("in.x", 1, (0..1000).map(|at| f64::from(at).sin()).collect());
    let baseline = baseline(std::slice::from_ref(&column));
    let mut counts = Counts::none(&baseline);
    counts.add(&baseline, &[column], 0..1000);
    assert_eq!(psi(&baseline, &counts, "in.x"), Some(0.0));
    assert_eq!(baseline.columns[0].counts.iter().take(10).max(), Some(&100));
}

#[test]
fn elements_of_a_list_are_told_apart_and_together_and_those_of_an_image_together_alone() {
    let list = numbers("in.x", 3, (0..300).map(|at| f64::from(at) / 7.0).collect());
    let image = numbers("in.image", 1000, vec![0.5; 4000]);
    let one = numbers("out.y", 1, vec![0.25; 100]);
    let baseline = baseline(&[list, image, one]);
    let labels: Vec<String> = baseline.columns.iter().map(ToString::to_string).collect();
    assert_eq!(labels, ["in.image", "in.x", "in.x[0]", "in.x[1]", "in.x[2]", "out.y"]);
    assert_eq!(baseline.columns[1].counts.iter().sum::<u64>(), 300);
    assert_eq!(baseline.columns[2].counts.iter().sum::<u64>(), 100);
}

#[test]
fn few_whole_numbers_and_texts_have_a_bin_each_and_what_is_missing_one_of_its_own() {
    let kinds = numbers("in.kind", 1, vec![0.0, 1.0, 1.0, f64::NAN]);
    let names = texts("in.name", &[Some("b"), Some("a"), None, Some("b")]);
    let baseline = baseline(&[kinds, names]);
    assert_eq!(baseline.columns[0].bins, Bins::Numbers { values: vec![0.0, 1.0] });
    assert_eq!(baseline.columns[0].counts, [1, 2, 0, 1]);
    assert_eq!(baseline.columns[1].bins.labels(), ["a", "b", "other", "missing"]);
    assert_eq!(baseline.columns[1].counts, [1, 2, 0, 1]);
    let mut counts = Counts::none(&baseline);
    let now = [numbers("in.kind", 1, vec![7.0]), texts("in.name", &[Some("new")])];
    counts.add(&baseline, &now, 0..1);
    assert_eq!(counts.bins[..4], [0, 0, 1, 0]);
    assert!(1.0 < psi(&baseline, &counts, "in.name").unwrap());
}

#[test]
fn a_summary_is_counted_in_the_same_bins_as_the_rows_that_it_stands_for() {
    let values: Vec<f64> = (0..1000).map(|at| (f64::from(at) * 0.37).sin() * 50.0).collect();
    let baseline = baseline(&[numbers("in.x", 1, values.clone())]);
    let mut buckets: BTreeMap<i32, u64> = BTreeMap::new();
    for value in &values {
        *buckets.entry(bucket(*value)).or_default() += 1;
    }
    let summed = SummedColumn { not_finite: 3, buckets: buckets.into_iter().collect(), texts: 0 };
    let columns = BTreeMap::from([("in.x".to_owned(), summed)]);
    let mut counts = Counts::none(&baseline);
    counts.add_summary(&baseline, &LogSummary { rows: 1003, columns });
    let coarse = baseline.columns[0].coarse.as_ref().unwrap();
    let (_, first) = baseline.begins(0);
    let found = &counts.bins[first..first + coarse.len()];
    assert_eq!(found[..coarse.len() - 1], coarse.counts[..coarse.len() - 1]);
    assert_eq!((found[coarse.len() - 1], counts.rows), (3, 1003));
    assert_eq!(coarse.len(), 5, "{coarse:?}");
}

#[test]
fn summaries_among_rows_are_told_by_their_own_bins_and_what_they_hide_is_said() {
    let values: Vec<f64> = (0..1000).map(|at| f64::from(at) / 10.0).collect();
    let rows = [
        numbers("in.x", 1, values),
        numbers("in.narrow", 1, (0..1000).map(|at| 0.61 + f64::from(at) / 1e5).collect()),
        texts("in.name", &[Some("a"); 1000]),
    ];
    let baseline = baseline(&rows);
    let summed = |buckets| SummedColumn { not_finite: 0, buckets, texts: 0 };
    let columns = BTreeMap::from([
        ("in.x".to_owned(), summed(vec![(bucket(3.0), 500)])),
        ("in.narrow".to_owned(), summed(vec![(bucket(0.7), 500)])),
        ("in.name".to_owned(), SummedColumn { texts: 500, ..SummedColumn::default() }),
    ]);
    let mut alone = Counts::none(&baseline);
    alone.add_summary(&baseline, &LogSummary { rows: 500, columns });
    let mut mixed = alone.clone();
    mixed.add(&baseline, &rows, 0..1000);
    let of = |counts: &Counts, label: &str| {
        let place = baseline.columns.iter().position(|it| it.to_string() == label).unwrap();
        let drift = column_drift(&baseline, place, counts, &[]);
        (drift.psi.map(|psi| psi > 0.25), drift.values, drift.note.is_some())
    };
    assert_eq!(of(&alone, "in.x"), (Some(true), 500, true));
    assert_eq!(of(&mixed, "in.x"), (Some(true), 1500, true));
    assert_eq!(of(&alone, "in.narrow").0, None, "all of it is in one bucket");
    assert_eq!(of(&alone, "in.name"), (None, 0, true));
    assert_eq!(of(&mixed, "in.name"), (Some(false), 1000, false));
    let mut exact = Counts::none(&baseline);
    exact.add(&baseline, &rows, 0..1000);
    assert_eq!(of(&exact, "in.narrow"), (Some(false), 1000, false));
}

#[test]
fn a_sample_of_many_values_has_their_quantiles() {
    let values = (0..200_000).map(|at| f64::from(at * 7919 % 200_000) + 0.5).collect();
    let baseline = baseline(&[numbers("in.x", 1, values)]);
    let Bins::Quantiles { bounds } = &baseline.columns[0].bins else { panic!("{baseline:?}") };
    for (place, bound) in bounds.iter().enumerate() {
        let wanted = 20_000.0 * (place as f64 + 1.0);
        assert!((bound - wanted).abs() < 4_000.0, "{place}: {bound}");
    }
    let total: u64 = baseline.columns[0].counts.iter().sum();
    assert!(total.abs_diff(200_000) < 20, "{total}");
}

#[test]
fn a_damaged_or_foreign_file_is_refused_and_ends_nothing() {
    let attempts: [&[u8]; 9] = [
        b"",
        b"[]",
        b"{\"a\": 1}",
        b"[1, 2]",
        b"[{\"a\": 1}, ",
        b"PAR1 and nothing more",
        b"ARROW1\0\0 and nothing more",
        b"a,b\n\"open",
        b"time,metadata.partition\n1,x\n",
    ];
    for bytes in attempts {
        let mut file: File = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        let refused = of_file(file);
        assert!(refused.is_err(), "{}: {refused:?}", String::from_utf8_lossy(bytes));
    }
}
