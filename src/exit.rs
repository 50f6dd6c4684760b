//! How a program ends: its exit code, and the one place where an error's chain is written out.

use std::error::Error;

/// Exit codes of both programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All was done.
    Done = 0,
    /// Something failed that has no code of its own.
    Failed = 1,
    /// Arguments, settings or a pipeline file are wrong.
    Usage = 2,
    /// A model does not load or does not run.
    ModelRefused = 3,
    /// The registry refused the credentials, or wants some.
    CredentialsRefused = 4,
    /// The registry has no such repository, tag or digest.
    NotFound = 5,
    /// The registry does not answer, or not over a trusted connection.
    Unreachable = 6,
    /// What was fetched is not what its digest or size says.
    Corrupt = 7,
    /// The persistent directory cannot be used.
    Disk = 8,
    /// Nobody who is trusted has signed what was to run.
    Unsigned = 9,
}

/// An error with the code that the program ends with and what to do next.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// What failed, with its sources.
    pub error: Box<dyn Error + Send + Sync>,
    /// What a person does next.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
        Failure { exit, error: error.into(), hint: None }
    }

    /// The same, with what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// `error: what: why: why` and, on a line of its own, the hint.
    pub fn report(&self) -> String {
        let mut text = format!("error: {}", chain(&*self.error));
        if let Some(hint) = &self.hint {
            text.push_str("\n  next: ");
            text.push_str(hint);
        }
        text
    }
}

/// An error and its sources in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the model cannot be loaded")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_report_has_the_chain_and_the_next_step() {
        let failure = Failure::new(Exit::ModelRefused, Outer(std::io::Error::other("it is torn")))
            .hint("publish it again");
        assert_eq!(
            failure.report(),
            "error: the model cannot be loaded: it is torn\n  next: publish it again"
        );
    }
}
