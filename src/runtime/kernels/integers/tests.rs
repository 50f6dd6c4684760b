//! Kernels held against loops that anybody can read, on random shapes, for all vectors of this processor: equal, not near.

mod codes;

use super::super::crew::{Alone, Crew};
use super::super::map::{Frame, Map};
use super::super::window::Window;
use super::*;

/// Shapes that each test tries.
const TRIES: usize = if cfg!(miri) { 4 } else { 80 };

/// Numbers that are the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 20
    }

    fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.next() as usize % (high - low + 1)
    }

    /// The largest and the least are among them often.
    fn codes(&mut self, count: usize) -> Vec<u8> {
        let mut one = || match self.between(0, 3) {
            0 => 0,
            1 => 255,
            _ => self.next() as u8,
        };
        (0..count).map(|_| one()).collect()
    }

    /// As codes, and now and then without the least there is, as quantisers make them.
    fn weights(&mut self, count: usize) -> Vec<i8> {
        let least = -128 + self.between(0, 1) as i8;
        let mut one = || match self.between(0, 3) {
            0 => least,
            1 => 127,
            _ => (self.next() as i8).max(least),
        };
        (0..count).map(|_| one()).collect()
    }

    fn window(&mut self, holes: usize) -> Window {
        let mut pair = |most: usize| [self.between(1, most), self.between(1, most)];
        let (size, stride) = (pair(5), pair(3));
        let dilation = [pair(2)[0], pair(holes)[0]];
        let padding = [0, 1].map(|axis| self.between(0, (size[axis] - 1) * dilation[axis]));
        Window { size, stride, dilation, padding }
    }

    /// A map with what the window looks at around it, and one of its output.
    fn maps(&mut self, window: &Window, channels: [usize; 2]) -> [Map; 2] {
        let extent = |axis: usize, random: &mut Random| {
            let reach = (window.size[axis] - 1) * window.dilation[axis] + 1;
            let least = reach.saturating_sub(2 * window.padding[axis]).max(1);
            let input = random.between(least, least + 20);
            let made = (input + 2 * window.padding[axis] - reach) / window.stride[axis] + 1;
            (input, made)
        };
        let ((height, made_height), (width, made_width)) = (extent(0, self), extent(1, self));
        let needed = window.frame([height, width], [made_height, made_width]);
        let mut side = || self.between(0, 3) / 2;
        let more = Frame { top: side(), left: side(), bottom: side(), right: side() };
        let lanes = if channels[0] <= 4 && side() == 0 { 4 } else { LANES };
        let input = Map { channels: channels[0], height, width, lanes, frame: needed };
        let frame = if side() == 0 { Frame::default() } else { more };
        let output = Map {
            channels: channels[1],
            height: made_height,
            width: made_width,
            lanes: LANES,
            frame,
        };
        [input, output]
    }

    fn brought(&mut self, map: &Map, zero: u8) -> (Vec<u8>, Vec<u8>) {
        let image = self.codes(map.channels * map.height * map.width);
        let mut buffer = self.codes(map.floats() + SLACK);
        bring_in(map, zero, &image, 0, &mut buffer[..map.floats()]);
        (image, buffer)
    }
}

fn made(map: &Map, buffer: &[u8]) -> Vec<u8> {
    let mut image = vec![0; map.channels * map.height * map.width];
    take_out(map, &buffer[..map.floats()], 0, &mut image);
    image
}

/// The code of a count, as the operator of whole numbers rounds it.
fn code(count: i32, step: f32, zero: u8) -> u8 {
    let steps = (count as f32 * step).clamp(-f32::from(zero), 255.0 - f32::from(zero));
    (steps.round_ties_even() as i32 + i32::from(zero)) as u8
}

/// The code of a sum, as the operator of whole numbers rounds it.
fn added_up(one: u8, other: u8, sum: Sum) -> u8 {
    let [one, other] = [one, other].map(|code| f32::from(code) - f32::from(sum.moved));
    let whole = one.mul_add(sum.ratios[0], other.mul_add(sum.ratios[1], sum.constant));
    let moved = f32::from(sum.moved);
    (whole.round_ties_even().clamp(-moved, 255.0 - moved) + moved) as u8
}

