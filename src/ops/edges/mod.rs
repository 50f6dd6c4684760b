//! Edges: what they are called, what they are handed, what they may pull, and how they fare.

mod admission;
mod bundle;
mod name;
mod state;

pub(in crate::ops) use admission::Pullers;
pub(in crate::ops) use bundle::{JOIN_TOKEN_LIFE_MS, bundle};
pub(in crate::ops) use name::{Tags, checked_name};
pub(in crate::ops) use state::State;
