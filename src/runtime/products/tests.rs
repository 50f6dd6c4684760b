//! Graphs with our operators held against the graphs that they come from, on random shapes.

use super::operator::Ours;
use super::*;
use tract_onnx::tract_core::internal::{AxesMapping, AxisOp, OutletId, TDim, TypedOp};
use tract_onnx::tract_core::ops::array::{Gather, Slice};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::math::{add, max, mul, sub};
use tract_onnx::tract_core::ops::nn::{
    Reduce, Reducer, RmsNorm, Softmax, SoftmaxKind, gelu_approximate::gelu_approximate,
    gelu_exact::gelu_exact, sigmoid, silu::silu,
};

/// How far an output may be off, relative to the largest of its tensor.
const DIFFERENCE_MAX: f32 = 1e-5;

/// Random graphs of each test.
const TRIES: u64 = 30;

/// A typed graph under construction, with numbers that are the same each time.
struct Net {
    model: TypedModel,
    state: u64,
    nodes: usize,
}

impl Net {
    fn new(seed: u64) -> Net {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut net = Net { model: TypedModel::default(), state, nodes: 0 };
        (0..8).for_each(|_| {
            net.between(0, 1);
        });
        net
    }

    fn between(&mut self, low: usize, high: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        low + (self.state >> 20) as usize % (high - low + 1)
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.between(1, times) == 1
    }

    fn tensor(&mut self, shape: &[usize], scale: f32) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| (self.between(0, 20_000) as f32 / 10_000.0 - 1.0) * scale)
            .collect();
        Tensor::from_shape(shape, &values).unwrap()
    }

    fn name(&mut self) -> String {
        self.nodes += 1;
        format!("n{}", self.nodes)
    }

    fn input(&mut self, shape: &[usize]) -> OutletId {
        let name = self.name();
        self.model.add_source(name, f32::fact(shape)).unwrap()
    }

    fn constant(&mut self, shape: &[usize], scale: f32) -> OutletId {
        let tensor = self.tensor(shape, scale);
        let name = self.name();
        self.model.add_const(name, tensor).unwrap()
    }

    fn number(&mut self, rank: usize, value: f32) -> OutletId {
        let name = self.name();
        self.model.add_const(name, Tensor::from_shape(&vec![1; rank], &[value]).unwrap()).unwrap()
    }

    fn wire(&mut self, op: impl Into<Box<dyn TypedOp>>, inputs: &[OutletId]) -> OutletId {
        let name = self.name();
        self.model.wire_node(name, op, inputs).unwrap()[0]
    }

    fn product(&mut self, axes: &str, one: OutletId, other: OutletId) -> OutletId {
        let axes: AxesMapping = axes.parse().unwrap();
        self.wire(EinSum::new(axes, DatumType::F32), &[one, other])
    }

    /// What the graph gives with our operators, held against what it gives without; `named` are
    /// the names of the operators that ours are expected to be.
    fn check(mut self, outputs: &[OutletId], named: &[&str], seed: u64) {
        self.model.select_output_outlets(outputs).unwrap();
        let shapes: Vec<Vec<usize>> = self
            .model
            .inputs
            .iter()
            .map(|input| {
                self.model.outlet_fact(*input).unwrap().shape.as_concrete().unwrap().into()
            })
            .collect();
        let inputs: TVec<TValue> =
            shapes.iter().map(|shape| self.tensor(shape, 2.0).into_tvalue()).collect();
        let run = |model: &TypedModel| {
            let plan = TypedSimplePlan::new(model.clone().into_optimized().unwrap()).unwrap();
            plan.spawn().unwrap().run(inputs.clone()).unwrap()
        };
        let theirs = run(&self.model);
        for kind in Kind::all() {
            let mut model = self.model.clone();
            let packed = Packed::default();
            take(Means { kind, packed: &packed, on_all_threads: false }, &mut model).unwrap();
            let ours = model.nodes().iter().filter_map(|node| node.op_as::<Ours>());
            let mut names: Vec<_> = ours.map(Op::name).collect();
            names.sort_unstable();
            assert_eq!(names, named, "{seed} {kind:?}\n{model}");
            for (ours, theirs) in run(&model).iter().zip(&theirs) {
                assert_eq!(ours.shape(), theirs.shape(), "{seed} {kind:?}");
                let [ours, theirs] = [ours, theirs]
                    .map(|it| it.try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec());
                let most = theirs.iter().fold(1e-3_f32, |most, it| most.max(it.abs()));
                for (ours, theirs) in ours.iter().zip(&theirs) {
                    let apart = (ours - theirs).abs() / most;
                    assert!(apart <= DIFFERENCE_MAX, "{seed} {kind:?} {ours} {theirs}");
                }
            }
        }
    }
}