/// The count of one pixel of one channel: products of codes from the zero point on.
fn count(
    (input, zero, image): (&Map, u8, &[u8]),
    window: &Window,
    channels: std::ops::Range<usize>,
    weights: &[i8],
    [row, column]: [usize; 2],
) -> i32 {
    let mut count = 0;
    let mut weights = weights.iter();
    for channel in channels {
        for tap in 0..window.size[0] {
            for side in 0..window.size[1] {
                let weight = i32::from(*weights.next().unwrap());
                let place = |axis: usize, tap: usize, at: usize| {
                    (at * window.stride[axis] + tap * window.dilation[axis])
                        .checked_sub(window.padding[axis])
                };
                let (Some(y), Some(x)) = (place(0, tap, row), place(1, side, column)) else {
                    continue;
                };
                if y < input.height && x < input.width {
                    let value = image[(channel * input.height + y) * input.width + x];
                    count += (i32::from(value) - i32::from(zero)) * weight;
                }
            }
        }
    }
    count
}

#[test]
fn a_convolution_of_codes_counts_what_the_loop_counts() {
    for seed in 0..TRIES {
        let mut random = Random(seed as u64 * 0x9e37_79b9 + 17);
        let channels = [random.between(1, 70), random.between(1, 70)];
        let mut window = random.window(2);
        if seed % 3 == 0 {
            window = Window { size: [1; 2], stride: [1; 2], dilation: [1; 2], padding: [0; 2] };
        }
        let [input, output] = random.maps(&window, channels);
        let (zero, made_zero) = (random.next() as u8, random.next() as u8);
        let (image, buffer) = random.brought(&input, zero);
        let each = channels[0] * window.taps();
        let weights = random.weights(channels[1] * each);
        let bias: Vec<i32> = (0..channels[1]).map(|_| random.between(0, 9999) as i32).collect();
        let steps: Vec<f32> =
            (0..channels[1]).map(|_| random.between(1, 999) as f32 / 4e5).collect();
        let residual = (seed % 2 == 0).then(|| {
            let map = Map { frame: Frame { top: seed % 3, ..Frame::default() }, ..output };
            let moved = [0, 128][seed % 4 / 2];
            let sum = Sum { ratios: [0.3, 0.9], constant: 3.25, moved };
            Residual { map, sum, is_first: seed % 8 == 0 }
        });
        let (added, residual_buffer) = match &residual {
            Some(residual) => random.brought(&residual.map, 0),
            None => (Vec::new(), Vec::new()),
        };
        let mut wanted = Vec::new();
        for (channel, weights) in weights.chunks(each).enumerate() {
            for row in 0..output.height {
                for column in 0..output.width {
                    let given = (&input, zero, image.as_slice());
                    let count = count(given, &window, 0..channels[0], weights, [row, column]);
                    let mut code = code(count + bias[channel], steps[channel], made_zero);
                    if let Some(Residual { sum, is_first, .. }) = residual {
                        let both = (code, added[wanted.len()]);
                        let (one, other) = if is_first { (both.1, both.0) } else { both };
                        code = added_up(one, other, sum);
                    }
                    wanted.push(code);
                }
            }
        }
        for kind in Kind::all() {
            let parts = Parts {
                input: (input, zero),
                output,
                residual,
                window,
                weights: &weights,
                bias: &bias,
                steps: &steps,
                code: Code::of(made_zero),
            };
            let convolution = Convolution::new(kind, &parts).unwrap();
            let mut to = random.codes(output.floats());
            let before = to.clone();
            let added = residual.is_some().then_some(residual_buffer.as_slice());
            convolution.run(&buffer, added, &mut to, &Alone);
            assert!(made(&output, &to) == wanted, "{kind:?} {input:?} {output:?} {window:?}");
            // The frame is as it was.
            let mut framed = to.clone();
            clear_frame(&output, 7, &mut framed);
            let mut was = before;
            clear_frame(&output, 7, &mut was);
            let changed = to.iter().zip(&framed).filter(|(one, other)| one != other).count();
            assert!(changed <= output.floats() - output.blocks() * output.height * output.width);
        }
    }
}

