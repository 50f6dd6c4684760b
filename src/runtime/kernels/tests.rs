//! Kernels held against loops that anybody can read, on random shapes, for all vectors of this processor.

mod gates;
mod patches;
mod products;

use super::*;
use crate::random::Random;
use std::sync::Arc;

/// How far a value may be from that of the loops, relative to it, or absolutely below one: the sums
/// have up to some thousand terms in another order.
const DIFFERENCE_MAX: f32 = 1e-4;

/// Shapes that each test tries.
const TRIES: usize = if cfg!(miri) { 4 } else { 60 };

/// Channels and pixels at most, fewer where each step takes a microsecond.
const fn most(extent: usize) -> usize {
    if cfg!(miri) { extent.div_ceil(4) } else { extent }
}

const ACTIVATIONS: [Activation; 10] = [
    Activation::NONE,
    Activation::Clip(0.0, 6.0),
    Activation::Clip(0.0, f32::INFINITY),
    Activation::Sigmoid,
    Activation::Silu,
    Activation::HardSwish(1.0, 0.0),
    Activation::HardSwish(-0.7, 0.2),
    Activation::LeakyRelu(0.1),
    Activation::Gelu,
    Activation::GeluTanh,
];

impl Random {
    fn one_in(&mut self, times: usize) -> bool {
        self.between(1, times) == 1
    }

    fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| ((self.next() >> 20) % 20_001) as f32 / 10_000.0 - 1.0).collect()
    }

    fn activation(&mut self) -> Activation {
        ACTIVATIONS[self.between(0, ACTIVATIONS.len() - 1)]
    }

    fn frame(&mut self) -> Frame {
        if self.one_in(2) {
            return Frame::default();
        }
        let mut side = || self.between(0, 2);
        Frame { top: side(), left: side(), bottom: side(), right: side() }
    }

    fn window(&mut self) -> Window {
        let mut pair = |most: usize| [self.between(1, most), self.between(1, most)];
        let (size, stride, dilation) = (pair(5), pair(3), pair(2));
        let padding = [self.between(0, 3), self.between(0, 3)];
        let mut window = Window { size, stride, dilation, padding };
        if self.one_in(2) {
            window.stride = [1, 1];
        }
        if self.one_in(3) {
            window = Window { size: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0, 0] };
        }
        window
    }
}

/// As large as all windows that fit, with as much padding behind the image as before it.
fn extent(window: &Window, axis: usize, extent: usize) -> usize {
    let reach = (window.size[axis] - 1) * window.dilation[axis] + 1;
    match (extent + 2 * window.padding[axis]).checked_sub(reach) {
        Some(room) => room / window.stride[axis] + 1,
        None => 0,
    }
}

fn of(activation: Activation, value: f32) -> f32 {
    match activation {
        Activation::Clip(low, high) => value.max(low).min(high),
        Activation::Sigmoid => 1.0 / (1.0 + (-value).exp()),
        Activation::Silu => value / (1.0 + (-value).exp()),
        Activation::HardSwish(factor, term) => {
            value * (value / 6.0 + 0.5).clamp(0.0, 1.0) * factor + term
        }
        Activation::Gelu => {
            let value = f64::from(value);
            (value * (1.0 + erf(value / 2.0_f64.sqrt())) / 2.0) as f32
        }
        Activation::GeluTanh => {
            let value = f64::from(value);
            let line = (2.0 / std::f64::consts::PI).sqrt() * (value + 0.044715 * value.powi(3));
            (value * (1.0 + line.tanh()) / 2.0) as f32
        }
        Activation::LeakyRelu(alpha) => value.max(0.0) + alpha * value.min(0.0),
    }
}

