//! Convolutions of what a gate lets through, held against the gate and the convolution one by one.

use super::*;

#[test]
fn a_convolution_of_what_a_gate_lets_through_comes_to_what_both_come_to_one_by_one() {
    let mut random = Random(2_718_281_828_459);
    let mut tried = 0;
    for (kind, _) in Kind::all().into_iter().flat_map(|kind| (0..TRIES).map(move |at| (kind, at))) {
        let window = match random.one_in(6) {
            true => Window { size: [3, 3], stride: [1, 1], dilation: [1, 1], padding: [1, 1] },
            false => random.window(),
        };
        let (height, width) = (random.between(1, most(40)), random.between(1, most(40)));
        let (rows, columns) = (extent(&window, 0, height), extent(&window, 1, width));
        if rows * columns == 0 {
            continue;
        }
        tried += 1;
        let frame = window.frame([height, width], [rows, columns]);
        let (channels, lanes) = (random.between(1, most(40)), kind.lanes());
        let input = Map { channels, height, width, lanes, frame };
        let (channels, frame) = (random.between(1, most(90)), random.frame());
        let output = Map { channels, height: rows, width: columns, lanes, frame };
        let gate = Map { height: 1, width: 1, frame: Frame::default(), ..input };
        let image = random.floats(input.channels * input.height * input.width);
        let factors = random.floats(input.channels);
        let (from, factors) = (brought_in(&input, &image), brought_in(&gate, &factors));
        let weights = random.floats(input.channels * output.channels * window.taps());
        let bias = random.floats(output.channels);
        let residual = random.one_in(2).then_some(output);
        let added = random.floats(output.channels * output.height * output.width);
        let added = residual.map(|map| brought_in(&map, &added));
        let parts = Parts {
            input,
            output,
            residual,
            window,
            weights: &weights,
            bias: &bias,
            before: Activation::NONE,
            after: random.activation(),
        };
        let convolution = Convolution::new(kind, &parts).unwrap();
        assert_eq!(convolution.has_residual(), residual.is_some());

        let (mut gated, mut expected) = (blank(&input), blank(&output));
        let with = With::Gate(&gate, &factors);
        blend(kind, (&input, &from), with, Activation::NONE, (&input, &mut gated), &Alone);
        convolution.run(&gated, added.as_deref(), &mut expected, &Alone);

        let mut made = blank(&output);
        convolution.run_gated(&from, &factors, added.as_deref(), &mut made, &Alone);
        let what = format!("{kind:?}, {input:?} to {output:?} by {window:?}");
        let (made, expected) = (taken_out(&output, &made), taken_out(&output, &expected));
        assert_close(&made, &expected, &what);
    }
    assert!(tried > TRIES / 2, "only {tried} were tried");
}
