//! What happens to the scores of a row in the end: the attribute `post_transform`.

use super::attributes::Attributes;
use tract_onnx::tract_core::internal::*;

/// The transformations that the domain knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PostTransform {
    None,
    Softmax,
    Logistic,
    SoftmaxZero,
    Probit,
}

/// How many columns a single score becomes, and what the second one holds: onnxruntime's reading
/// of a classifier that has two classes and one score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Second {
    /// The score stands alone.
    Nothing,
    /// The score is a share of 1, and the other class has the rest.
    Rest,
    /// The score has a sign, and the other class has the opposite one.
    Opposite,
}

impl PostTransform {
    pub(super) fn read(attributes: Attributes<'_>) -> TractResult<PostTransform> {
        match attributes.text("post_transform")?.as_deref() {
            None | Some("NONE") => Ok(PostTransform::None),
            Some("SOFTMAX") => Ok(PostTransform::Softmax),
            Some("LOGISTIC") => Ok(PostTransform::Logistic),
            Some("SOFTMAX_ZERO") => Ok(PostTransform::SoftmaxZero),
            Some("PROBIT") => Ok(PostTransform::Probit),
            Some(other) => bail!("post_transform `{other}` is unknown"),
        }
    }

    /// As [`read`](Self::read), from the number that opset 5 has for it.
    pub(super) fn from_number(number: i64) -> TractResult<PostTransform> {
        match number {
            0 => Ok(PostTransform::None),
            1 => Ok(PostTransform::Softmax),
            2 => Ok(PostTransform::Logistic),
            3 => Ok(PostTransform::SoftmaxZero),
            4 => Ok(PostTransform::Probit),
            other => bail!("post_transform {other} is unknown"),
        }
    }

    /// Transforms the scores of a row in place; there are at least two.
    pub(super) fn apply(self, scores: &mut [f32]) {
        match self {
            PostTransform::None => {}
            PostTransform::Softmax => softmax(scores, false),
            PostTransform::SoftmaxZero => softmax(scores, true),
            PostTransform::Logistic => {
                scores.iter_mut().for_each(|score| *score = logistic(*score))
            }
            PostTransform::Probit => scores.iter_mut().for_each(|score| *score = probit(*score)),
        }
    }

    /// The columns of a single score: the other class first, if there is one.
    pub(super) fn single(self, score: f32, second: Second) -> [f32; 2] {
        match (self, second) {
            (PostTransform::Probit, _) => [probit(score), 0.0],
            (_, Second::Nothing) => [score, 0.0],
            (PostTransform::Logistic, _) => [logistic(-score), logistic(score)],
            (_, Second::Rest) => [1.0 - score, score],
            (_, Second::Opposite) => [-score, score],
        }
    }
}

/// Away from zero on neither side: `exp` of a large number would be infinite.
pub(super) fn logistic(score: f32) -> f32 {
    let upper = 1.0 / (1.0 + (-score.abs()).exp());
    if score < 0.0 { 1.0 - upper } else { upper }
}

/// What counts as zero for `SOFTMAX_ZERO`, as onnxruntime has it.
const ZERO: f32 = 1e-7;

fn softmax(scores: &mut [f32], skip_zeros: bool) {
    let largest = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        if skip_zeros && score.abs() <= ZERO {
            *score *= (-largest).exp();
        } else {
            *score = (*score - largest).exp();
            sum += *score;
        }
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// The inverse of the normal distribution, by Winitzki's approximation of the inverse of `erf`
/// with his constant 0.147, which onnxruntime uses too.
///
/// In double precision: near a half the two terms of the root cancel out.
pub(super) fn probit(share: f32) -> f32 {
    const WINITZKI: f64 = 0.147;
    let x = 2.0 * f64::from(share) - 1.0;
    let log = ((1.0 - x) * (1.0 + x)).ln();
    let half = 2.0 / (std::f64::consts::PI * WINITZKI) + 0.5 * log;
    let root = (half * half - log / WINITZKI).sqrt() - half;
    let sign = if x < 0.0 { -1.0 } else { 1.0 };
    (std::f64::consts::SQRT_2 * sign * root.sqrt()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_one() {
        let mut scores = [1000.0, 999.0, -1000.0];
        PostTransform::Softmax.apply(&mut scores);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{scores:?}");
        let [other, this] = PostTransform::Logistic.single(-90.0, Second::Opposite);
        assert_eq!((other, this), (1.0, 0.0));
    }

    #[test]
    fn zeros_stay_out_of_a_softmax_that_skips_them() {
        let mut scores = [0.0, 2.0, 1.0];
        PostTransform::SoftmaxZero.apply(&mut scores);
        assert_eq!(scores[0], 0.0);
        assert!((scores[1] + scores[2] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn probit_is_the_inverse_of_the_normal_distribution() {
        for (share, quantile) in [(0.5, 0.0), (0.975, 1.959_964), (0.025, -1.959_964)] {
            assert!((probit(share) - quantile).abs() < 5e-3, "{share}: {}", probit(share));
        }
    }
}