#[test]
fn products_with_all_that_follows_give_what_the_graph_gives() {
    for seed in 0..TRIES {
        let mut net = Net::new(seed);
        let (rows, terms, columns) = (net.between(2, 40), net.between(8, 70), net.between(16, 90));
        let weights = |turned: bool| if turned { [columns, terms] } else { [terms, columns] };
        let is_turned = net.one_in(2);
        let w = net.constant(&weights(is_turned), 0.3);
        let right = if is_turned { "nk" } else { "kn" };
        let (mut y, rank) = match net.between(0, 2) {
            0 => {
                let x = net.input(&[1, 2 * rows, terms]);
                (net.product(&format!("amk,{right}->amn"), x, w), 3)
            }
            1 => {
                let x = net.input(&[2, rows, terms]);
                (net.product(&format!("{right},bmk->bmn"), w, x), 3)
            }
            _ => {
                let x = net.input(&[1, 2 * rows, terms]);
                (net.product(&format!("amk,{right}->mn"), x, w), 2)
            }
        };
        let mut shape = vec![1; rank];
        shape[rank - 1] = columns;
        if net.one_in(2) {
            let bias = if net.one_in(4) { vec![1; rank] } else { shape.clone() };
            let bias = net.constant(&bias, 1.0);
            y = net.wire(add(), &[y, bias]);
        }
        y = match net.between(0, 5) {
            0 => net.wire(gelu_exact(), &[y]),
            1 => net.wire(gelu_approximate(false), &[y]),
            2 => net.wire(sigmoid(), &[y]),
            3 => net.wire(silu(), &[y]),
            4 => {
                let zero = net.number(rank, 0.0);
                net.wire(max(), &[y, zero])
            }
            _ => y,
        };
        if net.one_in(2) {
            y = net.wire(AxisOp::Add(0), &[y]);
        }
        let mut outputs = vec![];
        if net.one_in(2) {
            let shape = net.model.outlet_fact(y).unwrap().shape.as_concrete().unwrap().to_vec();
            let other = net.input(&shape);
            if net.one_in(3) {
                outputs.push(y); // what somebody else needs is there
            }
            y = net.wire(add(), &[other, y]);
        }
        outputs.push(y);
        net.check(&outputs, &["Product"], seed);
    }
}

#[test]
fn a_product_over_several_axes_is_one_over_all_of_them() {
    let mut net = Net::new(1);
    let x = net.input(&[9, 3, 8]);
    let w = net.constant(&[3, 8, 40], 0.3);
    let y = net.product("mbk,bkn->amn", x, w);
    net.check(&[y], &["Product"], 1);
}

#[test]
fn a_row_alone_has_its_products_and_what_follows_them() {
    let mut net = Net::new(3);
    let x = net.input(&[1, 29]);
    let w = net.constant(&[29, 150], 0.3);
    let bias = net.constant(&[1, 150], 1.0);
    let y = net.product("mk,kn->mn", x, w);
    let y = net.wire(add(), &[y, bias]);
    let zero = net.number(2, 0.0);
    let y = net.wire(max(), &[y, zero]);
    let w = net.constant(&[16, 150], 0.3);
    let y = net.product("mk,nk->mn", y, w);
    net.check(&[y], &["Product", "Product"], 3);
}

#[test]
fn products_that_kernels_are_not_for_stay_as_they_are() {
    let mut net = Net::new(2);
    let x = net.input(&[9, 32]);
    let w = net.constant(&[9, 32, 40], 0.3);
    let heads = net.product("bk,bkn->bn", x, w);
    let w = net.constant(&[9, 40], 0.3);
    let turned = net.product("mk,mn->nk", x, w);
    net.check(&[heads, turned], &[], 2);
}

#[test]
fn norms_give_what_the_graph_gives() {
    for seed in 0..TRIES {
        let mut net = Net::new(seed);
        let (rows, values) = (net.between(1, 30), net.between(2, 100));
        let x = net.input(&[1, rows, values]);
        let sum = net.wire(Reduce { axes: tvec!(2), reducer: Reducer::Sum }, &[x]);
        let part = net.number(3, 1.0 / values as f32);
        let mean = net.wire(mul(), &[sum, part]);
        let apart = net.wire(sub(), &[x, mean]);
        let eps = tensor0(1e-6_f32).into();
        let mut y = net.wire(RmsNorm { axis: 2, eps }, &[apart]);
        if net.one_in(2) {
            let scale = net.constant(&[1, 1, values], 1.0);
            y = net.wire(mul(), &[y, scale]);
        }
        if net.one_in(2) {
            let shift = net.constant(&[1, 1, values], 1.0);
            y = net.wire(add(), &[shift, y]);
        }
        net.check(&[y], &["Normal"], seed);
    }
}

