//! Graphs kept and found again: what they answer, and what becomes of those that do not fit.

use super::*;
use crate::random::Random;
use crate::runtime::Deadline;
use crate::tensor::{Data, Tensor};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

struct Kept {
    directory: tempfile::TempDir,
    cache: Arc<Cache>,
    file: Stretch,
    digest: Digest,
    model: Model,
}

impl Kept {
    fn of(fixture: &str) -> Kept {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
        let path = fixtures.join(fixture);
        let directory = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::new(directory.path().join("graphs")));
        let digest = Digest::of(&std::fs::read(&path).unwrap());
        let (file, model) = (Stretch::whole(path.clone()), Model::load(&path).unwrap());
        model.keep(&file, &digest, &cache);
        Kept { directory, cache, file, digest, model }
    }

    fn path(&self) -> PathBuf {
        self.cache.path(&self.digest)
    }

    fn found(&self) -> Option<Model> {
        Model::kept(&self.file, &self.digest, &self.cache, 2)
    }
}

/// Whether two models are the same, weights included.
fn are_same(one: &Model, other: &Model) -> bool {
    (one.inputs(), one.outputs(), &one.extents) == (other.inputs(), other.outputs(), &other.extents)
        && one.divisible == other.divisible
        && graph::same(&one.plans.typed(), &other.plans.typed())
}

/// What a model gives for some values, of so many rows where it takes any number.
fn answer(model: &Model, rows: usize) -> Vec<Data<'static>> {
    let inputs: Vec<Tensor<'_>> = model
        .inputs()
        .iter()
        .map(|port| {
            let extent = |dimension: &Dimension| match dimension {
                Dimension::Fixed(extent) => *extent,
                Dimension::Free(_) => rows,
            };
            let shape: Vec<usize> = port.dimensions.iter().map(extent).collect();
            let values = (0..shape.iter().product()).map(|it| (it % 23) as f32 / 11.0 - 1.0);
            let data = match port.element {
                ElementType::F32 => Data::F32(Cow::Owned(values.collect())),
                ElementType::F64 => Data::F64(values.map(f64::from).collect()),
                ElementType::I64 => Data::I64(values.map(|it| it as i64).collect()),
                other @ (ElementType::Bool
                | ElementType::F16
                | ElementType::I8
                | ElementType::I16
                | ElementType::I32
                | ElementType::String
                | ElementType::U8
                | ElementType::U16
                | ElementType::U32
                | ElementType::U64) => panic!("no values of {other}"),
            };
            Tensor::new(shape, data).unwrap()
        })
        .collect();
    let outputs = model.compute(&inputs, Deadline::NONE).unwrap();
    outputs.into_iter().map(|output| output.tensor.into_data()).collect()
}

#[test]
fn a_kept_graph_gives_what_its_file_gives_bit_by_bit() {
    for fixture in
        ["vision.onnx", "vision_fixed.onnx", "fraud.onnx", "double.onnx", "recurrent.onnx"]
    {
        let kept = Kept::of(fixture);
        let found = kept.found().unwrap_or_else(|| panic!("{fixture} is not kept"));
        assert!(are_same(&kept.model, &found), "{fixture}");
        for rows in [1, 3] {
            let (one, other) = (answer(&kept.model, rows), answer(&found, rows));
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "{fixture}, {rows} rows");
        }
    }
}

#[test]
fn nets_in_whole_numbers_and_those_that_resize_images_are_kept_bit_by_bit() {
    let quantised = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/quantised");
    let files = std::fs::read_dir(quantised).unwrap().map(|entry| entry.unwrap().file_name());
    let names = files.map(|name| format!("../quantised/{}", name.to_string_lossy()));
    let mut fixtures: Vec<String> = names.filter(|name| name.ends_with(".onnx")).collect();
    assert_eq!(fixtures.len(), 9);
    fixtures.push("resized.onnx".into());
    for fixture in fixtures {
        let kept = Kept::of(&fixture);
        let found = kept.found().unwrap_or_else(|| panic!("{fixture} is not kept"));
        assert!(are_same(&kept.model, &found), "{fixture}");
        let (one, other) = (answer(&kept.model, 2), answer(&found, 2));
        assert_eq!(format!("{one:?}"), format!("{other:?}"), "{fixture}");
    }
}

#[test]
fn a_net_that_is_typed_while_it_runs_is_loaded_from_its_file_each_time() {
    for fixture in ["either.onnx", "endless.onnx"] {
        let kept = Kept::of(fixture);
        assert!(kept.found().is_none(), "{fixture}");
        assert!(!kept.path().exists(), "{fixture}");
    }
}

#[test]
fn weights_stay_in_the_models_file() {
    let kept = Kept::of("vision.onnx");
    let (graph, model) = (kept.path().metadata().unwrap().len(), kept.file.bytes().unwrap());
    assert!(graph < model / 4, "{graph} bytes beside the {model} of the model");
}

