//! Sums, values, tables, norms, softmax and products of codes that lie as tensors have them, held against loops.

use super::super::super::attention::Layout;
use super::super::super::kind::Kind as Floats;
use super::super::super::rows::Normal;
use super::*;

/// Steps as random nets have them: now and then none that is a number of any use.
fn step(random: &mut Random) -> Step {
    let scale = match random.between(0, 9) {
        0 => [f32::NAN, f32::INFINITY, 0.0, -0.25][random.between(0, 3)],
        _ => random.between(1, 999) as f32 / 2e4,
    };
    Step { scale, zero: random.next() as u8, moved: [0, 128][random.between(0, 1)] }
}

/// How far a byte is from the code that is zero.
fn apart(byte: u8, step: Step) -> i32 {
    i32::from(byte ^ step.moved) - i32::from(step.zero)
}

#[test]
fn sums_of_codes_are_those_of_the_loop_at_any_length() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for length in 0..if cfg!(miri) { 20 } else { 300 } {
        let times = if length == 150 { 3_000 } else { random.between(1, 3) };
        let (one, other) = (random.codes(length * times), random.codes(length.max(1)));
        let number = |random: &mut Random| match random.between(0, 19) {
            0 => [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30][random.between(0, 3)],
            _ => random.between(0, 4_000) as f32 / 1e3 - 2.0,
        };
        let ratios = [number(&mut random), number(&mut random)];
        let constant = 40.0 * number(&mut random);
        let sum = Sum { ratios, constant, moved: [0, 128][length % 2] };
        let moved = sum.moved;
        let both = one.iter().zip(other.iter().cycle());
        let known: Vec<u8> = both
            .map(|(one, other)| {
                let [one, other] = [one, other].map(|byte| f32::from(byte ^ moved));
                let [one, other] = [one, other].map(|code| code - f32::from(moved));
                let whole = one.mul_add(ratios[0], other.mul_add(ratios[1], constant));
                let whole = if whole.is_nan() { f32::NEG_INFINITY } else { whole };
                let least = -f32::from(moved);
                let whole = whole.round_ties_even().clamp(least, least + 255.0);
                (whole - least) as u8 ^ moved
            })
            .collect();
        for kind in Kind::all() {
            for crew in [&Alone as &dyn Crew, &Three] {
                let made = added(kind, [&one, &other], sum, crew);
                assert!(made == known, "{kind:?} {length} {times} {sum:?}");
            }
        }
    }
}

#[test]
fn values_of_codes_are_those_of_the_loop_at_any_length() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for length in 0..if cfg!(miri) { 20 } else { 100 } {
        let length = if length == 50 { 200_000 } else { length };
        let (bytes, step) = (random.codes(length), step(&mut random));
        let known: Vec<u32> =
            bytes.iter().map(|byte| (apart(*byte, step) as f32 * step.scale).to_bits()).collect();
        for kind in Kind::all() {
            for crew in [&Alone as &dyn Crew, &Three] {
                let made = spread(kind, &bytes, step, crew).into_iter().map(f32::to_bits);
                assert!(made.eq(known.iter().copied()), "{kind:?} {length} {step:?}");
            }
        }
    }
}

#[test]
fn rows_of_codes_become_the_codes_of_their_softmax_and_of_their_norm() {
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    for number in 0..TRIES {
        let values = random.between(1, 150);
        let rows = if number == 7 { 300 } else { random.between(0, 9) };
        let bytes = random.codes(rows * values);
        let from = Step { scale: random.between(1, 99) as f32 / 2e3, ..step(&mut random) };
        let is_norm = number % 2 == 0;
        let scale = if is_norm { 0.03 } else { 1.0 / 255.0 };
        let to = Step { scale, ..step(&mut random) };
        let factors: Vec<f32> = (0..values).map(|_| random.between(50, 150) as f32 / 1e2).collect();
        let known: Vec<f64> = bytes
            .chunks(values)
            .flat_map(|row| {
                let row: Vec<f64> =
                    row.iter().map(|it| f64::from(apart(*it, from) as f32 * from.scale)).collect();
                let mean = row.iter().sum::<f64>() / values as f64;
                let square = row.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / values as f64;
                let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = row.iter().map(|it| (it - most).exp()).sum();
                let made = |(at, it): (usize, &f64)| match is_norm {
                    true => (it - mean) / (square + 1e-5).sqrt() * f64::from(factors[at]),
                    false => (it - most).exp() / sum,
                };
                row.iter().enumerate().map(made).collect::<Vec<f64>>()
            })
            .map(|value| (value / f64::from(scale) + f64::from(to.zero)).clamp(0.0, 255.0))
            .collect();
        for kind in Kind::all() {
            for floats in Floats::all() {
                let by = match is_norm {
                    true => {
                        By::Normal(Normal::new(floats, values, Some(&factors), None, 1e-5).unwrap())
                    }
                    false => By::Softmax(floats, values),
                };
                let coded = Coded { kind, by, from, to };
                for crew in [&Alone as &dyn Crew, &Three] {
                    let made = coded.run(&bytes, crew);
                    assert_eq!(made.len(), known.len());
                    for (made, known) in made.iter().zip(&known) {
                        // Rounded: off by half a step, and by what single precision is off.
                        let off = (f64::from(made ^ to.moved) - known).abs();
                        assert!(off < 0.51, "{kind:?} {floats:?} {made} {known} {values}");
                    }
                }
            }
        }
    }
}

