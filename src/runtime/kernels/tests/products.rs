//! Products, norms and attention held against loops that anybody can read, alone and shared by threads.

use super::*;

/// How far a value may be from that of the loops, relative to the largest one.
const APART_MAX: f64 = 1e-5;

fn hold(made: &[f32], known: &[f64], what: &str) {
    assert_eq!(made.len(), known.len(), "{what}");
    let most = known.iter().fold(1e-3_f64, |most, it| most.max(it.abs()));
    for (at, (made, known)) in made.iter().zip(known).enumerate() {
        let apart = (f64::from(*made) - known).abs() / most;
        assert!(apart <= APART_MAX, "{what}: {made} and {known} at {at}");
    }
}

fn multiply(kind: Kind, random: &mut Random, crew: &dyn Crew, largest: usize) {
    let (rows, terms) = (random.between(1, largest), random.between(1, largest));
    let rows = if random.one_in(3) { 1 } else { rows }; // has a kernel of its own
    let columns = random.between(1, 2 * largest);
    let (input, weights) = (random.floats(rows * terms), random.floats(terms * columns));
    let biases = if random.one_in(3) { 0 } else { columns };
    let bias = random.floats(biases);
    let activation = random.activation();
    let residual = random.one_in(2).then(|| random.floats(rows * columns));
    let weight = |term: usize, column: usize| weights[term * columns + column];
    let packed = Arc::new(Weights::pack(kind, [terms, columns], weight, false));
    assert!(packed.are(weight));
    let product = Product::new(packed, &bias, activation).unwrap();
    let made = product.run(&input, residual.as_deref(), crew);
    if residual.is_none() {
        let first = product.run(&input[..terms], None, crew);
        assert_eq!(first, made[..columns], "a row alone comes to the same as among others");
    }
    let known: Vec<f64> = (0..rows * columns)
        .map(|at| {
            let (row, column) = (at / columns, at % columns);
            let products = (0..terms)
                .map(|term| f64::from(input[row * terms + term]) * f64::from(weight(term, column)));
            let sum = products.sum::<f64>() + bias.get(column).map_or(0.0, |bias| f64::from(*bias));
            let added = residual.as_ref().map_or(0.0, |residual| f64::from(residual[at]));
            f64::from(of(activation, sum as f32)) + added
        })
        .collect();
    hold(&made, &known, &format!("{kind:?} {rows} {terms} {columns} {activation:?}"));
}

fn attend(kind: Kind, random: &mut Random, crew: &dyn Crew, largest: usize) {
    let heads = random.between(1, 4);
    let (queries, keys) = (random.between(1, largest), random.between(1, largest));
    let (compared, seen) = (random.between(1, 40), random.between(1, 40));
    // Rows of a buffer have all heads side by side, or each head has its rows for itself.
    let layout = |rows: usize, values: usize, by_head: bool, is_turned: bool| {
        let (head, row) = match by_head {
            true => (rows * values, values),
            false => (values, heads * values),
        };
        let (row, value) = if is_turned && by_head { (1, rows) } else { (row, 1) };
        Layout { heads: (0..heads).map(|it| it * head).collect(), row, value }
    };
    let mut any = || random.one_in(2);
    let query = layout(queries, compared, any(), false);
    let key = layout(keys, compared, any(), any());
    let value = layout(keys, seen, any(), any());
    let output = layout(queries, seen, any(), false);
    let mask = any().then(|| layout(queries, keys, true, false));
    let factor = 0.7;
    let (q, k) =
        (random.floats(heads * queries * compared), random.floats(heads * keys * compared));
    let v = random.floats(heads * keys * seen);
    let added = mask.is_some().then(|| random.floats(heads * queries * keys));
    let made = Attention::new(
        kind,
        Heads {
            queries,
            keys,
            compared,
            seen,
            query: query.clone(),
            key: key.clone(),
            value: value.clone(),
            output: output.clone(),
            mask: mask.clone(),
            factor,
        },
    )
    .unwrap()
    .run([&q, &k, &v], added.as_deref(), crew);
    let at = |layout: &Layout, head: usize, row: usize, value: usize| {
        layout.heads[head] + row * layout.row + value * layout.value
    };
    let mut known = vec![f64::NAN; made.len()];
    for head in 0..heads {
        for row in 0..queries {
            let score = |other: usize| {
                let products = (0..compared).map(|it| {
                    let one = f64::from(q[at(&query, head, row, it)]);
                    one * f64::from(k[at(&key, head, other, it)])
                });
                let sum = products.sum::<f64>() * f64::from(factor);
                let mask = mask.as_ref().zip(added.as_ref());
                sum + mask.map_or(0.0, |(mask, added)| f64::from(added[at(mask, head, row, other)]))
            };
            let powers: Vec<f64> = (0..keys).map(|other| score(other).exp()).collect();
            let sum: f64 = powers.iter().sum();
            for it in 0..seen {
                let values = (0..keys).map(|other| f64::from(v[at(&value, head, other, it)]));
                let values = values.zip(&powers).map(|(value, power)| value * power / sum);
                known[at(&output, head, row, it)] = values.sum();
            }
        }
    }
    hold(&made, &known, &format!("{kind:?} {heads} {queries} {keys} {compared} {seen}"));
}