#[test]
fn a_depthwise_convolution_of_codes_counts_what_the_loop_counts() {
    for seed in 0..TRIES {
        let mut random = Random(seed as u64 * 0x9e37_79b9 + 29);
        let channels = random.between(5, 50);
        let mut window = random.window(1);
        if seed % 3 == 0 {
            window.size = [3, 3];
            window.padding = window.padding.map(|padding| padding.min(2));
        }
        let [input, output] = random.maps(&window, [channels; 2]);
        let (zero, made_zero) = (random.next() as u8, random.next() as u8);
        let (image, buffer) = random.brought(&input, zero);
        let weights = random.weights(channels * window.taps());
        let bias: Vec<i32> = (0..channels).map(|_| random.between(0, 9999) as i32).collect();
        let steps: Vec<f32> = (0..channels).map(|_| random.between(1, 999) as f32 / 4e4).collect();
        let mut wanted = Vec::new();
        for (channel, weights) in weights.chunks(window.taps()).enumerate() {
            for row in 0..output.height {
                for column in 0..output.width {
                    let given = (&input, zero, image.as_slice());
                    let one = channel..channel + 1;
                    let count = count(given, &window, one, weights, [row, column]);
                    wanted.push(code(count + bias[channel], steps[channel], made_zero));
                }
            }
        }
        for kind in Kind::all() {
            let (input, steps) = ((input, zero), (&*bias, &*steps));
            let code = Code::of(made_zero);
            let depthwise =
                Depthwise::new(kind, input, output, window, &weights, steps, code).unwrap();
            let mut to = random.codes(output.floats());
            depthwise.run(&buffer, &mut to, &Alone);
            assert!(made(&output, &to) == wanted, "{kind:?} {input:?} {output:?} {window:?}");
        }
    }
}

#[test]
fn sums_means_and_largest_codes_are_those_of_the_loops() {
    for seed in 0..TRIES {
        let mut random = Random(seed as u64 * 0x9e37_79b9 + 41);
        let channels = random.between(1, 50);
        let mut window = random.window(2);
        window.padding = [0, 1].map(|axis| window.padding[axis].min(window.size[axis] / 2));
        let [mut input, output] = random.maps(&window, [channels; 2]);
        input.lanes = LANES;
        let (image, buffer) = random.brought(&input, 9);
        let mut to = random.codes(output.floats());
        largest((&input, &buffer), window, (&output, &mut to));
        let mut wanted = Vec::new();
        for channel in image.chunks(input.height * input.width) {
            for (row, column) in
                (0..output.height).flat_map(|row| (0..output.width).map(move |it| (row, it)))
            {
                let mut most = 0;
                for (tap, side) in
                    (0..window.size[0]).flat_map(|tap| (0..window.size[1]).map(move |it| (tap, it)))
                {
                    let y = row * window.stride[0] + tap * window.dilation[0];
                    let x = column * window.stride[1] + side * window.dilation[1];
                    let (y, x) =
                        (y.wrapping_sub(window.padding[0]), x.wrapping_sub(window.padding[1]));
                    if y < input.height && x < input.width {
                        most = most.max(channel[y * input.width + x]);
                    }
                }
                wanted.push(most);
            }
        }
        assert!(made(&output, &to) == wanted, "{input:?} {output:?} {window:?}");

        let single = Map { height: 1, width: 1, ..output };
        let mut to = random.codes(single.floats());
        mean((&input, &buffer), (9, 0.03, Code::of(3)), (&single, &mut to));
        let means = image
            .chunks(input.height * input.width)
            .map(|channel| code(channel.iter().map(|one| i32::from(*one) - 9).sum(), 0.03, 3));
        assert!(made(&single, &to) == means.collect::<Vec<u8>>());

        let other = Map { frame: Frame { left: 1, ..Frame::default() }, ..input };
        let (others, other_buffer) = random.brought(&other, 0);
        let steps = Sum { ratios: [0.7, 1.3], constant: -40.5, moved: [0, 128][seed % 2] };
        let wanted: Vec<u8> =
            image.iter().zip(&others).map(|(one, other)| added_up(*one, *other, steps)).collect();
        for kind in Kind::all() {
            let mut to = random.codes(input.floats());
            let both = [(&input, buffer.as_slice()), (&other, other_buffer.as_slice())];
            sum(kind, both, steps, (&input, &mut to), &Alone);
            assert!(made(&input, &to) == wanted, "{kind:?}");
        }
    }
}

