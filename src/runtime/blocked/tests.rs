//! Stretches held against the graph that they come from, on random nets of images.

use super::operator::Blocked;
use super::steps::Work;
use super::*;
use crate::random::Random;
use std::sync::Arc;
use tract_onnx::tract_core::internal::{Approximation, OutletId, TVec, TypedOp};
use tract_onnx::tract_core::ops::array::{Slice, TypedConcat};
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::cnn::{
    Conv, Deconv, KernelFormat, MaxPool, PaddingSpec, PoolSpec, SumPool,
};
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::{self, add, div, max, min, mul, sub};
use tract_onnx::tract_core::ops::nn::resize::NearestUpsample;
use tract_onnx::tract_core::ops::nn::{
    DataFormat, Reduce, Reducer, Softmax, SoftmaxKind, hard_swish, leaky_relu, sigmoid,
};

/// How far an output may be off, relative to the largest of its tensor.
const DIFFERENCE_MAX: f32 = 1e-4;

/// A typed graph under construction, with numbers that are the same each time.
struct Net {
    model: TypedModel,
    random: Random,
    nodes: usize,
}

impl Net {
    fn new(seed: u64) -> Net {
        Net { model: TypedModel::default(), random: Random::of(seed), nodes: 0 }
    }

    fn between(&mut self, low: usize, high: usize) -> usize {
        self.random.between(low, high)
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

    fn constant(&mut self, shape: &[usize], scale: f32) -> OutletId {
        let tensor = self.tensor(shape, scale);
        let name = self.name();
        self.model.add_const(name, tensor).unwrap()
    }

    fn number(&mut self, value: f32) -> OutletId {
        let name = self.name();
        self.model.add_const(name, Tensor::from_shape(&[1, 1, 1, 1], &[value]).unwrap()).unwrap()
    }

    fn wire(&mut self, op: impl Into<Box<dyn TypedOp>>, inputs: &[OutletId]) -> OutletId {
        let name = self.name();
        self.model.wire_node(name, op, inputs).unwrap()[0]
    }

    fn shape(&self, outlet: OutletId) -> [usize; 4] {
        roles::image(&self.model, outlet).unwrap()
    }

    fn pool_spec(
        &mut self,
        x: OutletId,
        made: usize,
        size: usize,
        stride: usize,
        padding: usize,
    ) -> PoolSpec {
        PoolSpec {
            data_format: DataFormat::NCHW,
            kernel_shape: [size, size].into_iter().collect(),
            padding: PaddingSpec::Explicit(
                [padding, padding].into_iter().collect(),
                [padding, padding].into_iter().collect(),
            ),
            dilations: None,
            strides: Some([stride, stride].into_iter().collect()),
            input_channels: self.shape(x)[1],
            output_channels: made,
        }
    }

    fn conv(&mut self, x: OutletId, made: usize, size: usize, stride: usize) -> OutletId {
        let given = self.shape(x)[1];
        let pool_spec = self.pool_spec(x, made, size, stride, size / 2);
        let scale = (2.0 / (given * size * size) as f32).sqrt();
        let kernel = self.constant(&[made, given, size, size], scale);
        let bias = self.constant(&[made], 0.1);
        let op = Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group: 1, q_params: None };
        self.wire(op, &[x, kernel, bias])
    }

    fn deconv(&mut self, x: OutletId, made: usize, size: usize) -> OutletId {
        let given = self.shape(x)[1];
        let pool_spec =
            PoolSpec { input_channels: given, ..self.pool_spec(x, made, size, size, 0) };
        let kernel = self.constant(&[made, given, size, size], 0.3);
        let bias = self.constant(&[made], 0.1);
        let adjustments = [0, 0].into_iter().collect();
        let kernel_format = KernelFormat::OIHW;
        self.wire(Deconv { pool_spec, kernel_format, adjustments, group: 1 }, &[x, kernel, bias])
    }

