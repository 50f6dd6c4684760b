//! Kernels for images of integers of 8 bits: products are counted in 32 bits, and rounded once where they are stored.
//!
//! Values are codes from 0 to 255, each so many steps from the zero point of its image; those with a
//! sign are brought in moved by 128, and so is their zero point. Weights have a sign and zero for a
//! zero point. Channels lie in blocks of [`LANES`] on every processor, and the frame of an image
//! holds its zero point.

mod bytes;
mod convolution;
mod crossed;
mod depthwise;
mod kind;
mod lanes;
mod maps;
#[cfg(target_arch = "aarch64")]
mod matrix;
#[cfg(target_arch = "aarch64")]
mod neon;
mod peak;
mod product;
mod product_end;
mod rounding;
mod rows;
mod sums;
mod table;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(in crate::runtime) use bytes::{bring_in, clear_frame, take_out};
pub(in crate::runtime) use convolution::{Convolution, Parts, Residual};
pub(in crate::runtime) use crossed::{Crossed, Crossing};
pub(in crate::runtime) use depthwise::Depthwise;
pub(in crate::runtime) use kind::Kind;
pub(in crate::runtime) use lanes::{Code, LANES, SLACK, Sum};
pub(in crate::runtime) use maps::{largest, mean, sum};
pub(in crate::runtime) use peak::products_a_second;
pub(in crate::runtime) use product::{Product, Rows};
pub(in crate::runtime) use product_end::Added;
pub(in crate::runtime) use rounding::{Step, reach, rounded, spread};
pub(in crate::runtime) use rows::{By, Coded};
pub(in crate::runtime) use sums::added;
pub(in crate::runtime) use table::looked_up;

#[cfg(test)]
mod tests;
