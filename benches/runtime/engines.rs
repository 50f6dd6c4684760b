//! The engines that the bench compares, each set up to run one model with one number of rows and threads.

use crate::Case;
use crate::peer::Peer;
use potoroo::runtime::{Deadline, Flow, Model, Outcome, Pool};
use potoroo::tensor::{Column, Data, RowShape, Table};
use rten_tensor::prelude::*;
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tract_onnx::prelude::*;

/// What a turn came to: microseconds of a run, and what the last one gave.
pub(crate) struct Turn {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) checksum: f64,
}

/// Something that can run the model.
pub(crate) trait Engine {
    /// Runs so many times.
    fn run(&mut self, times: usize) -> Turn;

    /// The process in `/proc` that it computes in.
    fn process(&self) -> String {
        "self".to_owned()
    }
}

/// The engines by their names, in the order of the tables.
pub(crate) const NAMES: [&str; 5] = ["ours", "tract", "onnxruntime", "openvino", "rten"];

/// Ours on tract's operators and plain code alone: what the kernels bring.
pub(crate) const WITHOUT_KERNELS: &str = "without-kernels";

/// One of them by its name, or none where it has not all operators of the model.
pub(crate) fn one(
    name: &str,
    case: &Case,
    rows: usize,
    threads: usize,
    directory: &Path,
) -> Option<Box<dyn Engine>> {
    let Asked { path, inputs, shape, values } = Asked::of(case, rows, directory);
    match name {
        "ours" => Some(Box::new(Ours::start(&path, &shape, threads, values))),
        WITHOUT_KERNELS => {
            potoroo::runtime::use_kernels(potoroo::runtime::Families::NONE);
            Some(Box::new(Ours::start(&path, &shape, threads, values)))
        }
        "tract" => Some(Box::new(Tract::start(&path, &shape, &values)?)),
        "onnxruntime" | "openvino" => {
            Some(Box::new(Peer::start(name, &path, &inputs, rows, threads)?))
        }
        "rten" => Some(Box::new(Rten::start(&path, &shape, threads, &values)?)),
        _ => panic!("no engine {name}: {}", NAMES.join(", ")),
    }
}

/// Where a model lies, and what it is asked.
struct Asked {
    path: PathBuf,
    inputs: PathBuf,
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Asked {
    fn of(case: &Case, rows: usize, directory: &Path) -> Asked {
        let path = directory.join(format!("{}.onnx", case.name));
        let tabular = matches!(case.row, [29]);
        let inputs = directory.join(if tabular { "features.f32" } else { "noise.f32" });
        let shape: Vec<usize> = std::iter::once(rows).chain(case.row.iter().copied()).collect();
        let values = floats(&inputs, shape.iter().product());
        Asked { path, inputs, shape, values }
    }
}

/// Those that have the operators of the model, and are here; onnxruntime has all, and is.
pub(crate) struct Engines {
    ours: Ours,
    tract: Option<Tract>,
    pub(crate) onnxruntime: Peer,
    openvino: Option<Peer>,
    rten: Option<Rten>,
}

impl Engines {
    pub(crate) fn start(case: &Case, rows: usize, threads: usize, directory: &Path) -> Engines {
        let Asked { path, inputs, shape, values } = Asked::of(case, rows, directory);
        let peer = |name: &'static str| Peer::start(name, &path, &inputs, rows, threads);
        Engines {
            ours: Ours::start(&path, &shape, threads, values.clone()),
            // Built with tract's own threads, our runtime would have them too.
            tract: (threads == 1).then(|| Tract::start(&path, &shape, &values)).flatten(),
            onnxruntime: peer("onnxruntime").expect("onnxruntime, as tests/setup.sh brings it"),
            openvino: peer("openvino"),
            rten: Rten::start(&path, &shape, threads, &values),
        }
    }

    pub(crate) fn all(&mut self) -> [Option<&mut dyn Engine>; 5] {
        [
            Some(&mut self.ours),
            self.tract.as_mut().map(|it| it as &mut dyn Engine),
            Some(&mut self.onnxruntime),
            self.openvino.as_mut().map(|it| it as &mut dyn Engine),
            self.rten.as_mut().map(|it| it as &mut dyn Engine),
        ]
    }
}

/// A flow of one model, as the engine runs it for a request of so many rows.
pub(crate) struct Ours {
    flow: Flow,
    pool: Pool,
    row: Vec<usize>,
    values: Vec<f32>,
}

impl Ours {
    fn start(path: &Path, shape: &[usize], threads: usize, values: Vec<f32>) -> Ours {
        let flow = Flow::of_model(Arc::new(Model::load(path).unwrap()));
        let pool = Pool::start(threads).unwrap();
        Ours { flow, pool, row: shape[1..].to_vec(), values }
    }

    /// Ours alone, with one thread.
    pub(crate) fn alone(case: &Case, rows: usize, directory: &Path) -> Ours {
        let Asked { path, shape, values, .. } = Asked::of(case, rows, directory);
        Ours::start(&path, &shape, 1, values)
    }

