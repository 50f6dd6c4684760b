//! Where the time of a run goes, operator by operator, for whoever asks on the thread that runs.

use super::kernels::{self, Kind, integers};
use crate::clock::thread_cpu;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{Cost, DimLike, TypedOp};

thread_local! {
    /// Whether somebody asked on this thread, which is all that a run looks at where nobody did.
    static IS_ASKED: Cell<bool> = const { Cell::new(false) };
    /// What the run on this thread came to so far.
    static PARTS: RefCell<Vec<Part>> = const { RefCell::new(Vec::new()) };
}

/// One operator in a run, or one kernel of those that are an operator together.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its kind: a kernel's in lower case, else what the operator is called in the graph that runs.
    pub name: String,
    /// How long it took, without the parts that ran inside of it and while another had the processor.
    pub elapsed: Duration,
    /// What it had to do.
    pub work: Work,
}

/// What there is to do, with nothing that only fills a vector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Multiplications of floats, each with an addition; zero where they are not what takes time.
    pub floats: usize,
    /// The same of integers of 8 bits.
    pub integers: usize,
    /// Bytes of weights, of what goes in and of what comes out, each once.
    pub bytes: usize,
}

/// What one thread of this processor multiplies a second at most, out of its registers.
#[derive(Debug, Clone, Copy)]
pub struct Peak {
    /// Floats, each product with an addition.
    pub floats: f64,
    /// Integers of 8 bits, in the same way.
    pub integers: f64,
}

/// Runs `work` and tells the parts of all models that it ran on this thread, in the order in which
/// they ended; what other threads computed meanwhile is not among them.
pub fn profiled<T>(work: impl FnOnce() -> T) -> (T, Vec<Part>) {
    struct Restored(bool, Vec<Part>);
    impl Drop for Restored {
        fn drop(&mut self) {
            IS_ASKED.set(self.0); // after a panic, too
            PARTS.set(std::mem::take(&mut self.1));
        }
    }
    let _restored = Restored(IS_ASKED.replace(true), PARTS.take());
    let made = work();
    (made, PARTS.take())
}

/// Measures for some ten milliseconds what this processor can do at most with the vectors that
/// kernels are made for.
#[must_use]
pub fn peak() -> Peak {
    let floats = kernels::products_a_second(Kind::best());
    let integers = integers::products_a_second(integers::Kind::best());
    Peak { floats, integers }
}

/// Does this as one part, of which `told` tells the kind and the work where somebody asks.
pub(super) fn part<T>(work: impl FnOnce() -> T, told: impl FnOnce() -> (String, Work)) -> T {
    match IS_ASKED.get() {
        true => timed(work, |_| told()),
        false => work(),
    }
}

/// Runs a node of a graph as a part.
pub(super) fn node(
    node: &TypedNode,
    inputs: TVec<TValue>,
    run: impl FnOnce(TVec<TValue>) -> TractResult<TVec<TValue>>,
) -> TractResult<TVec<TValue>> {
    if !IS_ASKED.get() {
        return run(inputs);
    }
    let taken: usize = inputs.iter().map(bytes).sum();
    let facts: TVec<TypedFact> =
        inputs.iter().map(|input| input.datum_type().fact(input.shape())).collect();
    timed(
        || run(inputs),
        |made| {
            let given = made.iter().flatten().map(bytes).sum::<usize>();
            let mut work = costs(node.op.as_ref(), &facts);
            work.bytes += taken + given;
            (node.op.name().into_owned(), work)
        },
    )
}

fn timed<T>(work: impl FnOnce() -> T, told: impl FnOnce(&T) -> (String, Work)) -> T {
    let before = PARTS.with_borrow(Vec::len);
    let (cpu, start) = (thread_cpu(), Instant::now());
    let made = work();
    // By the clock, which is cheap to look at, or without what others had of the processor meanwhile.
    let elapsed = start.elapsed().min(thread_cpu().saturating_sub(cpu));
    let (name, work) = told(&made);
    PARTS.with_borrow_mut(|parts| {
        let inside: Duration = parts.iter().skip(before).map(|part| part.elapsed).sum();
        parts.push(Part { name, elapsed: elapsed.saturating_sub(inside), work });
    });
    made
}

/// What an operator says of itself: its products, and the bytes of weights that are no input.
fn costs(op: &dyn TypedOp, facts: &[TypedFact]) -> Work {
    let facts: TVec<&TypedFact> = facts.iter().collect();
    let mut work = Work::default();
    for (cost, count) in op.cost(&facts).unwrap_or_default() {
        let count = count.to_usize().unwrap_or_default();
        match cost {
            Cost::FMA(element) if element.is_float() => work.floats += count,
            Cost::FMA(_) => work.integers += count,
            Cost::Params(element) => work.bytes += count * element.size_of(),
            Cost::Div(_) | Cost::Buffer(_) | Cost::Custom(_, _) => {}
        }
    }
    work
}

fn bytes(value: &TValue) -> usize {
    // Weights that tract has packed are of a type of their own.
    match value.exotic_fact() {
        Ok(Some(fact)) => fact.mem_size().to_usize().unwrap_or_default(),
        Ok(None) | Err(_) => value.len() * value.datum_type().size_of(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str) -> (String, Work) {
        (name.to_owned(), Work { floats: 2, integers: 0, bytes: 8 })
    }

    #[test]
    fn parts_are_told_where_somebody_asks_and_nowhere_else() {
        assert!(!IS_ASKED.get());
        assert_eq!(part(|| 1, || told("nobody")), 1);
        let (made, parts) = profiled(|| {
            assert!(IS_ASKED.get());
            part(|| 2, || told("one"))
        });
        assert_eq!(made, 2);
        assert_eq!(parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["one"]);
        assert_eq!(parts[0].work, told("one").1);
        assert!(!IS_ASKED.get());
    }

    #[test]
    fn a_part_goes_without_the_time_of_those_inside() {
        let start = Instant::now();
        let (_, parts) = profiled(|| {
            part(
                || {
                    for name in ["first", "second"] {
                        part(|| std::hint::black_box(vec![1; 1 << 16]), || told(name));
                    }
                },
                || told("around"),
            );
        });
        let all = start.elapsed();
        let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["first", "second", "around"]);
        // Counted once: with theirs in its own, they would come to more than all there was.
        assert!(parts.iter().map(|part| part.elapsed).sum::<Duration>() <= all);
    }

    #[test]
    fn a_panic_leaves_nobody_asking() {
        let run = || profiled(|| -> () { panic!("a part breaks") });
        assert!(std::panic::catch_unwind(run).is_err());
        assert!(!IS_ASKED.get());
    }
}
