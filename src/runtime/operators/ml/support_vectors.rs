//! `SVMClassifier` and `SVMRegressor`: support vectors with every kernel, votes and probabilities.

use super::attributes::Attributes;
use super::coupling::shares;
use super::kernel::{Kernel, Wire, number, tensor};
use super::labels::{Answer, Labels};
use super::linear::{dot, float_rows, largest};
use super::post::{PostTransform, Second, logistic};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// Classes of a classifier at most: it compares each pair of them.
const CLASSES_MAX: usize = 1 << 12;

#[derive(Debug, Clone, Copy)]
enum Product {
    Linear,
    Polynomial { gamma: f32, offset: f32, degree: f32 },
    Radial { gamma: f32 },
    Sigmoid { gamma: f32, offset: f32 },
}

impl Product {
    fn read(attributes: Attributes<'_>) -> TractResult<Product> {
        let [gamma, offset, degree] = match attributes.floats("kernel_params")? {
            [] => [0.0; 3],
            [gamma, offset, degree, ..] => [*gamma, *offset, *degree],
            few => bail!("kernel_params has {} numbers, of three", few.len()),
        };
        match attributes.text("kernel_type")?.as_deref() {
            None | Some("LINEAR") => Ok(Product::Linear),
            Some("POLY") => Ok(Product::Polynomial { gamma, offset, degree }),
            Some("RBF") => Ok(Product::Radial { gamma }),
            Some("SIGMOID") => Ok(Product::Sigmoid { gamma, offset }),
            Some(other) => bail!("kernel_type `{other}` is unknown"),
        }
    }

    fn of(self, row: &[f32], vector: &[f32]) -> f32 {
        match self {
            Product::Linear => dot(row, vector),
            Product::Polynomial { gamma, offset, degree } => {
                (gamma * dot(row, vector) + offset).powf(degree)
            }
            Product::Radial { gamma } => {
                let square = |(left, right): (&f32, &f32)| (left - right) * (left - right);
                let distance: f32 = row.iter().zip(vector).map(square).sum();
                (-gamma * distance).exp()
            }
            Product::Sigmoid { gamma, offset } => (gamma * dot(row, vector) + offset).tanh(),
        }
    }
}

#[derive(Debug)]
struct Vectors {
    product: Product,
    values: Vec<f32>,
    features: usize,
}

impl Vectors {
    fn new(product: Product, values: &[f32], count: usize) -> TractResult<Vectors> {
        let features = values.len().checked_div(count).unwrap_or(0);
        ensure!(
            features > 0 && features * count == values.len(),
            "{} values are not {count} vectors of the same length",
            values.len()
        );
        Ok(Vectors { product, values: values.to_vec(), features })
    }

    fn products(&self, row: &[f32], products: &mut Vec<f32>) {
        products.clear();
        let vectors = self.values.chunks_exact(self.features);
        products.extend(vectors.map(|vector| self.product.of(row, vector)));
    }
}

#[derive(Debug)]
struct Regressor {
    vectors: Vectors,
    /// Empty when the only vector holds the coefficients themselves.
    coefficients: Vec<f32>,
    rho: f32,
    one_class: bool,
}

pub(super) fn regressor(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let coefficients = attributes.floats("coefficients")?;
    let count = usize::try_from(attributes.int("n_supports")?.unwrap_or(0)).unwrap_or(0);
    let (vectors, coefficients) = match count {
        0 => (Vectors::new(Product::Linear, coefficients, 1)?, Vec::new()),
        _ => {
            ensure!(
                coefficients.len() == count,
                "there are {} coefficients for {count} support vectors",
                coefficients.len()
            );
            let values = attributes.floats("support_vectors")?;
            let vectors = Vectors::new(Product::read(attributes)?, values, count)?;
            (vectors, coefficients.to_vec())
        }
    };
    let rho = attributes.floats("rho")?.first().copied().context("rho is missing")?;
    let one_class = attributes.int("one_class")?.unwrap_or(0) != 0;
    Ok(Arc::new(Regressor { vectors, coefficients, rho, one_class }))
}

