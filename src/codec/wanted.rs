//! Which of a client's columns a model takes, and how to say which are missing.

use crate::tensor::{Misfit, MisfitKind, Port};

/// Columns of either side that an error lists before it says how many more there are.
const LISTED_MAX: usize = 12;

/// The place, among the columns `present`, of the column for each of the model's inputs.
///
/// # Errors
/// When a column is missing. A model's only input is given by the only column, whatever its name.
pub(super) fn choose(present: &[&str], inputs: &[Port]) -> Result<Vec<usize>, Misfit> {
    let place = |name: &str| present.iter().position(|column| *column == name);
    if let [only] = inputs {
        return match (place(&only.name), present) {
            (Some(index), _) => Ok(vec![index]),
            (None, [_]) => Ok(vec![0]),
            (None, _) => Err(missing(&only.name, present, inputs)),
        };
    }
    let places = inputs
        .iter()
        .map(|port| place(&port.name).ok_or_else(|| missing(&port.name, present, inputs)));
    places.collect()
}

/// The places, among the columns `present`, of the companions that are there and not chosen yet.
pub(super) fn beside(present: &[&str], chosen: &[usize], companions: &[String]) -> Vec<usize> {
    let place = |name: &String| present.iter().position(|column| column == name);
    companions.iter().filter_map(place).filter(|index| !chosen.contains(index)).collect()
}

/// The misfit for a column that is not there.
pub(super) fn missing(name: &str, present: &[&str], inputs: &[Port]) -> Misfit {
    let wanted = listed(inputs.iter().map(|port| port.name.as_str()));
    let found = match present {
        [] => "no column".to_owned(),
        names => listed(names.iter().copied()),
    };
    let sentence =
        format!("column `{name}` is missing: the model takes {wanted}, the data has {found}");
    Misfit::new(MisfitKind::MissingColumn, sentence).column(name).expected(wanted, found)
}

/// Names for a sentence, cut to a number that can be read.
pub(super) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(LISTED_MAX);
    let mut quoted: Vec<String> = names.take(LISTED_MAX).map(|name| format!("`{name}`")).collect();
    if 0 < more {
        quoted.push(format!("and {more} more"));
    }
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::ElementType;

    fn port(name: &str) -> Port {
        Port { name: name.into(), element: ElementType::F32, dimensions: vec![] }
    }

    #[test]
    fn an_only_input_takes_its_own_column_before_an_only_one() {
        assert_eq!(choose(&["id", "x"], &[port("x")]), Ok(vec![1]));
        assert_eq!(choose(&["data"], &[port("x")]), Ok(vec![0]));
    }

    #[test]
    fn a_missing_column_is_named_with_what_is_there() {
        let error = choose(&["a", "b"], &[port("x")]).unwrap_err();
        assert_eq!(
            error.sentence,
            "column `x` is missing: the model takes `x`, the data has `a`, `b`"
        );
        let error = choose(&["a"], &[port("a"), port("b")]).unwrap_err();
        assert_eq!(error.column.as_deref(), Some("b"));
    }

    #[test]
    fn a_long_list_of_columns_is_cut() {
        let names: Vec<String> = (0..30).map(|index| format!("c{index}")).collect();
        let present: Vec<&str> = names.iter().map(String::as_str).collect();
        let error = choose(&present, &[port("x")]).unwrap_err();
        assert!(error.sentence.ends_with("`c11`, and 18 more"), "{error}");
    }
}
