//! What of a pipeline's inferences is kept: a sample of them, without some columns, or with hashes in their place.

use crate::tensor::Port;

/// Of how many inferences one is kept at least.
pub const SAMPLE_MAX: u32 = 1_000_000;

/// Columns that a policy names: no table in use has more that are secret.
pub const POLICY_COLUMNS_MAX: usize = 256;

/// Bytes of a salt: 16 random ones are enough, in hexadecimal digits 32.
pub const SALT_BYTES: std::ops::RangeInclusive<usize> = 16..=256;

/// What of a pipeline's inferences is kept on a device and sent; by default all of it.
///
/// Columns are named as a log names them: `in.image`, `out.label`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPolicy {
    /// Keeps one of so many inferences; 0 and 1 keep all.
    pub sample: u32,
    /// Columns that are left out.
    pub drop: Vec<String>,
    /// Columns of which each row becomes the SHA-256 of the salt and its values.
    pub hash: Vec<String>,
    /// What hashes begin with, so that nobody without it can find values by trying; empty where
    /// nothing is hashed.
    pub salt: String,
}

impl LogPolicy {
    /// Whether everything is kept as it is.
    pub fn keeps_all(&self) -> bool {
        self.sample <= 1 && self.drop.is_empty() && self.hash.is_empty()
    }

    /// Refuses what cannot be meant, whatever the pipeline.
    ///
    /// # Errors
    /// A sentence that names what is wrong.
    pub fn check(&self) -> Result<(), String> {
        if SAMPLE_MAX < self.sample {
            return Err(format!("`sample` is {}; expected up to {SAMPLE_MAX}", self.sample));
        }
        let columns = || self.drop.iter().chain(&self.hash);
        if POLICY_COLUMNS_MAX < columns().count() {
            return Err(format!("it names more than {POLICY_COLUMNS_MAX} columns"));
        }
        if let Some(column) = columns().find(|it| side_of(it).is_none()) {
            return Err(format!("`{column}` is no column; expected `in.NAME` or `out.NAME`"));
        }
        if let Some(column) = self.hash.iter().find(|column| self.drop.contains(column)) {
            return Err(format!("`{column}` is both in `drop` and in `hash`"));
        }
        if !self.hash.is_empty() && !SALT_BYTES.contains(&self.salt.len()) {
            return Err(format!(
                "`hash` needs a `salt` of {} to {} bytes, as `openssl rand -hex 16` makes: without \
                 one, values are found by trying",
                SALT_BYTES.start(),
                SALT_BYTES.end()
            ));
        }
        if self.hash.is_empty() && !self.salt.is_empty() {
            return Err("there is a `salt`, and `hash` names no column".to_owned());
        }
        Ok(())
    }

    /// Refuses columns that the pipeline does not have.
    ///
    /// # Errors
    /// A sentence that names the column and what there is.
    pub fn fits(
        &self,
        inputs: &[Port],
        companions: &[String],
        outputs: &[Port],
    ) -> Result<(), String> {
        for column in self.drop.iter().chain(&self.hash) {
            let (present, name): (Vec<&str>, &str) = match side_of(column) {
                Some(Side::Input(name)) => {
                    let inputs = inputs.iter().map(|port| port.name.as_str());
                    (inputs.chain(companions.iter().map(String::as_str)).collect(), name)
                }
                Some(Side::Output(name)) => {
                    (outputs.iter().map(|port| port.name.as_str()).collect(), name)
                }
                None => continue,
            };
            if !present.contains(&name) {
                let present = present.join("`, `");
                return Err(format!(
                    "there is no column `{column}`: on that side there are `{present}`"
                ));
            }
        }
        Ok(())
    }

    /// What becomes of a column of the request.
    pub fn of_input(&self, name: &str) -> Treatment {
        self.treatment(|side| side == Side::Input(name))
    }

    /// What becomes of an output, a challenger's of the same name too.
    pub fn of_output(&self, name: &str) -> Treatment {
        self.treatment(|side| side == Side::Output(name))
    }

    fn treatment(&self, is_it: impl Fn(Side<'_>) -> bool) -> Treatment {
        let names_it = |columns: &[String]| columns.iter().filter_map(|it| side_of(it)).any(&is_it);
        if names_it(&self.drop) {
            Treatment::Drop
        } else if names_it(&self.hash) {
            Treatment::Hash
        } else {
            Treatment::Keep
        }
    }
}

/// What becomes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It is kept as it is.
    Keep,
    /// It is left out.
    Drop,
    /// Hashes stand in its place.
    Hash,
}

/// A column's name without its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side<'a> {
    Input(&'a str),
    Output(&'a str),
}

fn side_of(column: &str) -> Option<Side<'_>> {
    match column.split_once('.') {
        Some(("in", name)) if !name.is_empty() => Some(Side::Input(name)),
        Some(("out", name)) if !name.is_empty() => Some(Side::Output(name)),
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::ElementType;

    fn policy(drop: &[&str], hash: &[&str], salt: &str) -> LogPolicy {
        let owned = |columns: &[&str]| columns.iter().map(|it| (*it).to_owned()).collect();
        LogPolicy { sample: 1, drop: owned(drop), hash: owned(hash), salt: salt.to_owned() }
    }

    #[test]
    fn a_policy_that_cannot_be_meant_says_why() {
        let salt = "0123456789abcdef";
        let cases = [
            (policy(&["image"], &[], ""), "`image` is no column"),
            (policy(&["in."], &[], ""), "`in.` is no column"),
            (policy(&["in.a"], &["in.a"], salt), "both in `drop` and in `hash`"),
            (policy(&[], &["in.a"], "short"), "needs a `salt`"),
            (policy(&["in.a"], &[], salt), "names no column"),
            (LogPolicy { sample: SAMPLE_MAX + 1, ..LogPolicy::default() }, "`sample` is"),
        ];
        for (policy, why) in cases {
            let sentence = policy.check().unwrap_err();
            assert!(sentence.contains(why), "{sentence}");
        }
        assert_eq!(policy(&["in.a"], &["out.b"], salt).check(), Ok(()));
    }

    #[test]
    fn a_column_is_treated_on_its_own_side_alone() {
        let policy = policy(&["in.a"], &["out.a"], "0123456789abcdef");
        assert_eq!(
            (policy.of_input("a"), policy.of_output("a")),
            (Treatment::Drop, Treatment::Hash)
        );
        assert_eq!(policy.of_input("b"), Treatment::Keep);
        let port = |name: &str| Port {
            name: name.into(),
            element: ElementType::F32,
            dimensions: Vec::new(),
        };
        assert_eq!(policy.fits(&[port("a")], &[], &[port("a")]), Ok(()));
        assert_eq!(policy.fits(&[], &["a".to_owned()], &[port("a")]), Ok(()));
        let sentence = policy.fits(&[port("a")], &[], &[port("b"), port("c")]).unwrap_err();
        assert_eq!(sentence, "there is no column `out.a`: on that side there are `b`, `c`");
    }
}
