//! Values with a type and a shape: tensors, the tables of rows that clients send, and what a model wants.
//!
//! Nothing here reads or writes a format, and nothing computes: `codec` fills tables from bytes,
//! `runtime` binds them to a model's ports and gives tensors back.

mod convert;
mod data;
mod element;
mod misfit;
mod port;
mod table;
mod value;

pub use convert::ConversionError;
pub use data::Data;
pub use element::ElementType;
pub use misfit::{Misfit, MisfitKind};
pub use port::{Dimension, Port};
pub use table::{Column, RowShape, Table, TableError};
pub use value::{NamedTensor, Tensor, TensorError};
