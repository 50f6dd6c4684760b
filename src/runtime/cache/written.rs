//! A graph that is written down without its weights, which stay in the model's file: plans read them from there.

use super::bytes::{Reader, Writer};
use super::weights::{Source, Stored};
use super::{Parts, is_read_back, read_model, write_model};
use crate::disk::Picking;
use crate::runtime::load::{Extent, Model};
use crate::runtime::onnx::Places;
use std::sync::Arc;
use tract_onnx::prelude::TypedModel;
use tract_onnx::tract_core::internal::{Symbol, SymbolScope};

/// Weights from which on it is worth to read them for each plan: fewer are held beside those of plans.
const WEIGHTS_BYTES_MIN: usize = 256 << 10;

/// What a graph takes that is written down, at most, in parts of its weights.
const PART: usize = 4;

/// A model's graph, and the file that has its weights.
#[derive(Debug)]
pub(in crate::runtime) struct Written {
    body: Vec<u8>,
    file: Arc<Picking>,
}

impl Written {
    /// The graph of a model that has it whole, with `places` of its weights; none when the file has too few of
    /// them as they are, or its graph has what cannot be written.
    pub(in crate::runtime) fn of(model: &Model, places: &Places) -> Option<Written> {
        let file = places.file()?.clone();
        let most = model.plans.weights_bytes() / PART;
        if most < WEIGHTS_BYTES_MIN / PART || model.late.is_some() {
            return None;
        }
        let (stored, mut body) = (Stored::of(&file, places), Writer::default());
        let long = write_model(model, (&stored, most), &mut body).ok()?;
        let mut body = body.0;
        let is_it = body.len() <= most && is_read_back(model, &body, &long);
        body.shrink_to_fit();
        is_it.then_some(Written { body, file })
    }

    /// The graph of a model that was read from `body`, and has its weights from `file`; none when little is
    /// gained.
    pub(super) fn kept(model: &Model, body: &[u8], file: Picking) -> Option<Written> {
        let most = model.plans.weights_bytes() / PART;
        let is_it = WEIGHTS_BYTES_MIN / PART <= most && body.len() <= most;
        is_it.then(|| Written { body: body.to_vec(), file: Arc::new(file) })
    }

    /// What stands in a kept file of it.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The graph with its weights, read by so many threads, and the symbols of its inputs' open dimensions in
    /// their order; none when the file cannot be read, or was written to since it was opened.
    pub(in crate::runtime) fn graph(&self, threads: usize) -> Option<(TypedModel, Vec<Symbol>)> {
        let mut from = Reader::new(&self.body, SymbolScope::default());
        let Parts { typed, extents, .. } =
            read_model(&mut from, &Source::File(&self.file, threads))?;
        // After the weights were read: what was written before that shows.
        if !self.file.is_unchanged().ok()? {
            return None;
        }
        Some((typed, Extent::symbols(&extents)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::tests::weighted::{answer, counted, product, values};
    use crate::runtime::{Deadline, Flow, Pool, RunError};
    use crate::tensor::{Column, Data, RowShape, Table};

    #[test]
    fn each_plan_reads_the_weights_again_and_answers_as_one_that_has_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), product()).unwrap();
        let (left, whole) =
            (Model::load(file.path()).unwrap(), Model::from_bytes(product()).unwrap());
        assert!(left.plans.whole().is_none() && whole.plans.whole().is_some());
        let body = left.plans.written().unwrap().body();
        assert!(body.len() < 4 << 10, "{} bytes beside the weights", body.len());
        file.close().unwrap(); // it has no name any more, and is open still
        for rows in [1, 8, 3, 1] {
            assert_eq!(answer(&left, rows).unwrap(), answer(&whole, rows).unwrap(), "{rows} rows");
        }
    }

    #[test]
    fn integers_stay_integers_in_the_file_and_in_what_is_read_from_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), counted()).unwrap();
        let (left, whole) =
            (Model::load(file.path()).unwrap(), Model::from_bytes(counted()).unwrap());
        let body = left.plans.written().unwrap().body();
        assert!(body.len() < 4 << 10, "{} bytes beside the weights", body.len());
        let bytes = (counted().len() + body.len()) as u64;
        for model in [&left, &whole] {
            let held = model.plans.weights_bytes() as u64;
            assert!(held < bytes, "{held} bytes of {bytes}");
        }
        for rows in [1, 8, 3, 1] {
            let answers = [&left, &whole].map(|model| answer(model, rows).unwrap());
            assert_eq!(answers[0], answers[1], "{rows} rows");
            let codes: std::collections::HashSet<&u32> = answers[0].iter().collect();
            assert!(codes.len() > 100, "{} different answers", codes.len());
        }
    }

    #[test]
    fn rows_of_a_wide_product_go_in_parts_that_a_cache_holds() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), product()).unwrap();
        let model = Arc::new(Model::load(file.path()).unwrap());
        let column = Column {
            name: "x".into(),
            row_shape: RowShape::Flat(64),
            data: Data::F32(values(1024).into()),
        };
        let table = Table::new(1024, vec![column]).unwrap();
        let pool = Pool::start(2).unwrap();
        let ran = Flow::of_model(model.clone()).run(&pool, &table, Deadline::NONE).unwrap();
        let Data::F32(made) = ran.outputs[0].tensor.data() else { panic!("not floats") };
        let bits: Vec<u32> = made.iter().map(|value| value.to_bits()).collect();
        assert!(bits == answer(&model, 1024).unwrap(), "as all of them in one part");
        let model = Model::load(file.path()).unwrap();
        assert_eq!(model.plans.product_floats(), 2048);
        let model = Arc::new(model);
        Flow::of_model(model.clone()).run(&pool, &table, Deadline::NONE).unwrap();
        let made = [1024, 256].map(|rows| model.plans.made(&[rows]).is_some());
        assert_eq!(made, [false, true]);
    }

    #[test]
    fn weights_that_somebody_wrote_over_answer_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), product()).unwrap();
        let model = Model::load(file.path()).unwrap();
        let first = answer(&model, 1).unwrap();
        std::fs::write(file.path(), vec![0; product().len() + 1]).unwrap();
        let error = answer(&model, 2).unwrap_err();
        assert!(matches!(error, RunError::Unread), "{error}");
        assert_eq!(answer(&model, 1).unwrap(), first, "a plan that is made needs them no more");
    }

    #[test]
    fn rows_that_can_be_apart_are_answered_without_a_disk() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), product()).unwrap();
        let (left, whole) =
            (Model::load(file.path()).unwrap(), Model::from_bytes(product()).unwrap());
        answer(&left, 1).unwrap(); // as a warm-up does
        std::fs::write(file.path(), vec![0; product().len() + 1]).unwrap();
        let column = Column {
            name: "x".into(),
            row_shape: RowShape::Flat(64),
            data: Data::F32(values(21).into()),
        };
        let table = Table::new(21, vec![column]).unwrap();
        let pool = Pool::start(1).unwrap();
        let rows = |model: Model| {
            let ran = Flow::of_model(Arc::new(model)).run(&pool, &table, Deadline::NONE).unwrap();
            let [output] = ran.outputs.as_slice() else { panic!("one output") };
            assert_eq!(output.tensor.shape(), [21, 2048]);
            let Data::F32(values) = output.tensor.data() else { panic!("not floats") };
            values.to_vec()
        };
        assert_eq!(rows(left), rows(whole));
    }
}