/// By its series, which converges for any value; beyond 5 it is 1 here too.
fn erf(value: f64) -> f64 {
    let value = value.clamp(-5.0, 5.0);
    let mut power = value;
    let mut sum = value;
    for term in 1..200 {
        power *= -value * value / f64::from(term);
        sum += power / f64::from(2 * term + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

/// The image in a buffer that holds what must not be read elsewhere.
fn brought_in(map: &Map, image: &[f32]) -> Vec<f32> {
    let mut buffer = vec![f32::NAN; map.floats()];
    map.bring_in(image, &mut buffer);
    buffer
}

fn taken_out(map: &Map, buffer: &[f32]) -> Vec<f32> {
    let mut image = vec![0.0; map.channels * map.height * map.width];
    map.take_out(buffer, &mut image);
    image
}

/// A buffer to be written: its frame must stay clear, and everything else must be written.
fn blank(map: &Map) -> Vec<f32> {
    let mut buffer = vec![f32::NAN; map.floats()];
    map.clear_frame(&mut buffer);
    buffer
}

fn assert_close(ours: &[f32], theirs: &[f32], what: &str) {
    for (at, (one, other)) in ours.iter().zip(theirs).enumerate() {
        let difference = (one - other).abs() / other.abs().max(1.0);
        let is_close = one == other || difference <= DIFFERENCE_MAX; // two infinities are apart by none
        assert!(is_close, "{one} for {other} at {at}: {what}");
    }
}

/// For each pixel of the output the pixels of the input under the window, with their tap.
fn taps(window: &Window, row: usize, column: usize, map: &Map) -> Vec<(usize, usize)> {
    let mut taps = Vec::new();
    for down in 0..window.size[0] {
        for right in 0..window.size[1] {
            let y =
                (row * window.stride[0] + down * window.dilation[0]).checked_sub(window.padding[0]);
            let x = (column * window.stride[1] + right * window.dilation[1])
                .checked_sub(window.padding[1]);
            if let (Some(y), Some(x)) = (y, x)
                && y < map.height
                && x < map.width
            {
                taps.push((down * window.size[1] + right, y * map.width + x));
            }
        }
    }
    taps
}

/// One random convolution, with this crew.
fn convolve(kind: Kind, random: &mut Random, crew: &dyn Crew) {
    let is_depthwise = random.one_in(3);
    let is_planar = !is_depthwise && random.one_in(4);
    let given = random.between(1, if is_planar { 4 } else { most(40) });
    let made = if is_depthwise { given } else { random.between(1, most(70)) };
    let window = random.window();
    let image = [random.between(1, most(20)), random.between(1, most(33))];
    let shape = (given, made, image, window);
    convolve_of(kind, random, crew, shape, (is_depthwise, is_planar));
}

/// Channels that come in and that go out, rows and columns of the image, and the window.
type Shape = (usize, usize, [usize; 2], Window);

/// One of such a shape, with a channel of the input for each of the output, or one beside the other.
fn convolve_of(
    kind: Kind,
    random: &mut Random,
    crew: &dyn Crew,
    (given, made, [height, width], window): Shape,
    (is_depthwise, is_planar): (bool, bool),
) {
    let (rows, columns) = (extent(&window, 0, height), extent(&window, 1, width));
    if rows * columns == 0 {
        return;
    }
    let frame = window.frame([height, width], [rows, columns]);
    let lanes = kind.lanes();
    let map = |channels, height, width, lanes, frame| Map { channels, height, width, lanes, frame };
    let input = map(given, height, width, if is_planar { 1 } else { lanes }, frame);
    let output = map(made, rows, columns, lanes, random.frame());
    let residual = Map { frame: random.frame(), ..output };
    let residual = (!is_depthwise && random.one_in(2)).then_some(residual);
    let mut before = Activation::NONE;
    if residual.is_some() {
        before = random.activation();
    }
    let after = random.activation();
    let image = random.floats(given * height * width);
    let inputs = if is_depthwise { 1 } else { given };
    let weights = random.floats(made * inputs * window.taps());
    let bias = random.floats(made);
    let more = random.floats(made * rows * columns);

    let mut expected = Vec::new();
    for channel in 0..made {
        for row in 0..rows {
            for column in 0..columns {
                let mut sum = f64::from(bias[channel]);
                for (place, from) in
                    (0..inputs).map(|input| (input, if is_depthwise { channel } else { input }))
                {
                    let filter = &weights[(channel * inputs + place) * window.taps()..];
                    for (tap, pixel) in taps(&window, row, column, &input) {
                        let value = image[from * height * width + pixel];
                        sum += f64::from(filter[tap]) * f64::from(value);
                    }
                }
                let mut value = of(before, sum as f32);
                if residual.is_some() {
                    value += more[expected.len()];
                }
                expected.push(of(after, value));
            }
        }
    }

    let (from, mut to) = (brought_in(&input, &image), blank(&output));
    if is_depthwise {
        let maps = [input, output];
        let depthwise = Depthwise::new(kind, maps, window, &weights, &bias, after).unwrap();
        depthwise.run(&from, &mut to, crew);
    } else {
        let (weights, bias) = (weights.as_slice(), bias.as_slice());
        let parts = Parts { input, output, residual, window, weights, bias, before, after };
        let more = residual.map(|map| brought_in(&map, &more));
        Convolution::new(kind, &parts).unwrap().run(&from, more.as_deref(), &mut to, crew);
    }
    let what = format!(
        "{kind:?}, depthwise {is_depthwise}, {input:?} to {output:?} by {window:?}, {before:?}, \
         {residual:?}, {after:?}"
    );
    assert_eq!(to.iter().position(|value| value.is_nan()), None, "not written: {what}");
    assert_close(&taken_out(&output, &to), &expected, &what);
}

#[test]
fn convolutions_of_any_shape_come_to_what_loops_come_to() {
    let mut random = Random(88_172_645_463_325_252);
    for kind in Kind::all() {
        for _ in 0..TRIES {
            convolve(kind, &mut random, &Alone);
        }
    }
}

/// Right of the last place of such a window lie as many columns as between two: they are beyond the buffer.
#[test]
fn a_window_with_holes_ends_where_its_image_ends() {
    let mut random = Random(17);
    let window = Window { size: [1, 2], stride: [1, 1], dilation: [1, 2], padding: [0, 0] };
    for kind in Kind::all() {
        for is in [(false, false), (false, true), (true, false)] {
            convolve_of(kind, &mut random, &Alone, (1, 1, [1, 3], window), is);
        }
    }
}

#[test]
fn convolutions_in_parts_on_several_threads_come_to_the_same() {
    let gang = Arc::new(Gang::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| gang.help(|| false));
        }
        gang.during(|| {
            while gang.size() < 3 {
                std::thread::yield_now();
            }
            let mut random = Random(1_234_567_891_011);
            for _ in 0..TRIES {
                convolve(Kind::best(), &mut random, gang.as_ref());
            }
        });
    });
    assert_eq!(gang.size(), 1, "helpers go when the run is over");
}