    fn depthwise(&mut self, x: OutletId, size: usize, stride: usize) -> OutletId {
        let channels = self.shape(x)[1];
        let pool_spec = self.pool_spec(x, channels, size, stride, size / 2);
        let kernel = self.constant(&[channels, 1, size, size], 0.5);
        let bias = self.constant(&[channels], 0.1);
        let group = channels;
        let op = Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group, q_params: None };
        self.wire(op, &[x, kernel, bias])
    }

    fn activation(&mut self, x: OutletId) -> OutletId {
        match self.between(0, 8) {
            0 => x,
            1 => {
                let zero = self.number(0.0);
                self.wire(max(), &[x, zero])
            }
            2 => {
                let (zero, six) = (self.number(0.0), self.number(6.0));
                let x = self.wire(max(), &[x, zero]);
                self.wire(min(), &[x, six])
            }
            3 => self.wire(sigmoid(), &[x]),
            4 => {
                let gate = self.wire(sigmoid(), &[x]);
                self.wire(mul(), &[x, gate])
            }
            5 => self.wire(hard_swish(), &[x]),
            6 => self.wire(leaky_relu(0.1), &[x]),
            7 => {
                // As Paddle writes it, with what it learns for all channels behind it.
                let [zero, three, six] = [0.0, 3.0, 6.0].map(|value| self.number(value));
                let (slope, shift) = (self.number(0.8), self.number(0.1));
                let bounded = self.wire(add(), &[x, three]);
                let bounded = self.wire(max(), &[bounded, zero]);
                let bounded = self.wire(min(), &[bounded, six]);
                let x = self.wire(mul(), &[x, bounded]);
                let x = self.wire(div(), &[x, six]);
                let x = self.wire(mul(), &[x, slope]);
                self.wire(add(), &[x, shift])
            }
            _ => {
                // As exporters before HardSwish wrote it.
                let (sixth, half) = (self.number(1.0 / 6.0), self.number(0.5));
                let (zero, one) = (self.number(0.0), self.number(1.0));
                let slope = self.wire(mul(), &[sixth, x]);
                let slope = self.wire(add(), &[half, slope]);
                let slope = self.wire(min(), &[one, slope]);
                let slope = self.wire(max(), &[zero, slope]);
                self.wire(mul(), &[slope, x])
            }
        }
    }

    /// Batch normalisation as tract types it, and the like.
    fn scale(&mut self, x: OutletId) -> OutletId {
        let channels = self.shape(x)[1];
        let (slope, shift) =
            (self.constant(&[1, channels, 1, 1], 1.0), self.constant(&[1, channels, 1, 1], 0.5));
        match self.between(0, 3) {
            0 => self.wire(sub(), &[x, shift]),
            1 => self.wire(sub(), &[shift, x]),
            2 => {
                let two = self.number(2.0);
                self.wire(div(), &[x, two])
            }
            _ => {
                let x = self.wire(mul(), &[slope, x]);
                self.wire(add(), &[shift, x])
            }
        }
    }

    fn squeeze(&mut self, x: OutletId) -> OutletId {
        let [_, channels, height, width] = self.shape(x);
        let sum = self.wire(Reduce::new([2, 3].into_iter().collect(), Reducer::Sum), &[x]);
        let count = self.number((height * width) as f32);
        let mean = self.wire(div(), &[sum, count]);
        let small = self.conv(mean, channels.div_ceil(4), 1, 1);
        let small = self.activation(small);
        let gate = self.conv(small, channels, 1, 1);
        let gate = self.wire(sigmoid(), &[gate]);
        self.wire(mul(), &[x, gate])
    }

    fn pool(&mut self, x: OutletId) -> OutletId {
        let channels = self.shape(x)[1];
        let pool_spec = self.pool_spec(x, channels, 3, 1, 1);
        match self.between(0, 2) {
            0 => self.wire(MaxPool { pool_spec, with_index_outputs: None }, &[x]),
            is_counted => {
                let count_include_pad = is_counted == 1;
                self.wire(SumPool { pool_spec, count_include_pad, normalize: true }, &[x])
            }
        }
    }

    /// A net of so many blocks; some of its values go out on the way.
    fn grow(mut self, blocks: usize) -> TypedModel {
        let rows = self.between(1, 3);
        let (height, width) = (self.between(5, 17), self.between(5, 17));
        let channels = [1, 3, 7, 20][self.between(0, 3)];
        let fact = f32::fact([rows, channels, height, width]);
        let mut x = self.model.add_source("x", fact).unwrap();
        let mut outputs: TVec<OutletId> = TVec::new();
        for _ in 0..blocks {
            let channels = self.shape(x)[1];
            let made = [8, 16, 24, 33, 48][self.between(0, 4)];
            let size = [1, 1, 3, 5][self.between(0, 3)];
            let stride = [1, 1, 1, 2][self.between(0, 3)];
            let before = x;
            x = match self.between(0, 10) {
                0 | 1 => {
                    let x = self.conv(x, made, size, stride);
                    self.activation(x)
                }
                2 if channels > 1 => {
                    let x = self.depthwise(x, 3, stride);
                    self.activation(x)
                }
                3 => {
                    let y = self.conv(x, channels, size, 1);
                    let y = self.activation(y);
                    let sum = self.wire(add(), &[x, y]);
                    self.activation(sum)
                }
                4 => {
                    let x = self.conv(x, made, size, 1);
                    let x = self.scale(x);
                    self.activation(x)
                }
                5 => self.squeeze(x),
                6 => self.pool(x),
                7 => {
                    let first = [32, 24, 5][self.between(0, 2)];
                    let one = self.conv(x, first, 1, 1);
                    let one = self.activation(one);
                    let other = self.conv(x, made, size, 1);
                    self.wire(TypedConcat { axis: 1 }, &[one, other])
                }
                9 if self.shape(x)[2] < 40 => {
                    let y = self.conv(x, made, size, 2);
                    let (made, size) = ([5, 24][self.between(0, 1)], self.between(1, 2));
                    let y = self.deconv(y, made, size);
                    let y = self.scale(y);
                    self.activation(y)
                }
                8 if self.shape(x)[2] < 40 => {
                    let y = self.conv(x, made, size, 2);
                    let scales = [1, 1, self.between(1, 3), self.between(1, 2)];
                    let scales = scales.into_iter().collect();
                    let y = self.wire(NearestUpsample { scales }, &[y]);
                    self.activation(y)
                }
                _ => {
                    let x = self.conv(x, 64, size, stride);
                    let (start, end) =
                        ([0, 16, 32][self.between(0, 2)], [48, 64][self.between(0, 1)]);
                    self.wire(Slice { axis: 1, start: start.into(), end: end.into() }, &[x])
                }
            };
            if self.between(0, 5) == 0 {
                outputs.push(before);
            }
            if self.between(0, 5) == 0 {
                // Something that there is no kernel for: another stretch begins behind it.
                x = self.wire(ElementWiseOp(Box::new(math::Tanh {}), None), &[x]);
            }
        }
        outputs.push(x);
        outputs.dedup();
        self.model.select_output_outlets(&outputs).unwrap();
        self.model
    }
}

