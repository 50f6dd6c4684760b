//! A column of a baseline: what it is called, its bins, and how the baseline's values are spread over them.

use super::bins::{Bins, Coarse};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One column, or one element of its lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::ops) struct Column {
    /// `in.tensor`
    pub name: String,
    /// Which element of each list; without one it is the plain value, or all elements together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub element: Option<usize>,
    /// Whether all elements of its lists are counted together.
    #[serde(default)]
    pub is_list: bool,
    /// Its bins.
    pub bins: Bins,
    /// How many values of the baseline are in each.
    pub counts: Vec<u64>,
    /// The bins for what summaries tell, where they can tell of this column.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub coarse: Option<Coarse>,
}

impl Column {
    /// Bins of both kinds.
    pub(super) fn places(&self) -> usize {
        self.bins.len() + self.coarse.as_ref().map_or(0, Coarse::len)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.element {
            Some(element) => write!(f, "{}[{element}]", self.name),
            None => f.write_str(&self.name),
        }
    }
}