impl Kernel for Regressor {
    fn name(&self) -> &'static str {
        "SVMRegressor"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        number(input.element)?;
        let rows = input.rows_of(self.vectors.features)?;
        Ok(tvec!(Wire::new(DatumType::F32, [rows, 1.to_dim()])))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let (rows, values) = float_rows(&inputs[0], self.vectors.features)?;
        let mut products = Vec::new();
        let out = values.chunks_exact(self.vectors.features).map(|row| {
            self.vectors.products(row, &mut products);
            let sum = match self.coefficients.is_empty() {
                true => products[0],
                // Large terms of both signs: in single precision little would be left of them.
                false => {
                    let terms = products.iter().zip(&self.coefficients);
                    let term = |(one, other): (&f32, &f32)| f64::from(*one) * f64::from(*other);
                    terms.map(term).sum::<f64>() as f32
                }
            };
            let value = sum + self.rho;
            match (self.one_class, value > 0.0) {
                (false, _) => value,
                (true, true) => 1.0,
                (true, false) => -1.0,
            }
        });
        Ok(tvec!(tensor(&[rows, 1], out.collect::<Vec<f32>>())?))
    }
}

#[derive(Debug)]
struct Classifier {
    vectors: Vectors,
    mode: Mode,
    labels: Labels,
    post: PostTransform,
    all_positive: bool,
}

#[derive(Debug)]
enum Mode {
    /// A vector of coefficients for each class, and one intercept for all.
    Linear { rho: f32 },
    /// Each pair of classes votes; `starts` are the first vectors of the classes.
    Pairs { starts: Vec<usize>, coefficients: Vec<f32>, rho: Vec<f32>, odds: Option<Odds> },
}

/// The two parameters of a sigmoid for each pair, after Platt.
#[derive(Debug)]
struct Odds {
    slopes: Vec<f32>,
    offsets: Vec<f32>,
}

pub(super) fn classifier(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let labels = Labels::read(attributes, "classlabels_ints")?;
    let classes = labels.len();
    ensure!(
        (1..=CLASSES_MAX).contains(&classes),
        "there are {classes} class labels, of 1 to {CLASSES_MAX}"
    );
    let coefficients = attributes.floats("coefficients")?;
    let rho = attributes.floats("rho")?;
    let mut starts = vec![0];
    for count in attributes.ints("vectors_per_class")? {
        let end = usize::try_from(*count)
            .ok()
            .and_then(|count| count.checked_add(starts[starts.len() - 1]));
        starts.push(end.with_context(|| format!("a class has {count} vectors"))?);
    }
    let count = starts[starts.len() - 1];
    let (vectors, mode) = if count == 0 {
        let rho = rho.first().copied().context("rho is missing")?;
        (Vectors::new(Product::Linear, coefficients, classes)?, Mode::Linear { rho })
    } else {
        let values = attributes.floats("support_vectors")?;
        let vectors = Vectors::new(Product::read(attributes)?, values, count)?;
        let pairs = classes * (classes - 1) / 2;
        ensure!(starts.len() == classes + 1, "vectors_per_class has not {classes} numbers");
        ensure!(
            coefficients.len() >= (classes - 1) * count && rho.len() >= pairs,
            "coefficients or rho have too few numbers for {classes} classes and {count} vectors"
        );
        let (slopes, offsets) = (attributes.floats("prob_a")?, attributes.floats("prob_b")?);
        ensure!(
            slopes.len() == offsets.len() && (slopes.is_empty() || slopes.len() >= pairs),
            "prob_a and prob_b should have {pairs} numbers each"
        );
        let odds = (!slopes.is_empty())
            .then(|| Odds { slopes: slopes.to_vec(), offsets: offsets.to_vec() });
        let coefficients = coefficients.to_vec();
        (vectors, Mode::Pairs { starts, coefficients, rho: rho.to_vec(), odds })
    };
    let all_positive = coefficients.iter().all(|coefficient| *coefficient >= 0.0);
    let post = PostTransform::read(attributes)?;
    Ok(Arc::new(Classifier { vectors, mode, labels, post, all_positive }))
}

impl Classifier {
    fn columns(&self) -> usize {
        let classes = self.labels.len();
        match &self.mode {
            Mode::Linear { .. } | Mode::Pairs { odds: Some(_), .. } => classes,
            Mode::Pairs { odds: None, .. } if classes <= 2 => 2,
            Mode::Pairs { odds: None, .. } => classes * (classes - 1) / 2,
        }
    }