#[test]
fn functions_that_stand_alone_give_what_the_graph_gives() {
    let mut net = Net::new(3);
    let x = net.input(&[1_000]);
    let factor = net.number(1, 5.0);
    let x = net.wire(mul(), &[x, factor]);
    let exact = net.wire(gelu_exact(), &[x]);
    let tangent = net.wire(gelu_approximate(false), &[x]);
    net.check(&[exact, tangent], &["Each", "Each"], 3);
}

#[test]
fn attention_over_turned_and_cut_tensors_gives_what_the_graph_gives() {
    for seed in 0..TRIES {
        let mut net = Net::new(seed);
        let (batch, heads) = (net.between(1, 2), net.between(1, 3));
        let (rows, size) = (net.between(8, 50), net.between(8, 40));
        let x = net.input(&[batch, rows, 3 * heads * size]);
        let split: TVec<TDim> = [3, heads, size].into_iter().map(TDim::from).collect();
        let whole: TVec<TDim> = tvec!((3 * heads * size).into());
        let y = net.wire(AxisOp::Reshape(2, whole, split), &[x]);
        let y = net.wire(AxisOp::Move(2, 0), &[y]);
        let y = net.wire(AxisOp::Move(2, 3), &[y]); // three, batch, heads, rows, size
        let by_gather = net.one_in(2);
        let mut parts = [0, 1, 2].map(|part| {
            if by_gather {
                let name = net.name();
                let at = net.model.add_const(name, tensor0(part as i64)).unwrap();
                return net.wire(Gather { axis: 0, output_type: None }, &[y, at]);
            }
            let cut = net.wire(Slice::new(0, part, part + 1), &[y]);
            net.wire(AxisOp::Rm(0), &[cut])
        });
        let is_turned = net.one_in(2);
        if is_turned {
            parts[1] = net.wire(AxisOp::Move(2, 3), &[parts[1]]);
        }
        let axes = if is_turned { "bhmk,bhkn->bhmn" } else { "bhmk,bhnk->bhmn" };
        let mut scores = net.product(axes, parts[0], parts[1]);
        if net.one_in(2) {
            let scale = net.number(4, 0.3);
            scores = net.wire(mul(), &[scores, scale]);
        }
        if net.one_in(2) {
            let mut one = |extent: usize| if net.one_in(2) { 1 } else { extent };
            let shape = [one(batch), one(heads), one(rows), one(rows)];
            let mask = net.input(&shape);
            scores = net.wire(add(), &[mask, scores]);
        }
        let softmax = Softmax { axes: tvec!(3), quant_output_dt: None, kind: SoftmaxKind::Softmax };
        let scores = net.wire(softmax, &[scores]);
        // An axis that only what is made has is one of one.
        let axes = ["bhmn,bhnk->bmhk", "bhmn,bhnk->bhmk", "bhmn,bhnk->abhmk"][net.between(0, 2)];
        let y = net.product(axes, scores, parts[2]);
        net.check(&[y], &["Attention"], seed);
    }
}

#[test]
fn scores_that_somebody_else_needs_are_made() {
    let mut net = Net::new(4);
    let [q, k, v] = [0; 3].map(|_| net.input(&[2, 9, 16]));
    let scores = net.product("hmk,hnk->hmn", q, k);
    let softmax = Softmax { axes: tvec!(2), quant_output_dt: None, kind: SoftmaxKind::Softmax };
    let shares = net.wire(softmax, &[scores]);
    let y = net.product("hmn,hnk->hmk", shares, v);
    net.check(&[y, shares], &[], 4);
}

#[test]
fn one_query_alone_stays_as_it_is() {
    let mut net = Net::new(5);
    let q = net.input(&[2, 1, 16]);
    let [k, v] = [0; 2].map(|_| net.input(&[2, 40, 16]));
    let scores = net.product("hmk,hnk->hmn", q, k);
    let softmax = Softmax { axes: tvec!(2), quant_output_dt: None, kind: SoftmaxKind::Softmax };
    let shares = net.wire(softmax, &[scores]);
    let y = net.product("hmn,hnk->hmk", shares, v);
    net.check(&[y], &[], 5);
}

#[test]
fn plans_for_other_rows_share_the_weights_of_plans_that_are_there() {
    let packed = Packed::default();
    let models = [4, 32, 4].map(|rows| {
        let mut net = Net::new(7);
        let x = net.input(&[rows, 24]);
        let (w, bias) = (net.constant(&[24, 40], 0.3), net.constant(&[1, 40], 1.0));
        let y = net.product("mk,kn->mn", x, w);
        let y = net.wire(add(), &[y, bias]);
        let mut model = net.model;
        model.select_output_outlets(&[y]).unwrap();
        let means = Means { kind: Kind::best(), packed: &packed, on_all_threads: false };
        assert_eq!(take(means, &mut model).unwrap(), 1);
        model
    });
    assert_eq!(packed.held(), 1, "all of them hold the same");
    drop(models);
    assert_eq!(packed.held(), 0);
}
