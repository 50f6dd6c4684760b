//! Questions as the file asks them, and as the forest does.

use super::forest::{Forest, Real};
use super::grown::{Branch, Grown, Question, Step};

const VALUES: [f64; 8] = [f64::NEG_INFINITY, -1.0, -0.0, 0.0, 1e-30, 1.0, f64::INFINITY, f64::NAN];

fn answer(question: &Question, value: f64, missing_is_yes: bool) -> bool {
    let yes = match question {
        Question::AtMost(limit) => value <= *limit,
        Question::Below(limit) => value < *limit,
        Question::AtLeast(limit) => value >= *limit,
        Question::Above(limit) => value > *limit,
        Question::Equal(other) => value == *other,
        Question::NotEqual(other) => value != *other,
        Question::Member(set) => set.contains(&value),
    };
    yes || (missing_is_yes && value.is_nan())
}

/// One question with two leaves: 1 for yes, 0 for no.
fn tree(question: Question, missing_is_yes: bool) -> Grown {
    let (yes, no) = (Step::Leaf(0), Step::Leaf(1));
    Grown {
        roots: vec![Step::Branch(0)],
        branches: vec![Branch { feature: 0, question, missing_is_yes, yes, no }],
        leaves: vec![vec![(0, 1.0)], vec![(0, 0.0)]],
    }
}

fn every_question_for<T: Real>() {
    let mut questions: Vec<Question> = VALUES
        .into_iter()
        .flat_map(|value| {
            [
                Question::AtMost(value),
                Question::Below(value),
                Question::AtLeast(value),
                Question::Above(value),
                Question::Equal(value),
                Question::NotEqual(value),
            ]
        })
        .collect();
    questions.push(Question::Member(vec![1.0, -0.0, f64::INFINITY]));
    for question in questions {
        for missing in [false, true] {
            let grown = tree(question.clone(), missing);
            let forest = Forest::<T>::plant(&grown, true).unwrap();
            for value in VALUES {
                let wanted = answer(&question, value, missing);
                let row = [T::of(value)];
                let scores = forest.sums(&row, 1, 1).values;
                let found = scores[0] == T::of(1.0);
                assert_eq!(found, wanted, "{question:?} of {value}, missing {missing}");
                // As one of many rows it takes another way through the code.
                let rows = [T::of(value); 13];
                let scores = forest.sums(&rows, 1, 13).values;
                assert!(
                    scores.iter().all(|score| (*score == T::of(1.0)) == wanted),
                    "{question:?}"
                );
            }
        }
    }
}

#[test]
fn every_question_has_the_same_answer_in_single_precision() {
    every_question_for::<f32>();
}

#[test]
fn every_question_has_the_same_answer_in_double_precision() {
    every_question_for::<f64>();
}

#[test]
fn a_tree_as_deep_as_a_list_neither_overflows_the_stack_nor_takes_long() {
    let depth = 50_000;
    let branch = |index: usize| Branch {
        feature: 0,
        question: Question::AtMost(-(index as f64)),
        missing_is_yes: false,
        yes: if index + 1 == depth { Step::Leaf(0) } else { Step::Branch(index + 1) },
        no: Step::Leaf(1),
    };
    let grown = Grown {
        roots: vec![Step::Branch(0)],
        branches: (0..depth).map(branch).collect(),
        leaves: vec![vec![(0, 1.0)], vec![(0, 0.0)]],
    };
    grown.check(1, &|_| "a node".to_owned()).unwrap();
    let forest = Forest::<f32>::plant(&grown, true).unwrap();
    assert_eq!(forest.sums(&[-1e9, -7.0], 1, 2).values, [1.0, 0.0]);
}