/// What a graph answers as it stands: tract's own passes get some sums with a convolution wrong.
fn run(model: TypedModel, input: &Tensor) -> Vec<Tensor> {
    let mut state = TypedSimplePlan::new(model).unwrap().spawn().unwrap();
    let outputs = state.run(tvec!(input.clone().into_tvalue())).unwrap();
    outputs.into_iter().map(|output| output.into_tensor()).collect()
}

#[test]
fn a_net_of_images_answers_as_its_graph_does() {
    let mut taken = 0;
    for seed in 0..30 {
        let model = Net::new(seed).grow(2 + seed as usize % 7);
        let shape = model.input_fact(0).unwrap().shape.as_concrete().unwrap().to_vec();
        let input = Net::new(seed + 1_000).tensor(&shape, 1.0);
        let theirs = run(model.clone(), &input);
        for kind in Kind::all() {
            let mut ours = model.clone();
            taken += rewrite_for(kind, &mut ours).unwrap();
            let ours = run(ours, &input);
            assert_eq!(ours.len(), theirs.len());
            for (one, other) in ours.iter().zip(&theirs) {
                assert_eq!(one.shape(), other.shape());
                let plain = [one, other].map(|it| it.try_as_plain_ram().unwrap());
                let [one, other] = plain.each_ref().map(|it| it.as_slice::<f32>().unwrap());
                let largest = other.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
                for (at, (one, other)) in one.iter().zip(other).enumerate() {
                    let difference = (one - other).abs() / largest;
                    let where_ = format!("{one} for {other} at {at}, net {seed}, {kind:?}");
                    assert!(difference <= DIFFERENCE_MAX, "{where_}");
                }
            }
        }
    }
    assert!(taken > 50, "only {taken} stretches were taken");
}

