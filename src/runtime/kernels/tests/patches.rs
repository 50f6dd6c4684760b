//! Convolutions of three by three in patches, held against loops: of shapes that are computed so.

use super::*;
use crate::runtime::kernels::patches::Patches;

/// Three by three, one step at a time.
fn window(random: &mut Random) -> Window {
    let padding = [random.between(0, 2), random.between(0, 2)];
    Window { size: [3, 3], stride: [1, 1], dilation: [1, 1], padding }
}

/// As many patches of four by four, or of two by two, as it takes, and some more.
fn image(random: &mut Random) -> [usize; 2] {
    match random.one_in(2) {
        true => [random.between(18, 26), random.between(19, 33)],
        false => [random.between(10, 14), random.between(11, 14)],
    }
}

fn channels(random: &mut Random) -> [usize; 2] {
    [random.between(24, 36), random.between(24, 44)]
}

/// Fewer, since each of these is large.
const TRIES: usize = if cfg!(miri) { 1 } else { 5 };

#[test]
fn convolutions_in_patches_come_to_what_loops_come_to() {
    let mut random = Random(362_436_069_521_288_629);
    for (kind, _) in Kind::all().into_iter().flat_map(|kind| (0..TRIES).map(move |at| (kind, at))) {
        let (window, image) = (window(&mut random), image(&mut random));
        let [given, made] = channels(&mut random);
        let shape = (given, made, image, window);
        convolve_of(kind, &mut random, &Alone, shape, (false, false));
    }
}

#[test]
fn convolutions_in_patches_on_several_threads_come_to_the_same() {
    let gang = Arc::new(Gang::default());
    std::thread::scope(|scope| {
        scope.spawn(|| gang.help(|| false));
        gang.during(|| {
            while gang.size() < 2 {
                std::thread::yield_now();
            }
            let mut random = Random(521_288_629_362_436_069);
            for _ in 0..TRIES {
                let (window, image) = (window(&mut random), image(&mut random));
                let [given, made] = channels(&mut random);
                let shape = (given, made, image, window);
                convolve_of(Kind::best(), &mut random, gang.as_ref(), shape, (false, false));
            }
        });
    });
}

#[test]
fn what_is_computed_in_patches_is_told_by_its_extents() {
    let lanes = Kind::best().lanes();
    let window = Window { size: [3, 3], stride: [1, 1], dilation: [1, 1], padding: [1, 1] };
    let side = |window: Window, channels: [usize; 2], [height, width]: [usize; 2]| {
        let frame = Frame { top: 1, left: 1, bottom: 1, right: 1 };
        let input = Map { channels: channels[0], height, width, lanes, frame };
        let output = Map { channels: channels[1], ..input };
        Patches::of(Kind::best(), &window, &input, &output).map(|patches| patches.places())
    };
    assert_eq!(side(window, [64, 64], [56, 56]), Some(36));
    assert_eq!(side(window, [256, 256], [14, 14]), Some(16), "weights of few patches stay small");
    assert_eq!(side(window, [512, 512], [7, 7]), None, "weights would be read for 16 patches");
    assert_eq!(side(window, [16, 16], [80, 80]), None, "transforms would take as long as products");
    for other in [
        Window { stride: [2, 1], ..window },
        Window { dilation: [1, 2], ..window },
        Window { size: [3, 1], ..window },
    ] {
        assert_eq!(side(other, [64, 64], [56, 56]), None);
    }
}