    /// Calls `with` with what runs all rows once.
    pub(crate) fn each<T>(&self, with: impl FnOnce(&dyn Fn() -> Outcome) -> T) -> T {
        let rows = self.values.len() / self.row.iter().product::<usize>();
        let data = Data::F32(Cow::Borrowed(&self.values));
        let name = self.flow.inputs()[0].name.clone();
        let column =
            Column { name: name.into(), row_shape: RowShape::Told(self.row.clone()), data };
        let table = Table::new(rows, vec![column]).unwrap();
        with(&|| self.flow.run(&self.pool, &table, Deadline::NONE).unwrap())
    }
}

impl Engine for Ours {
    fn run(&mut self, times: usize) -> Turn {
        self.each(|run| {
            within(times, run, |outcome| {
                let data = outcome.outputs.last().unwrap().tensor.data();
                let Data::F32(values) = data else { panic!("not floats: {data:?}") };
                checked(values)
            })
        })
    }
}

/// tract with its own operators and one plan for the concrete shape, which is how it is quickest.
struct Tract {
    state: TypedSimpleState,
    input: TValue,
}

impl Tract {
    fn start(path: &Path, shape: &[usize], values: &[f32]) -> Option<Tract> {
        let onnx = onnx().with_ignore_output_shapes(true).with_ignore_value_info(true); // as we do
        let mut model = onnx.model_for_path(path).ok()?;
        model.set_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), shape)).ok()?;
        let plan = Arc::new(TypedSimplePlan::new(model.into_optimized().ok()?).ok()?);
        let input = tract_ndarray::ArrayD::from_shape_vec(shape, values.to_vec()).ok()?;
        let input = Tensor::from(input).into_tvalue();
        let mut state = plan.spawn().ok()?;
        state.run(tvec!(input.clone())).ok()?;
        Some(Tract { state, input })
    }
}

impl Engine for Tract {
    fn run(&mut self, times: usize) -> Turn {
        let run = || self.state.run(tvec!(self.input.clone())).unwrap();
        within(times, run, |outputs| {
            checked(outputs.last().unwrap().try_as_plain_ram().unwrap().as_slice::<f32>().unwrap())
        })
    }
}

/// rten with its weights packed when it loads.
struct Rten {
    model: rten::Model,
    options: rten::RunOptions,
    input: rten_tensor::Tensor<f32>,
}

impl Rten {
    fn start(path: &Path, shape: &[usize], threads: usize, values: &[f32]) -> Option<Rten> {
        let mut options = rten::ModelOptions::with_all_ops();
        let model = options.prepack_weights(true).load_file(path).ok()?;
        let pool = Arc::new(rten::ThreadPool::with_num_threads(threads));
        let options = rten::RunOptions::default().with_thread_pool(Some(pool));
        let input = rten_tensor::Tensor::from_data(shape, values.to_vec());
        model.run_one(input.view().into(), Some(options.clone())).ok()?;
        Some(Rten { model, options, input })
    }
}

impl Engine for Rten {
    fn run(&mut self, times: usize) -> Turn {
        let run =
            || self.model.run_one(self.input.view().into(), Some(self.options.clone())).unwrap();
        within(times, run, |output| {
            let output: rten_tensor::Tensor<f32> = output.clone().try_into().unwrap();
            checked(&output.to_vec())
        })
    }
}

/// Runs `work` so many times in this process; what the last one gave is checked afterwards.
fn within<T>(times: usize, mut work: impl FnMut() -> T, checksum: impl Fn(&T) -> f64) -> Turn {
    let before = cpu_nanoseconds("self");
    let start = Instant::now();
    let mut last = None;
    for _ in 0..times {
        last = Some(work());
    }
    let wall = start.elapsed().as_nanos() as f64 / times as f64 / 1e3;
    let cpu = (cpu_nanoseconds("self") - before) / times as f64 / 1e3;
    Turn { wall, cpu, checksum: last.as_ref().map_or(f64::NAN, checksum) }
}

/// Differs where a value or its place does.
fn checked(values: &[f32]) -> f64 {
    let weighed = values.iter().zip([1.0, 2.0, 3.0].iter().cycle());
    weighed.map(|(value, weight)| f64::from(value.abs()) * weight).sum()
}

/// The first so many values of a file.
fn floats(path: &Path, count: usize) -> Vec<f32> {
    // In pieces: a process's peak is to be the engine's.
    let mut file = BufReader::new(File::open(path).unwrap());
    let mut float = || {
        let mut bytes = [0; 4];
        file.read_exact(&mut bytes).unwrap();
        f32::from_le_bytes(bytes)
    };
    (0..count).map(|_| float()).collect()
}

/// What all threads of a process have computed, which preemption does not lengthen.
///
/// The kernel brings a thread's account up to date when it leaves the processor, so ours does.
pub(crate) fn cpu_nanoseconds(process: &str) -> f64 {
    std::thread::yield_now();
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let spent = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    spent.sum()
}
