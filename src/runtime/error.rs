//! What can go wrong with a model: while it is loaded, and while it runs.

use crate::tensor::Misfit;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tract_onnx::prelude::TractResult;

/// An error of tract's, as a source.
pub(super) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a file is not served as a model.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("the model file cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// The bytes are no ONNX model.
    #[error("the file is not an ONNX model, or only a part of one: export it again")]
    NotOnnx(#[source] Source),
    /// The graph holds nothing that can run.
    #[error("the ONNX file holds no graph with inputs and outputs: export it again")]
    NoGraph,
    /// More nodes than a model may have.
    #[error("the model has {found} nodes, more than the {limit} that are allowed")]
    TooManyNodes {
        /// Nodes in the graph.
        found: usize,
        /// Nodes allowed.
        limit: usize,
    },
    /// A file larger than protobuf can be.
    #[error("the model file is larger than the {limit} bytes that are allowed")]
    FileTooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The graph contradicts itself, or asks for what cannot be.
    #[error("the model is not sound: {}", Faults(faults))]
    Unsound {
        /// A sentence for each fault.
        faults: Vec<String>,
    },
    /// Loading took longer than any model may.
    #[error(
        "the model did not load within {seconds} seconds: give a smaller one, or export it again"
    )]
    Late {
        /// Seconds allowed.
        seconds: u64,
    },
    /// Weights in files of their own.
    #[error(
        "the model keeps the weights of {count} tensors in files beside it (first: `{first}`), and \
         came without them: send those files with it, or save it with its weights inside"
    )]
    ExternalData {
        /// Tensors with external data.
        count: usize,
        /// The name of the first.
        first: String,
    },
    /// Files beside the model that are not there, or not what it says.
    #[error("the files beside the model cannot be used: {}", Faults(faults))]
    SideFiles {
        /// A sentence for each fault.
        faults: Vec<String>,
    },
    /// Operators that this runtime does not know.
    #[error(
        "the model uses operators that this runtime does not have: {}",
        Unsupported::list(operators)
    )]
    UnsupportedOperators {
        /// Each operator with the nodes that use it.
        operators: Vec<Unsupported>,
    },
    /// An input or output that is no tensor of a type we carry.
    #[error("{port} of the model is {found}, which cannot be sent or answered")]
    UnsupportedType {
        /// `input x` or `output y`.
        port: String,
        /// What it is.
        found: String,
    },
    /// tract does not accept the graph.
    #[error("the runtime refused the model")]
    Refused(#[source] Source),
    /// tract panicked: a fault of the model that it does not check, or of its own.
    #[error("the runtime broke on the model: {0}")]
    Broke(String),
}

/// Faults in one line; a file of noise has thousands.
struct Faults<'f>(&'f [String]);

impl Faults<'_> {
    /// Faults that a message tells; the others are counted.
    const TOLD: usize = 8;
}

impl fmt::Display for Faults<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = &self.0[..self.0.len().min(Faults::TOLD)];
        f.write_str(&told.join("; "))?;
        match self.0.len() - told.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// An operator that is missing, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// The operator with its domain, when it is not ONNX's own: `com.example.Flux`.
    pub operator: String,
    /// The names of the nodes that use it.
    pub nodes: Vec<String>,
}

impl Unsupported {
    /// Nodes that a message names for one operator; the others are counted.
    const NODES_NAMED: usize = 5;

    fn list(operators: &[Unsupported]) -> String {
        let texts: Vec<String> = operators.iter().map(Unsupported::to_string).collect();
        texts.join("; ")
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = &self.nodes[..self.nodes.len().min(Self::NODES_NAMED)];
        write!(f, "{} (node {}", self.operator, named.join(", "))?;
        match self.nodes.len() - named.len() {
            0 => f.write_str(")"),
            more => write!(f, " and {more} more)"),
        }
    }
}

/// Why a request was not answered by the model.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The client's data do not fit the model.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// The model refused these values or this shape.
    #[error("the model cannot compute this input")]
    Refused(#[source] Source),
    /// tract panicked on these values or this shape.
    #[error("the runtime broke on this input: {0}")]
    Broke(String),
    /// Its weights are needed for another number of rows, and its file gives them no more.
    #[error(
        "the model's weights cannot be read again for so many rows: send as many as before, and look at the disk"
    )]
    Unread,
    /// The deadline passed while the model ran.
    #[error("the model did not finish in time: send fewer rows, or give the engine more CPUs")]
    Late,
    /// The runs of one request gave outputs that do not join.
    #[error(
        "output `{output}` has the shape {first:?} for one part of the rows and {other:?} for another: send these rows one by one"
    )]
    Uneven {
        /// The output's name.
        output: String,
        /// The shape of the first run's.
        first: Vec<usize>,
        /// The shape that differs.
        other: Vec<usize>,
    },
}

/// A call into tract that neither panics nor leaks tract's error type.
pub(super) fn contained<T>(call: impl FnOnce() -> TractResult<T>) -> Result<T, Trouble> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Trouble::Refused(Flat::boxed(&error))),
        Err(panic) => Err(Trouble::Broke(panic_text(&*panic))),
    }
}

/// How a call into tract failed.
pub(super) enum Trouble {
    Refused(Source),
    Broke(String),
}

impl From<Trouble> for LoadError {
    fn from(trouble: Trouble) -> LoadError {
        match trouble {
            Trouble::Refused(source) => LoadError::Refused(source),
            Trouble::Broke(text) => LoadError::Broke(text),
        }
    }
}

impl From<Trouble> for RunError {
    fn from(trouble: Trouble) -> RunError {
        match trouble {
            Trouble::Refused(source) => RunError::Refused(source),
            Trouble::Broke(text) => RunError::Broke(text),
        }
    }
}

/// tract's chain of errors in one line: its links quote whole nodes, so they are cut.
#[derive(Debug)]
struct Flat(String);

/// The most that one link of tract's chain may add to a message.
const LINK_CHARS_MAX: usize = 240;

impl Flat {
    fn boxed(error: &tract_onnx::prelude::TractError) -> Source {
        let links: Vec<String> = error.chain().map(|link| shortened(&link.to_string())).collect();
        Box::new(Flat(links.join(": ")))
    }
}

impl fmt::Display for Flat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Flat {}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    shortened(&text.unwrap_or_else(|| "a panic without a message".to_owned()))
}

fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LINK_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_operators_are_named_with_their_nodes() {
        let nodes = (0..7).map(|index| format!("n{index}")).collect();
        let operators = vec![
            Unsupported { operator: "FluxCapacitor".into(), nodes: vec!["flux".into()] },
            Unsupported { operator: "com.example.Warp".into(), nodes },
        ];
        assert_eq!(
            LoadError::UnsupportedOperators { operators }.to_string(),
            "the model uses operators that this runtime does not have: FluxCapacitor (node flux); \
             com.example.Warp (node n0, n1, n2, n3, n4 and 2 more)"
        );
    }

    #[test]
    fn a_panic_becomes_an_error_with_its_text() {
        let Err(Trouble::Broke(text)) = contained::<()>(|| panic!("index 9 out of range")) else {
            panic!("a panic must be contained");
        };
        assert_eq!(text, "index 9 out of range");
    }
}