#[test]
fn a_damaged_graph_is_dropped_and_the_next_one_kept() {
    let kept = Kept::of("fraud.onnx");
    let whole = std::fs::read(kept.path()).unwrap();
    for place in (0..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        std::fs::write(kept.path(), &damaged).unwrap();
        assert!(kept.found().is_none(), "with byte {place} damaged");
        assert!(!kept.path().exists(), "with byte {place} damaged");
        // As a disk without a journal may leave a file after a power cut.
        std::fs::write(kept.path(), &whole[..place]).unwrap();
        assert!(kept.found().is_none(), "with {place} bytes");
    }
    kept.model.keep(&kept.file, &kept.digest, &kept.cache);
    assert_eq!(std::fs::read(kept.path()).unwrap(), whole);
    assert!(kept.found().is_some());
}

#[test]
fn a_graph_of_another_build_or_model_is_dropped() {
    let kept = Kept::of("fraud.onnx");
    let build = OnceLock::from(Digest::of(b"other"));
    let other = Cache { build, ..Cache::new(kept.directory.path().join("graphs")) };
    assert!(Model::kept(&kept.file, &kept.digest, &Arc::new(other), 1).is_none());
    assert!(!kept.path().exists());

    kept.model.keep(&kept.file, &kept.digest, &kept.cache);
    let another = Digest::of(b"another model");
    std::fs::rename(kept.path(), kept.cache.path(&another)).unwrap();
    assert!(Model::kept(&kept.file, &another, &kept.cache, 1).is_none());
}

/// A seal keeps no one out who can write here, so what is behind it must do no harm either.
#[test]
fn a_graph_with_a_right_seal_over_wrong_bytes_is_dropped_or_is_a_model() {
    let body = MAGIC.len() + 32;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for fixture in ["fraud.onnx", "../quantised/resnet_qdq_u8s8_channel.onnx"] {
        let kept = Kept::of(fixture);
        let whole = std::fs::read(kept.path()).unwrap();
        for _ in 0..2_000 {
            let random = random.next();
            let mut forged = whole.clone();
            let place = body + 80 + random as usize % (whole.len() - body - 80);
            forged[place] = (random >> 32) as u8;
            let seal = Digest::of(&forged[body..]);
            forged[MAGIC.len()..body].copy_from_slice(seal.as_bytes());
            std::fs::write(kept.path(), &forged).unwrap();
            drop(kept.found());
        }
    }
}

#[test]
fn a_disk_that_takes_nothing_costs_a_graph_and_no_more() {
    let kept = Kept::of("fraud.onnx");
    let file = kept.directory.path().join("a file");
    std::fs::write(&file, b"").unwrap();
    for directory in [file.join("graphs"), PathBuf::from("/proc/none")] {
        let cache = Arc::new(Cache::new(directory));
        kept.model.keep(&kept.file, &kept.digest, &cache);
        assert!(Model::kept(&kept.file, &kept.digest, &cache, 1).is_none());
    }
}

#[test]
fn a_disk_with_little_room_keeps_its_room() {
    let kept = Kept::of("fraud.onnx");
    let directory = kept.directory.path().join("full");
    let cache = Arc::new(Cache { room_bytes: u64::MAX / 2, ..Cache::new(directory.clone()) });
    kept.model.keep(&kept.file, &kept.digest, &cache);
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
    assert!(Model::kept(&kept.file, &kept.digest, &cache, 1).is_none());
}

#[test]
fn the_oldest_graph_makes_place_for_a_new_one() {
    let kept = Kept::of("fraud.onnx");
    for number in 0..FILES_MAX {
        let other = kept.cache.path(&Digest::of(&[number as u8]));
        std::fs::copy(kept.path(), &other).unwrap();
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
        std::fs::File::open(&other).unwrap().set_modified(time).unwrap();
    }
    std::fs::remove_file(kept.path()).unwrap();
    kept.model.keep(&kept.file, &kept.digest, &kept.cache);
    assert!(kept.found().is_some());
    let is_there = |number: u8| kept.cache.path(&Digest::of(&[number])).exists();
    assert_eq!([0, 1, 31].map(is_there), [false, true, true]);
}

#[test]
fn a_writer_that_was_killed_leaves_nothing_for_long() {
    let kept = Kept::of("fraud.onnx");
    let half = kept.path().with_file_name(format!(".0123456789abcdef{}", disk::UNFINISHED));
    std::fs::write(&half, b"potoroo").unwrap();
    kept.model.keep(&kept.file, &kept.digest, &kept.cache);
    assert!(!half.exists());
    assert!(kept.found().is_some());
}

#[test]
fn a_sweep_takes_the_graphs_of_models_that_nobody_needs() {
    let kept = Kept::of("fraud.onnx");
    std::fs::copy(kept.path(), kept.cache.path(&Digest::of(b"gone"))).unwrap();
    let bytes = kept.path().metadata().unwrap().len();
    // What this program uses stays, whoever needs it.
    assert_eq!(kept.cache.sweep(&BTreeSet::new()).unwrap(), (1, bytes));
    assert!(kept.found().is_some());
    let later = Cache::new(kept.directory.path().join("graphs"));
    assert_eq!(later.sweep(&BTreeSet::from([kept.digest])).unwrap(), (0, 0));
    assert_eq!(later.sweep(&BTreeSet::new()).unwrap(), (1, bytes));
    assert_eq!(later.sweep(&BTreeSet::new()).unwrap(), (0, 0));
}