#[test]
fn a_row_of_blocks_becomes_one_operator_whose_values_share_few_buffers() {
    let mut net = Net::new(7);
    let mut x = net.model.add_source("x", f32::fact([1, 3, 32, 32])).unwrap();
    x = net.conv(x, 32, 3, 2);
    for _ in 0..8 {
        let zero = net.number(0.0);
        let y = net.conv(x, 32, 3, 1);
        let y = net.wire(max(), &[y, zero]);
        let y = net.conv(y, 32, 1, 1);
        let sum = net.wire(add(), &[x, y]);
        x = net.wire(max(), &[sum, zero]);
    }
    net.model.select_output_outlets(&[x]).unwrap();
    assert!(is_of_images(&net.model) == Kind::best().is_quick());
    assert_eq!(rewrite_for(Kind::best(), &mut net.model).unwrap(), 1);
    let blocked = net.model.nodes().iter().find_map(|node| node.op_as::<Blocked<Work>>()).unwrap();
    assert_eq!(blocked.program.steps.len(), 17, "one for each convolution");
    assert!(blocked.program.buffers.len() <= 4, "{:?}", blocked.program.buffers);
}

#[test]
fn gates_are_drawn_into_the_convolutions_behind_them_and_answer_as_their_graph_does() {
    let mut net = Net::new(21);
    let mut x = net.model.add_source("x", f32::fact([2, 3, 40, 40])).unwrap();
    x = net.conv(x, 16, 3, 2);
    for (wide, made, size, stride) in [(48, 24, 3, 1), (70, 24, 5, 1), (72, 40, 5, 2)] {
        let before = x;
        let y = net.conv(x, wide, 1, 1);
        let y = net.wire(hard_swish(), &[y]);
        let y = net.depthwise(y, size, stride);
        let y = net.wire(hard_swish(), &[y]);
        let y = net.squeeze(y);
        x = net.conv(y, made, 1, 1);
        if net.shape(x) == net.shape(before) {
            x = net.wire(add(), &[before, x]);
        }
    }
    net.model.select_output_outlets(&[x]).unwrap();
    let input = net.tensor(&[2, 3, 40, 40], 1.0);
    let theirs = run(net.model.clone(), &input);
    for kind in Kind::all() {
        let mut ours = net.model.clone();
        assert_eq!(rewrite_for(kind, &mut ours).unwrap(), 1);
        let blocked = ours.nodes().iter().find_map(|node| node.op_as::<Blocked<Work>>()).unwrap();
        let steps = &blocked.program.steps;
        let gates = steps.iter().filter(|step| matches!(step.work, Work::Gate(_)));
        assert_eq!(gates.count(), 0, "{steps:?}"); // at the smallest, 100 pixels for 40 weights
        let ours = run(ours, &input);
        ours[0].close_enough(&theirs[0], Approximation::Approximate).unwrap();
    }
}

/// A convolution, something between, and a product of the channels' sums with so many columns.
fn classifier(rows: usize, columns: usize, has_more: bool) -> TypedModel {
    let mut net = Net::new(5);
    let mut x = net.model.add_source("x", f32::fact([rows, 3, 16, 16])).unwrap();
    x = net.conv(x, 64, 3, 1);
    if has_more {
        x = net.wire(ElementWiseOp(Box::new(math::Tanh {}), None), &[x]);
    }
    x = net.wire(Reduce::new([2, 3].into_iter().collect(), Reducer::Sum), &[x]);
    for axis in [3, 2] {
        x = net.wire(AxisOp::Rm(axis), &[x]);
    }
    let weights = net.constant(&[64, columns], 0.1);
    let product = EinSum::new("mk,kn->mn".parse().unwrap(), DatumType::F32);
    x = net.wire(product, &[x, weights]);
    net.model.select_output_outlets(&[x]).unwrap();
    net.model
}

#[test]
fn rows_gain_from_each_other_where_many_weights_are_left_to_be_read_and_no_large_values() {
    for (columns, has_more, gain) in
        [(4_096, false, true), (100, false, false), (4_096, true, false)]
    {
        let mut model = classifier(1, columns, has_more);
        assert!(!gain_from_each_other(&model), "nothing of it is ours yet");
        rewrite_for(Kind::best(), &mut model).unwrap();
        assert_eq!(gain_from_each_other(&model), gain, "{columns} {has_more}");
        products::take_over(&mut model, &products::Packed::default(), false).unwrap(); // as in a plan
        assert_eq!(gain_from_each_other(&model), gain, "{columns} {has_more}, all ours");
    }
}

