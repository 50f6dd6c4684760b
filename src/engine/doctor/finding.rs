//! A finding of the examination: what was looked at, how it is, and what to do about it.

use serde::Serialize;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// The engine serves, and something may go wrong.
    Warn,
    /// The engine does not serve like this.
    Fail,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok  ",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    level: Level,
    finding: String,
    remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, finding: impl Into<String>) -> Finding {
        Finding { check, level: Level::Ok, finding: finding.into(), remedy: None }
    }

    pub(super) fn warn(
        check: &'static str,
        finding: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding::new(check, Level::Warn, finding, remedy)
    }

    pub(super) fn fail(
        check: &'static str,
        finding: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding::new(check, Level::Fail, finding, remedy)
    }

    /// One of any level; what is as it should be needs no remedy.
    pub(super) fn new(
        check: &'static str,
        level: Level,
        finding: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        let remedy = (level != Level::Ok).then(|| remedy.into());
        Finding { check, level, finding: finding.into(), remedy }
    }

    /// The same where the engine serves all the same.
    pub(super) fn softened(self) -> Finding {
        Finding { level: self.level.min(Level::Warn), ..self }
    }

    /// One line for a person, and one for the remedy.
    pub(super) fn lines(&self) -> String {
        let Finding { check, level, finding, remedy } = self;
        let mut text = format!("{} {check:<11} {finding}", level.word());
        if let Some(remedy) = remedy {
            text.push_str(&format!("\n     {:<11} next: {remedy}", ""));
        }
        text
    }
}

/// All findings, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

/// The report as programs read it.
#[derive(Serialize)]
struct Wire<'a> {
    version: &'static str,
    worst: Level,
    findings: &'a [Finding],
}

impl Report {
    pub(super) fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub(super) fn last(&self) -> Option<&'static str> {
        self.0.last().map(|finding| finding.check)
    }

    /// What failed, each once.
    pub(super) fn failed(&self) -> Vec<&'static str> {
        let mut failed: Vec<&str> = Vec::new();
        for finding in self.0.iter().filter(|finding| finding.level == Level::Fail) {
            if !failed.contains(&finding.check) {
                failed.push(finding.check);
            }
        }
        failed
    }

    pub(super) fn json(&self) -> String {
        let worst = self.0.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
        let version = env!("CARGO_PKG_VERSION");
        let wire = Wire { version, worst, findings: &self.0 };
        serde_json::to_string_pretty(&wire).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, Report};

    #[test]
    fn a_person_reads_lines_and_a_program_reads_the_worst() {
        let mut report = Report::default();
        report.add(Finding::ok("dns", "r.io resolves"));
        let failed = Finding::fail("tls", "it is over", "renew it");
        assert_eq!(failed.lines(), "fail tls         it is over\n                 next: renew it");
        report.add(failed);
        report.add(Finding::fail("tls", "again", "renew it"));
        assert_eq!(report.failed(), ["tls"]);
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["worst"], "fail");
        assert_eq!(json["findings"][0]["remedy"], serde_json::Value::Null);
    }
}