#[test]
fn products_of_codes_with_codes_are_counted_exactly_and_rounded_once() {
    let mut random = Random(0x0123_4567_89ab_cdef);
    for number in 0..TRIES {
        let [rows, terms, columns] = match number % 20 {
            9 => [130, 130, 130], // so much that threads share it
            _ => [40, 70, 70].map(|most| random.between(1, most)),
        };
        let heads = if number % 40 == 9 { 1 } else { random.between(1, 3) };
        // Each head by itself, or those of a row side by side, as they come of a layer.
        let mut layout = |rows: usize, values: usize| {
            let (head, row) = match random.between(0, 1) {
                0 => (rows * values, values),
                _ => (values, heads * values),
            };
            Layout { heads: (0..heads).map(|it| it * head).collect(), row, value: 1 }
        };
        let mut one = layout(rows, terms);
        let is_turned = number % 3 == 0;
        let mut other = match is_turned {
            true => layout(columns, terms), // rows of terms, as keys are
            false => layout(terms, columns),
        };
        if is_turned {
            (other.row, other.value) = (1, other.row);
        }
        if number % 7 == 0 {
            // Each value for itself, on both sides.
            for layout in [&mut one, &mut other] {
                layout.heads.iter_mut().for_each(|head| *head = 2 * *head + 1);
                (layout.row, layout.value) = (2 * layout.row, 2 * layout.value);
            }
        }
        let output = layout(rows, columns);
        let (given, made) = ([step(&mut random), step(&mut random)], step(&mut random));
        let made = Step { scale: random.between(1, 99) as f32 / 1e5, ..made };
        let crossing = Crossing {
            rows,
            terms,
            columns,
            one: one.clone(),
            other: other.clone(),
            output: output.clone(),
            given,
            made,
        };
        let room = 2 * heads * [rows * terms, terms * columns].into_iter().max().unwrap() + 2;
        let (ones, others) = (random.codes(room), random.codes(room));
        let mut known = vec![0; heads * rows * columns];
        for head in 0..heads {
            for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |it| (row, it))) {
                let product = |term: usize| {
                    let of_one = ones[one.heads[head] + row * one.row + term * one.value];
                    let at = other.heads[head] + term * other.row + column * other.value;
                    apart(of_one, given[0]) * apart(others[at], given[1])
                };
                let count: i32 = (0..terms).map(product).sum();
                let code = code(count, made.scale, made.zero) ^ made.moved;
                known[output.heads[head] + row * output.row + column] = code;
            }
        }
        for kind in Kind::all() {
            let crossed = Crossed::new(kind, crossing.clone()).unwrap();
            for crew in [&Alone as &dyn Crew, &Three] {
                let found = crossed.run([&ones, &others], crew);
                assert!(found == known, "{kind:?} {crossing:?}");
            }
        }
    }
}

#[test]
fn codes_are_looked_up_at_any_length() {
    let mut random = Random(0xfeed_5eed);
    for length in 0..if cfg!(miri) { 40 } else { 150 } {
        let length = if length == 77 { 150_000 } else { length };
        let table: [u8; 256] = random.codes(256).try_into().unwrap();
        let bytes = random.codes(length);
        let known: Vec<u8> = bytes.iter().map(|byte| table[usize::from(*byte)]).collect();
        for kind in Kind::all() {
            for crew in [&Alone as &dyn Crew, &Three] {
                assert!(looked_up(kind, &table, &bytes, crew) == known, "{kind:?} {length}");
            }
        }
    }
}
