//! From the odds inside each pair of classes to one share for each class.

/// Rounds at most; libsvm and onnxruntime stop there too, converged or not.
const ROUNDS_MAX: usize = 100;

/// Divided by the classes: how far from the minimum is near enough, as libsvm and onnxruntime have it.
const NEAR: f32 = 0.005;

/// The second method of Wu, Lin and Weng, "Probability Estimates for Multi-class Classification by
/// Pairwise Coupling" (2004): the minimum of `p' Q p` where the shares add up to one, coordinate by
/// coordinate.
///
/// `pairs[i * classes + j]` is the share of class `i` where only `i` and `j` are possible.
pub(super) fn shares(classes: usize, pairs: &[f32]) -> Vec<f32> {
    let at = |row: usize, column: usize| row * classes + column;
    let mut matrix = vec![0.0_f32; classes * classes];
    for row in 0..classes {
        for column in (0..classes).filter(|column| *column != row) {
            let (lost, won) = (pairs[at(column, row)], pairs[at(row, column)]);
            matrix[at(row, row)] += lost * lost;
            matrix[at(row, column)] = -lost * won;
        }
    }
    let mut shares = vec![1.0 / classes as f32; classes];
    for _ in 0..ROUNDS_MAX {
        let mut slopes: Vec<f32> = (0..classes)
            .map(|row| {
                let row = &matrix[at(row, 0)..][..classes];
                row.iter().zip(&shares).map(|(weight, share)| weight * share).sum()
            })
            .collect();
        let mut value: f32 = shares.iter().zip(&slopes).map(|(share, slope)| share * slope).sum();
        let error = slopes.iter().map(|slope| (slope - value).abs()).fold(0.0, f32::max);
        if error < NEAR / classes as f32 {
            break;
        }
        for class in 0..classes {
            let diagonal = matrix[at(class, class)];
            let change = (value - slopes[class]) / diagonal;
            // The new share, and everything scaled so that all add up to one again.
            let scale = 1.0 + change;
            shares[class] += change;
            value = (value + change * (change * diagonal + 2.0 * slopes[class])) / scale / scale;
            for other in 0..classes {
                slopes[other] = (slopes[other] + change * matrix[at(class, other)]) / scale;
                shares[other] /= scale;
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_classes_share_as_their_pair_does() {
        let shares = shares(2, &[0.0, 0.8, 0.2, 0.0]);
        assert!((shares[0] - 0.8).abs() < 1e-3, "{shares:?}");
    }

    #[test]
    fn shares_that_agree_come_back_as_they_were() {
        let wanted = [0.5, 0.3, 0.2];
        let pairs: Vec<f32> = (0..9)
            .map(|place| (place / 3, place % 3))
            .map(|(one, other)| wanted[one] / (wanted[one] + wanted[other]))
            .collect();
        for (share, wanted) in shares(3, &pairs).iter().zip(wanted) {
            assert!((share - wanted).abs() < 5e-3, "{share} {wanted}");
        }
    }
}