/// The caller, and two threads that are made for each kernel.
struct Three;

impl Crew for Three {
    fn size(&self) -> usize {
        3
    }

    fn together(&self, work: &(dyn Fn() + Sync)) {
        std::thread::scope(|scope| {
            (0..2).for_each(|_| drop(scope.spawn(work)));
            work();
        });
    }
}

#[test]
fn products_of_rows_are_counted_exactly_and_rounded_or_scaled_once() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for number in 0..TRIES {
        let [rows, terms, columns] = match number % 20 {
            9 => [260, 150, 120], // so much that threads share it
            _ => [40, 90, 90].map(|most| random.between(1, most)),
        };
        let zero_of_weights = [0, 0, 3, 128, 255][random.between(0, 4)];
        let weights: Vec<i32> = match zero_of_weights {
            0 => random.weights(terms * columns).into_iter().map(i32::from).collect(),
            zero => {
                let codes = random.codes(terms * columns).into_iter();
                codes.map(|code| i32::from(code) - zero).collect()
            }
        };
        let bias: Vec<i32> =
            (0..columns).map(|_| random.between(0, 9_999) as i32 - 5_000).collect();
        let bytes = random.codes(rows * terms);
        let is_signed = random.between(0, 1) == 1;
        let zero = random.between(0, 255) as i32 - if is_signed { 128 } else { 0 };
        let given = Rows { bytes: &bytes, is_signed, zero };
        let value = |at: usize| match is_signed {
            true => i32::from(bytes[at].cast_signed()) - zero,
            false => i32::from(bytes[at]) - zero,
        };
        let count = |row: usize, column: usize| {
            let products =
                (0..terms).map(|term| value(row * terms + term) * weights[term * columns + column]);
            bias[column] + products.sum::<i32>()
        };
        let places = || (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let counts: Vec<i32> = places().map(|(row, column)| count(row, column)).collect();
        let steps: Vec<f32> = (0..columns).map(|_| random.between(1, 99) as f32 / 1e5).collect();
        let (made_zero, moved) = (random.between(0, 255) as u8, [0, 128][random.between(0, 1)]);
        let code = Code::of(made_zero);
        let codes: Vec<u8> = places()
            .zip(&counts)
            .map(|((_, column), count)| code.code(*count as f32 * steps[column]) as u8 ^ moved)
            .collect();
        let floats: Vec<f32> = places()
            .zip(&counts)
            .map(|((_, column), count)| (*count as f32 * 0.01 + steps[column]).max(-3.0))
            .collect();
        let sum = Sum { ratios: [0.7, 1.3], constant: -40.5, moved };
        let (more, is_first) = (random.codes(columns), random.between(0, 1) == 1);
        let added = Added::new(&more, sum, is_first);
        let with_added: Vec<u8> = places()
            .zip(&codes)
            .map(|((_, column), byte)| {
                let [one, other] = [byte ^ moved, more[column] ^ moved];
                let (one, other) = if is_first { (other, one) } else { (one, other) };
                added_up(one, other, sum) ^ moved
            })
            .collect();
        for kind in Kind::all() {
            let weight = |term: usize, column: usize| weights[term * columns + column];
            let product = Product::new(kind, [terms, columns], weight, &bias).unwrap();
            for crew in [&Alone as &dyn Crew, &Three] {
                let shape = (rows, terms, columns, kind);
                assert_eq!(product.counts(given, crew), counts, "{shape:?}");
                let made = |added| product.codes(given, &steps, (code, moved), added, crew);
                assert_eq!(made(None), codes, "{shape:?}");
                assert_eq!(made(Some(&added)), with_added, "{shape:?}");
                let found = product.floats(given, &[0.01], (&steps, -3.0), crew);
                assert_eq!(found, floats, "{shape:?}");
            }
        }
    }
}
