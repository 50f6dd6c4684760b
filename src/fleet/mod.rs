//! What the engine and the ops center say to each other; today the bundle that an edge is given.

mod bundle;

pub use bundle::{Bundle, BundleError};