#[test]
fn a_kernel_that_breaks_on_a_helper_breaks_the_run_and_ends_all_helpers() {
    let gang = Arc::new(Gang::default());
    let caller = std::thread::current().id();
    let broken = std::thread::scope(|scope| {
        scope.spawn(|| gang.help(|| false));
        gang.during(|| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let was_there = std::sync::atomic::AtomicBool::new(false);
                gang.together(&|| {
                    use std::sync::atomic::Ordering::SeqCst;
                    if std::thread::current().id() == caller {
                        while !was_there.load(SeqCst) {
                            std::thread::yield_now();
                        }
                    } else {
                        was_there.store(true, SeqCst);
                        panic!("a kernel breaks");
                    }
                });
            }))
        })
    });
    assert!(broken.is_err());
}

#[test]
fn what_is_blended_and_pooled_comes_to_what_loops_come_to() {
    let mut random = Random(99_194_853_094_755_497);
    for (kind, _) in Kind::all().into_iter().flat_map(|kind| (0..TRIES).map(move |at| (kind, at))) {
        let lanes = kind.lanes();
        let (channels, height, width) =
            (random.between(1, most(40)), random.between(1, most(12)), random.between(1, most(12)));
        let from = Map { channels, height, width, lanes, frame: random.frame() };
        let other = Map { frame: random.frame(), ..from };
        let gate = Map { height: 1, width: 1, ..other };
        let to = Map { frame: random.frame(), ..from };
        let pixels = height * width;
        let (one, two) = (random.floats(channels * pixels), random.floats(channels * pixels));
        let (factors, terms) = (random.floats(channels), random.floats(channels));
        let (input, second) = (brought_in(&from, &one), brought_in(&other, &two));
        let gates = brought_in(&gate, &factors);
        let padded = |values: &[f32]| {
            let mut values = values.to_vec();
            values.resize(to.blocks() * lanes, 0.0);
            values
        };
        let (scales, shifts) = (padded(&factors), padded(&terms));
        let after = random.activation();
        let cases: [(With<'_>, &dyn Fn(usize) -> f32); 5] = [
            (With::Nothing, &|at| one[at]),
            (With::Sum(&other, &second), &|at| one[at] + two[at]),
            (With::Product(&other, &second), &|at| one[at] * two[at]),
            (With::Gate(&gate, &gates), &|at| one[at] * factors[at / pixels]),
            (With::Scale(&scales, &shifts), &|at| {
                one[at] * factors[at / pixels] + terms[at / pixels]
            }),
        ];
        for (with, loops) in cases {
            let mut made = blank(&to);
            blend(kind, (&from, &input), with, after, (&to, &mut made), &Alone);
            let expected: Vec<f32> = (0..one.len()).map(|at| of(after, loops(at))).collect();
            assert_close(&taken_out(&to, &made), &expected, &format!("{with:?} {after:?}"));
        }
        let mut window = random.window();
        window.padding = [0, 1].map(|axis| window.padding[axis].min(window.size[axis] / 2));
        let (rows, columns) = (extent(&window, 0, height), extent(&window, 1, width));
        if rows * columns == 0 {
            continue;
        }
        let small = Map { height: rows, width: columns, ..to };
        for pooling in [
            Pooling::Max,
            Pooling::Sum,
            Pooling::Mean { counts_padding: true },
            Pooling::Mean { counts_padding: false },
        ] {
            let mut made = blank(&small);
            pool(kind, (&from, &input), window, pooling, (&small, &mut made), &Alone);
            let mut expected = Vec::new();
            for at in 0..channels * rows * columns {
                let (channel, row, column) =
                    (at / (rows * columns), at / columns % rows, at % columns);
                let seen: Vec<f32> = taps(&window, row, column, &from)
                    .into_iter()
                    .map(|(_, pixel)| one[channel * pixels + pixel])
                    .collect();
                let sum: f32 = seen.iter().sum();
                expected.push(match pooling {
                    Pooling::Max => seen.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                    Pooling::Sum => sum,
                    Pooling::Mean { counts_padding: true } => sum / window.taps() as f32,
                    Pooling::Mean { counts_padding: false } => sum / seen.len().max(1) as f32,
                });
            }
            assert_close(&taken_out(&small, &made), &expected, &format!("{pooling:?} {window:?}"));
        }
    }
}

#[test]
fn pixels_are_repeated_and_channels_joined_at_any_place() {
    let mut random = Random(73_244_475_912_583);
    for (kind, _) in Kind::all().into_iter().flat_map(|kind| (0..TRIES).map(move |at| (kind, at))) {
        let lanes = kind.lanes();
        let (height, width) = (random.between(1, most(9)), random.between(1, most(9)));
        let parts: Vec<usize> =
            (0..random.between(2, 4)).map(|_| random.between(1, most(40))).collect();
        let all = Map { channels: parts.iter().sum(), height, width, lanes, frame: random.frame() };
        let (mut joined, mut expected, mut first) = (blank(&all), Vec::new(), 0);
        for channels in parts {
            let from = Map { channels, frame: random.frame(), ..all };
            let image = random.floats(channels * height * width);
            all.take_in(first, &from, &brought_in(&from, &image), &mut joined);
            first += channels;
            expected.extend(image);
        }
        assert!(joined.iter().all(|value| !value.is_nan()), "{all:?} has what nobody wrote");
        assert_eq!(taken_out(&all, &joined), expected, "{all:?}");

        let times = [random.between(1, 3), random.between(1, 3)];
        let frame = random.frame();
        let to = Map { height: height * times[0], width: width * times[1], frame, ..all };
        let mut made = blank(&to);
        enlarge(kind, (&all, &joined), times, (&to, &mut made), &Alone);
        assert!(made.iter().all(|value| !value.is_nan()), "{to:?} has what nobody wrote");
        let repeated = (0..to.channels * to.height * to.width).map(|at| {
            let (channel, row, column) =
                (at / (to.height * to.width), at / to.width % to.height, at % to.width);
            expected[(channel * height + row / times[0]) * width + column / times[1]]
        });
        assert_eq!(taken_out(&to, &made), repeated.collect::<Vec<f32>>(), "{times:?} {all:?}");
    }
}

#[test]
fn a_softmax_across_neighbours_comes_to_what_loops_come_to() {
    let mut random = Random(5_318_008_135_711);
    for (kind, _) in Kind::all().into_iter().flat_map(|kind| (0..TRIES).map(move |at| (kind, at))) {
        let (outer, terms, inner) =
            (random.between(1, 3), random.between(1, most(20)), random.between(1, most(70)));
        let mut values = random.floats(outer * terms * inner);
        values.iter_mut().for_each(|value| *value *= 30.0);
        if random.one_in(4) {
            values[0] = f32::NAN;
        }
        let mut expected = values.clone();
        for column in 0..outer * inner {
            let places =
                (0..terms).map(|term| (column / inner * terms + term) * inner + column % inner);
            let most = places.clone().map(|at| values[at]).fold(f32::NEG_INFINITY, f32::max);
            let of = |at: usize| (values[at] - most).exp();
            let sum: f32 = places.clone().map(of).sum();
            places.for_each(|at| expected[at] = of(at) / sum);
        }
        softmax_across(kind, &mut values, terms, inner);
        for (one, other) in values.iter().zip(&expected) {
            let is_close = (one - other).abs() <= 1e-6 || (one.is_nan() && other.is_nan());
            assert!(is_close, "{one} for {other}: {kind:?}, {outer} {terms} {inner}");
        }
    }
}

#[test]
fn what_is_no_number_stays_none_and_stays_in_its_channel() {
    let window = Window { size: [1, 1], stride: [1, 1], dilation: [1, 1], padding: [0, 0] };
    for kind in Kind::all() {
        let map =
            Map { channels: 3, height: 2, width: 2, lanes: kind.lanes(), frame: Frame::default() };
        let mut image = vec![1.0; 12];
        (image[0], image[5]) = (f32::NAN, f32::INFINITY);
        let weights = [1.0, 0.5, 0.25];
        let relu = Activation::Clip(0.0, f32::INFINITY);
        let one = Depthwise::new(kind, [map, map], window, &weights, &[0.0; 3], relu).unwrap();
        let mut made = blank(&map);
        one.run(&brought_in(&map, &image), &mut made, &Alone);
        let made = taken_out(&map, &made);
        assert!(made[0].is_nan() && made[5] == f32::INFINITY, "{kind:?}: {made:?}");
        assert_eq!(&made[1..4], [1.0; 3], "{kind:?}");
        assert_eq!(&made[8..], [0.25; 4], "{kind:?}");
    }
}

#[test]
fn parts_that_do_not_fit_together_make_no_kernel() {
    let kind = Kind::best();
    let window = Window { size: [3, 3], stride: [1, 1], dilation: [1, 1], padding: [1, 1] };
    let lanes = kind.lanes();
    let bare = Map { channels: 4, height: 5, width: 5, lanes, frame: Frame::default() };
    let (weights, bias) = ([0.0; 36], [0.0; 4]);
    // The window looks over the edge, where this map has no frame.
    let none = Activation::NONE;
    assert!(Depthwise::new(kind, [bare, bare], window, &weights, &bias, none).is_none());
    let framed = Map { frame: window.frame([5, 5], [5, 5]), ..bare };
    assert!(Depthwise::new(kind, [framed, bare], window, &weights, &bias, none).is_some());
    assert!(Depthwise::new(kind, [framed, bare], window, &weights[1..], &bias, none).is_none());
    let still = Window { stride: [0, 1], ..window };
    assert!(Depthwise::new(kind, [framed, bare], still, &weights, &bias, none).is_none());
}
