//! What a classifier of trees answers for the scores of one row.

use super::super::labels::Answer;
use super::super::post::{PostTransform, Second};

/// What a classifier has beside its trees.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) classes: usize,
    pub(super) base: Vec<f32>,
    pub(super) post: PostTransform,
    /// All weights are for one class, though there are two.
    pub(super) single_weights: bool,
    /// No weight is negative.
    pub(super) all_positive: bool,
    pub(super) texts: bool,
}

impl Verdict {
    /// Answers for the scores of a row, one for each class, of which `hit` got a weight; leaves
    /// the transformed scores in their place.
    ///
    /// The specification leaves open what two classes with one score mean. This is what
    /// onnxruntime makes of it: one score is a share when no weight is negative, else it is the
    /// distance to a border at 0.
    pub(super) fn of(&self, scores: &mut [f32], hit: &[bool]) -> Answer {
        match self.classes {
            1 => self.of_one(scores),
            2 => self.of_two(scores, hit),
            _ => self.of_many(scores, hit),
        }
    }

    fn of_many(&self, scores: &mut [f32], hit: &[bool]) -> Answer {
        let mut best: Option<(usize, f32)> = None;
        for (class, score) in scores.iter_mut().enumerate() {
            let based = self.base.get(class);
            *score += based.copied().unwrap_or(0.0);
            if (hit[class] || based.is_some()) && best.is_none_or(|(_, most)| *score > most) {
                best = Some((class, *score));
            }
        }
        self.post.apply(scores);
        Answer::Class(best.map_or(0, |(class, _)| class))
    }

    fn of_one(&self, scores: &mut [f32]) -> Answer {
        let score = scores[0] + self.base.first().copied().unwrap_or(0.0);
        scores[0] = self.post.single(score, Second::Nothing)[0];
        match (self.texts, score > 0.0) {
            (true, _) => Answer::Class(0),
            (false, true) => Answer::Positive,
            (false, false) => Answer::Negative,
        }
    }

    fn of_two(&self, scores: &mut [f32], hit: &[bool]) -> Answer {
        match self.base.as_slice() {
            // The first base value is for nothing here, and the first score for both classes.
            [_, base] if hit[1] => {
                scores[1] = base + scores[0];
                scores[0] = -scores[1];
            }
            [first, ..] => scores[0] += first,
            [] => {}
        }
        // What got no weight counts as 0, with or without a base value.
        for (score, hit) in scores.iter_mut().zip(hit) {
            *score = if *hit { *score } else { 0.0 };
        }
        let (answer, second) = self.border(if hit[1] { scores[1] } else { scores[0] });
        if hit[1] || self.base.len() > 1 {
            self.post.apply(scores);
        } else {
            scores.copy_from_slice(&self.post.single(scores[0], second));
        }
        answer
    }

    /// On which side of the border a weight is, and what the class beside it gets.
    fn border(&self, weight: f32) -> (Answer, Second) {
        let (border, second) = match (self.single_weights, self.all_positive) {
            (true, true) => (0.5, Second::Rest),
            (true, false) => (0.0, Second::Opposite),
            (false, _) if self.base.is_empty() => (0.0, Second::Opposite),
            (false, _) => (0.0, Second::Nothing),
        };
        let answer = match (self.single_weights || self.texts, weight > border) {
            (true, true) => Answer::Class(1),
            (true, false) => Answer::Class(0),
            (false, true) => Answer::Positive,
            (false, false) => Answer::Negative,
        };
        (answer, second)
    }
}
