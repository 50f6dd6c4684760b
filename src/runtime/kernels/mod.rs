//! Kernels for floats of images, with channels in blocks as wide as a vector: the only place with `unsafe` blocks.

#![allow(
    unsafe_code,
    reason = "vectors, and threads that write one buffer: each block with its proof"
)]

mod account;
mod activation;
mod aligned;
mod attention;
mod cells;
mod convolution;
mod crew;
mod depthwise;
mod families;
mod gang;
pub(super) mod integers;
mod kind;
mod lanes;
mod loops;
mod map;
mod maps;
#[cfg(target_arch = "aarch64")]
mod neon;
mod patches;
mod peak;
mod product;
mod recurrent;
mod rows;
mod softmax;
mod window;
mod winograd;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use activation::Activation;
pub(super) use aligned::Aligned;
pub(super) use attention::{Attention, Heads, Layout};
pub(super) use convolution::{Convolution, Parts};
pub(super) use crew::{Alone, Crew};
pub(super) use depthwise::Depthwise;
pub use families::{Families, NoFamily};
pub(super) use families::{Family, in_use, switch};
pub(super) use gang::Gang;
pub(super) use kind::Kind;
pub(super) use map::{Frame, Map};
pub(super) use maps::{Pooling, With, blend, enlarge, pool, spread};
pub(super) use peak::products_a_second;
pub(super) use product::{Product, Weights};
pub(super) use recurrent::{Cell, Layer as RecurrentLayer, Recurrence, Sequences};
pub(super) use rows::{Normal, each};
pub(super) use softmax::softmax_across;
pub(super) use window::Window;

#[cfg(test)]
mod tests;