    /// The answer for a row's products with the vectors; writes its scores.
    fn answer(&self, products: &[f32], scores: &mut [f32]) -> Answer {
        let classes = self.labels.len();
        let (class, weight) = match &self.mode {
            Mode::Linear { rho } => {
                for (score, product) in scores.iter_mut().zip(products) {
                    *score = product + rho;
                }
                let class = largest(scores);
                (class, scores[class])
            }
            Mode::Pairs { starts, coefficients, rho, odds } => {
                let (sums, votes) = contest(classes, starts, coefficients, rho, products);
                match odds {
                    Some(odds) => scores.copy_from_slice(&odds.shares(classes, &sums)),
                    None => scores[..sums.len()].copy_from_slice(&sums),
                }
                // The first of those that have the most votes.
                let most = votes.iter().max().copied().unwrap_or(0);
                (votes.iter().position(|votes| *votes == most).unwrap_or(0), 0.0)
            }
        };
        let single = matches!(self.mode, Mode::Pairs { odds: None, .. }) && classes <= 2;
        if single {
            let second = match self.post {
                PostTransform::None => Second::Opposite,
                PostTransform::Softmax
                | PostTransform::Logistic
                | PostTransform::SoftmaxZero
                | PostTransform::Probit => Second::Rest,
            };
            let transformed = self.post.single(scores[0], second);
            scores.copy_from_slice(&transformed);
        } else {
            self.post.apply(scores);
        }
        let with_odds = matches!(self.mode, Mode::Pairs { odds: Some(_), .. });
        let border = if self.all_positive { weight >= 0.5 } else { weight > 0.0 };
        match (classes == 2 && !with_odds, border) {
            (true, true) => Answer::Class(1),
            (true, false) | (false, _) => Answer::Class(class),
        }
    }
}

/// The sum of each pair of classes, and the votes that each class got from them.
fn contest(
    classes: usize,
    starts: &[usize],
    coefficients: &[f32],
    rho: &[f32],
    products: &[f32],
) -> (Vec<f32>, Vec<usize>) {
    let mut sums = Vec::with_capacity(classes * (classes - 1) / 2);
    let mut votes = vec![0; classes];
    // In double precision, as libsvm and onnxruntime do it.
    let weigh = |row: usize, class: usize| -> f64 {
        let range = starts[class]..starts[class + 1];
        let weights = &coefficients[row * products.len()..][range.clone()];
        let terms = weights.iter().zip(&products[range]);
        terms.map(|(weight, product)| f64::from(weight * product)).sum()
    };
    for one in 0..classes {
        for other in one + 1..classes {
            let sum = weigh(other - 1, one) + weigh(one, other) + f64::from(rho[sums.len()]);
            sums.push(sum as f32);
            votes[if sum > 0.0 { one } else { other }] += 1;
        }
    }
    (sums, votes)
}

/// A share is never 0 or 1: the coupling divides by it.
const SHARE_MIN: f32 = 1e-7;

impl Odds {
    /// The share of each class, from the shares inside each pair.
    fn shares(&self, classes: usize, sums: &[f32]) -> Vec<f32> {
        let mut pairs = vec![0.0_f32; classes * classes];
        let mut index = 0;
        for one in 0..classes {
            for other in one + 1..classes {
                let odds = sums[index] * self.slopes[index] + self.offsets[index];
                let share = (1.0 - logistic(odds)).clamp(SHARE_MIN, 1.0 - SHARE_MIN);
                pairs[one * classes + other] = share;
                pairs[other * classes + one] = 1.0 - share;
                index += 1;
            }
        }
        shares(classes, &pairs)
    }
}

impl Kernel for Classifier {
    fn name(&self) -> &'static str {
        "SVMClassifier"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        number(input.element)?;
        let rows = input.rows_of(self.vectors.features)?;
        Ok(tvec!(
            Wire::new(self.labels.element(), [rows.clone()]),
            Wire::new(DatumType::F32, [rows, self.columns().to_dim()]),
        ))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let (rows, values) = float_rows(&inputs[0], self.vectors.features)?;
        let columns = self.columns();
        let mut scores = vec![0.0_f32; rows * columns];
        let mut products = Vec::new();
        let mut answers = Vec::with_capacity(rows);
        let rows_in = values.chunks_exact(self.vectors.features);
        for (row, scores) in rows_in.zip(scores.chunks_exact_mut(columns)) {
            self.vectors.products(row, &mut products);
            answers.push(self.answer(&products, scores));
        }
        Ok(tvec!(self.labels.tensor(&answers)?, tensor(&[rows, columns], scores)?))
    }
}