#[test]
fn products_come_to_what_loops_come_to() {
    let mut random = Random(77_001_234_567_891);
    for kind in Kind::all() {
        (0..TRIES).for_each(|_| multiply(kind, &mut random, &Alone, most(70)));
    }
}

#[test]
fn attention_comes_to_what_loops_come_to() {
    let mut random = Random(5_512_345_678_917);
    for kind in Kind::all() {
        (0..TRIES).for_each(|_| attend(kind, &mut random, &Alone, most(50)));
    }
}

#[test]
fn norms_come_to_what_loops_come_to() {
    let mut random = Random(90_123_456_789_017);
    for (kind, _) in Kind::all().into_iter().flat_map(|kind| (0..TRIES).map(move |at| (kind, at))) {
        let (rows, values) = (random.between(1, most(20)), random.between(2, most(200)));
        let input = random.floats(rows * values);
        let (scale, shift) = (random.floats(values), random.floats(values));
        let scale = random.one_in(2).then_some(scale);
        let shift = random.one_in(2).then_some(shift);
        let normal = Normal::new(kind, values, scale.as_deref(), shift.as_deref(), 1e-3).unwrap();
        let mut known = Vec::new();
        for row in input.chunks_exact(values) {
            let mean = row.iter().map(|it| f64::from(*it)).sum::<f64>() / values as f64;
            let squares = row.iter().map(|it| (f64::from(*it) - mean).powi(2));
            let root = (squares.sum::<f64>() / values as f64 + 1e-3).sqrt();
            for (at, it) in row.iter().enumerate() {
                let factor = scale.as_ref().map_or(1.0, |scale| f64::from(scale[at]));
                let term = shift.as_ref().map_or(0.0, |shift| f64::from(shift[at]));
                known.push((f64::from(*it) - mean) / root * factor + term);
            }
        }
        hold(&normal.run(&input, &Alone), &known, &format!("{kind:?} {rows} {values}"));
    }
}

#[test]
fn products_and_attention_that_threads_share_come_to_the_same() {
    let gang = Arc::new(Gang::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| gang.help(|| false));
        }
        gang.during(|| {
            while gang.size() < 3 {
                std::thread::yield_now();
            }
            let mut random = Random(31_337_234_567_891);
            for _ in 0..TRIES / 4 {
                multiply(Kind::best(), &mut random, gang.as_ref(), most(200));
                attend(Kind::best(), &mut random, gang.as_ref(), most(60));
            }
        });
    });
}

#[test]
fn layouts_whose_rows_share_values_are_refused() {
    let layout = |row: usize| Layout { heads: vec![0], row, value: 1 };
    let heads = |output: usize| Heads {
        queries: 4,
        keys: 4,
        compared: 8,
        seen: 8,
        query: layout(8),
        key: layout(8),
        value: layout(8),
        output: layout(output),
        mask: None,
        factor: 1.0,
    };
    assert!(Attention::new(Kind::best(), heads(8)).is_some());
    assert!(Attention::new(Kind::best(), heads(7)).is_none());
    assert!(Attention::new(Kind::best(), heads(9)).is_none(), "values between rows are left out");
}