#[test]
fn plans_for_one_row_and_for_four_run_one_program() {
    let programs = Programs::default();
    let mut models = [1, 1, 4].map(|rows| classifier(rows, 100, false));
    let program = |model: &mut TypedModel| {
        assert_eq!(rewrite_with(Kind::best(), model, &programs).unwrap(), 1);
        let blocked = model.nodes().iter().find_map(|node| node.op_as::<Blocked<Work>>()).unwrap();
        blocked.program.clone()
    };
    let made = models.each_mut().map(program);
    assert!(made[1..].iter().all(|program| Arc::ptr_eq(program, &made[0])));
    let input = Net::new(6).tensor(&[4, 3, 16, 16], 1.0);
    let theirs = run(classifier(4, 100, false), &input);
    let [_, _, four] = models;
    run(four, &input)[0].close_enough(&theirs[0], Approximation::Approximate).unwrap();
}

#[test]
fn two_stretches_that_would_wait_for_each_other_do_not_both_become_operators() {
    let mut net = Net::new(9);
    let x = net.model.add_source("x", f32::fact([1, 16, 6, 6])).unwrap();
    let y = net.model.add_source("y", f32::fact([1, 16, 6, 6])).unwrap();
    let tanh = || ElementWiseOp(Box::new(math::Tanh {}), None);
    let (a, b) = (net.conv(x, 16, 3, 1), net.conv(y, 16, 3, 1));
    let (over_a, over_b) = (net.wire(tanh(), &[a]), net.wire(tanh(), &[b]));
    let (c, d) = (net.wire(add(), &[a, over_b]), net.wire(add(), &[b, over_a]));
    net.model.select_output_outlets(&[c, d]).unwrap();
    let input = net.tensor(&[1, 16, 6, 6], 1.0).into_tvalue();
    let answers = [false, true].map(|ours| {
        let mut model = net.model.clone();
        if ours {
            assert!(rewrite_for(Kind::best(), &mut model).unwrap() >= 1);
        }
        let mut state =
            TypedSimplePlan::new(model.into_optimized().unwrap()).unwrap().spawn().unwrap();
        state.run(tvec!(input.clone(), input.clone())).unwrap()
    });
    for (one, other) in answers[0].iter().zip(&answers[1]) {
        one.close_enough(other, Approximation::Approximate).unwrap();
    }
}

#[test]
fn what_paddle_writes_behind_a_convolution_is_computed_along_with_it() {
    let mut net = Net::new(11);
    let x = net.model.add_source("x", f32::fact([1, 16, 8, 8])).unwrap();
    let x = net.conv(x, 32, 3, 1);
    let [zero, three, six] = [0.0, 3.0, 6.0].map(|value| net.number(value));
    let (slope, shift) = (net.number(0.8), net.number(0.1));
    let x = net.wire(mul(), &[x, slope]);
    let x = net.wire(add(), &[x, shift]);
    let bounded = net.wire(add(), &[x, three]);
    let bounded = net.wire(max(), &[bounded, zero]);
    let bounded = net.wire(min(), &[bounded, six]);
    let x = net.wire(mul(), &[bounded, x]);
    let x = net.wire(div(), &[x, six]);
    let x = net.wire(mul(), &[x, slope]);
    let x = net.wire(add(), &[x, shift]);
    net.model.select_output_outlets(&[x]).unwrap();
    assert_eq!(rewrite_for(Kind::best(), &mut net.model).unwrap(), 1);
    let blocked = net.model.nodes().iter().find_map(|node| node.op_as::<Blocked<Work>>()).unwrap();
    assert_eq!(blocked.program.steps.len(), 1, "{:?}", blocked.program.steps);
}

#[test]
fn a_softmax_along_an_inner_axis_answers_as_tracts_does() {
    let mut net = Net::new(12);
    let x = net.model.add_source("x", f32::fact([2, 16, 5, 7])).unwrap();
    let axes = [1].into_iter().collect();
    let softmax = Softmax { axes, quant_output_dt: None, kind: SoftmaxKind::Softmax };
    let x = net.wire(softmax, &[x]);
    net.model.select_output_outlets(&[x]).unwrap();
    let input = net.tensor(&[2, 16, 5, 7], 10.0);
    let theirs = run(net.model.clone(), &input);
    for kind in Kind::all() {
        let mut ours = net.model.clone();
        SoftmaxAcross::take(kind, &mut ours);
        assert!(ours.nodes().iter().any(|node| node.op_is::<SoftmaxAcross>()));
        let ours = run(ours, &input);
        ours[0].close_enough(&theirs[0], Approximation::Approximate).unwrap();
    }
}
