//! Which vectors this processor has, and the kernels made for each of them.

use super::cells;
use super::convolution::{self, Compute, GROUP, PIXELS_MAX};
use super::depthwise;
use super::lanes::Lanes;
#[cfg(any(test, not(target_arch = "aarch64")))]
use super::lanes::Plain;
use super::maps;
#[cfg(target_arch = "aarch64")]
use super::neon::Neon;
use super::peak;
use super::product;
use super::rows;
use super::softmax;
use super::winograd;
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};

/// Vectors that the processor at hand was found to have: [`best`](Kind::best) and
/// [`all`](Kind::all) make no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) struct Kind(Vectors);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vectors {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(any(test, not(target_arch = "aarch64")))]
    Plain,
}

/// By pixels of a tile.
type Tiles = [Compute; PIXELS_MAX + 1];

/// For vectors `V` with the processor's features `feature`: a table of tiles for each number of
/// blocks and each stride, and rows of a depthwise convolution.
macro_rules! kernels {
    ($module:ident, $vectors:ty $(, $feature:literal)?) => {
        mod $module {
            use super::*;

            $(#[target_feature(enable = $feature)])?
            unsafe fn tile<const P: usize, const B: usize, const S: usize, const I: bool>(
                job: &convolution::Job,
            ) {
                // SAFETY: the caller's promise.
                unsafe { convolution::compute::<$vectors, P, B, S, I>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn convolution_end(job: &convolution::Job, pixels: usize, blocks: usize) {
                // SAFETY: the caller's promise.
                unsafe { convolution::end::<$vectors>(job, pixels, blocks) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn product_end(job: &product::Job, rows: usize, vectors: usize) {
                // SAFETY: the caller's promise.
                unsafe { product::end::<$vectors>(job, rows, vectors) }
            }

            /// Numbers of pixels beyond what the registers hold have no kernel of their own.
            const fn tiles<const B: usize, const S: usize, const I: bool>() -> Tiles {
                let most = <$vectors as Lanes>::PIXELS;
                let mut tiles: Tiles = [tile::<1, B, S, I>; PIXELS_MAX + 1];
                tiles[2] = tile::<2, B, S, I>;
                tiles[3] = tile::<3, B, S, I>;
                if most > 3 {
                    tiles[4] = tile::<4, B, S, I>;
                    tiles[5] = tile::<5, B, S, I>;
                    tiles[6] = tile::<6, B, S, I>;
                }
                if most > 6 {
                    tiles[7] = tile::<7, B, S, I>;
                    tiles[8] = tile::<8, B, S, I>;
                }
                if most > 8 {
                    tiles[9] = tile::<9, B, S, I>;
                    tiles[10] = tile::<10, B, S, I>;
                    tiles[11] = tile::<11, B, S, I>;
                    tiles[12] = tile::<12, B, S, I>;
                    tiles[13] = tile::<13, B, S, I>;
                    tiles[14] = tile::<14, B, S, I>;
                }
                tiles
            }

            /// By blocks, stride (0 for any other), and whether the input is planar.
            pub(super) static TILES: [[[Tiles; 2]; 3]; GROUP] = [
                [
                    [tiles::<1, 0, false>(), tiles::<1, 0, true>()],
                    [tiles::<1, 1, false>(), tiles::<1, 0, true>()],
                    [tiles::<1, 2, false>(), tiles::<1, 2, true>()],
                ],
                [
                    [tiles::<2, 0, false>(), tiles::<2, 0, true>()],
                    [tiles::<2, 1, false>(), tiles::<2, 0, true>()],
                    [tiles::<2, 2, false>(), tiles::<2, 2, true>()],
                ],
            ];

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn depthwise<const S: usize>(job: &depthwise::Job) {
                // SAFETY: the caller's promise.
                unsafe { depthwise::rows::<$vectors, S>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn gather<const S: usize>(job: &winograd::Gather) {
                // SAFETY: the caller's promise.
                unsafe { winograd::gather::<$vectors, S>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn scatter<const S: usize>(job: &winograd::Scatter) {
                // SAFETY: the caller's promise.
                unsafe { winograd::scatter::<$vectors, S>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn blend(job: &maps::Job) {
                // SAFETY: the caller's promise.
                unsafe { maps::row::<$vectors>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn pool(job: &maps::PoolJob) {
                // SAFETY: the caller's promise.
                unsafe { maps::pool_row::<$vectors>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn enlarge(job: &maps::Enlarging) {
                // SAFETY: the caller's promise.
                unsafe { maps::enlarge_row::<$vectors>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn spread(job: &maps::Spreading) {
                // SAFETY: the caller's promise.
                unsafe { maps::spread_row::<$vectors>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn softmax(job: &softmax::Job) {
                // SAFETY: the caller's promise.
                unsafe { softmax::columns::<$vectors>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn recur<const END: u8, const G: usize, const P: usize, const B: usize>(
                job: &cells::Job,
            ) {
                // SAFETY: the caller's promise.
                unsafe { cells::tile::<$vectors, END, G, P, B>(job) }
            }

            /// Numbers of rows beyond what the registers hold have no kernel of their own.
            const fn recurrences<const END: u8, const G: usize>() -> cells::Tiles {
                let mut tiles: cells::Tiles = [recur::<END, G, 1, 1>; 5];
                tiles[4] = recur::<END, G, 1, 2>;
                if ROWS > 1 {
                    tiles[1] = recur::<END, G, 2, 1>;
                }
                if ROWS > 2 {
                    tiles[2] = recur::<END, G, 4, 1>;
                    tiles[3] = recur::<END, G, 6, 1>;
                }
                tiles
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn product<const R: usize, const W: usize>(job: &product::Job) {
                // SAFETY: the caller's promise.
                unsafe { product::tile::<$vectors, R, W>(job) }
            }

            /// Numbers of rows beyond what the registers hold have no kernel of their own.
            const fn products<const W: usize>() -> product::Tiles {
                let most = <$vectors as Lanes>::PIXELS;
                let mut tiles: product::Tiles = [product::<1, W>; product::ROWS_MAX + 1];
                tiles[2] = product::<2, W>;
                tiles[3] = product::<3, W>;
                if most > 3 {
                    tiles[4] = product::<4, W>;
                    tiles[5] = product::<5, W>;
                    tiles[6] = product::<6, W>;
                }
                if most > 6 {
                    tiles[7] = product::<7, W>;
                    tiles[8] = product::<8, W>;
                }
                if most > 8 {
                    tiles[9] = product::<9, W>;
                    tiles[10] = product::<10, W>;
                    tiles[11] = product::<11, W>;
                    tiles[12] = product::<12, W>;
                    tiles[13] = product::<13, W>;
                    tiles[14] = product::<14, W>;
                }
                tiles
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn single<const G: usize>(job: &product::Job) {
                // SAFETY: the caller's promise.
                unsafe { product::single::<$vectors, G>(job) }
            }

            /// By groups of columns, less one.
            pub(super) static SINGLES: product::Singles =
                [single::<1>, single::<2>, single::<3>, single::<4>];

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn normal(job: &rows::NormalJob) {
                // SAFETY: the caller's promise.
                unsafe { rows::normal::<$vectors>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn each(job: &rows::EachJob) {
                // SAFETY: the caller's promise.
                unsafe { rows::each_of::<$vectors>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn softmax_row(job: &rows::SoftmaxJob) {
                // SAFETY: the caller's promise.
                unsafe { rows::softmax::<$vectors>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn multiply(rounds: usize) -> f32 {
                // SAFETY: the caller's promise.
                unsafe { peak::multiply::<$vectors>(rounds) }
            }

            /// By vectors of columns.
            pub(super) static PRODUCTS: [product::Tiles; product::VECTORS] =
                [products::<1>(), products::<2>()];

            pub(super) const ROWS: usize = cells::rows_max::<$vectors>();

            /// By what is computed in the end.
            pub(super) static RECURRENCES: [cells::Tiles; cells::ENDS] = [
                recurrences::<0, 4>(),
                recurrences::<1, 1>(),
                recurrences::<2, 4>(),
                recurrences::<3, 3>(),
                recurrences::<4, 2>(),
                recurrences::<5, 1>(),
            ];
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernels!(avx512, Avx512, "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx2, Avx2, "avx2,fma");
#[cfg(target_arch = "aarch64")]
kernels!(neon, Neon, "neon");
// Each 64-bit ARM processor has NEON: what would never run is not in its program, only in its tests.
#[cfg(any(test, not(target_arch = "aarch64")))]
kernels!(plain, Plain);

/// Does this with the vectors of a kind, or with the module of kernels made for them.
macro_rules! with_kind {
    ($kind:expr, $name:ident, $does:expr, [$avx512:ident, $avx2:ident, $neon:ident, $plain:ident]) => {
        match $kind.0 {
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => {
                use $avx512 as $name;
                $does
            }
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => {
                use $avx2 as $name;
                $does
            }
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => {
                use $neon as $name;
                $does
            }
            #[cfg(any(test, not(target_arch = "aarch64")))]
            Vectors::Plain => {
                use $plain as $name;
                $does
            }
        }
    };
    ($kind:expr, vectors $name:ident, $does:expr) => {
        with_kind!($kind, $name, $does, [Avx512, Avx2, Neon, Plain])
    };
    ($kind:expr, kernels $name:ident, $does:expr) => {
        with_kind!($kind, $name, $does, [avx512, avx2, neon, plain])
    };
}

impl Kind {
    /// Those of this processor that compute most at a time.
    pub(in crate::runtime) fn best() -> Kind {
        Kind::all()[0]
    }

    /// All that this processor has, the best first.
    pub(in crate::runtime) fn all() -> Vec<Kind> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let has_256 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if has_256 && is_x86_feature_detected!("avx512f") {
                all.push(Kind(Vectors::Avx512));
            }
            if has_256 {
                all.push(Kind(Vectors::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        all.push(Kind(Vectors::Neon));
        #[cfg(any(test, not(target_arch = "aarch64")))]
        all.push(Kind(Vectors::Plain));
        all
    }

    /// As people call them.
    pub(in crate::runtime) fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => "AVX2",
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => "NEON",
            #[cfg(any(test, not(target_arch = "aarch64")))]
            Vectors::Plain => "plain",
        }
    }

    /// Whether these are vectors that kernels were written for, and not whatever the compiler made.
    pub(in crate::runtime) fn is_quick(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 | Vectors::Avx2 => true,
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => true,
            #[cfg(any(test, not(target_arch = "aarch64")))]
            Vectors::Plain => false,
        }
    }

    /// Floats of a vector, and channels of a block.
    pub(in crate::runtime) fn lanes(self) -> usize {
        with_kind!(self, vectors Vector, <Vector as Lanes>::LANES)
    }

    /// Pixels of a tile at most.
    pub(super) fn pixels(self) -> usize {
        with_kind!(self, vectors Vector, <Vector as Lanes>::PIXELS)
    }

    /// The tiles of so many blocks, for such a stride, by their pixels.
    pub(super) fn convolutions(
        self,
        blocks: usize,
        stride: usize,
        is_planar: bool,
    ) -> &'static Tiles {
        let stride = if stride < 3 { stride } else { 0 };
        with_kind!(self, kernels kernels, {
            &kernels::TILES[blocks - 1][stride][usize::from(is_planar)]
        })
    }

    /// What becomes of the sums of a tile of a convolution.
    pub(super) fn convolution_end(self) -> convolution::End {
        with_kind!(self, kernels kernels, kernels::convolution_end)
    }

    /// What becomes of the sums of a tile of a product.
    pub(super) fn product_end(self) -> product::End {
        with_kind!(self, kernels kernels, kernels::product_end)
    }

    /// Rows of a depthwise convolution with such a stride.
    pub(super) fn depthwise(self, stride: usize) -> unsafe fn(&depthwise::Job) {
        with_kind!(self, kernels kernels, match stride {
            1 => kernels::depthwise::<1>,
            2 => kernels::depthwise::<2>,
            _ => kernels::depthwise::<0>,
        })
    }

    /// The transform of a patch of an image.
    pub(super) fn gather(self, side: usize) -> unsafe fn(&winograd::Gather) {
        with_kind!(self, kernels kernels, match side {
            2 => kernels::gather::<2>,
            _ => kernels::gather::<4>,
        })
    }

    /// The transform of the sums of a patch.
    pub(super) fn scatter(self, side: usize) -> unsafe fn(&winograd::Scatter) {
        with_kind!(self, kernels kernels, match side {
            2 => kernels::scatter::<2>,
            _ => kernels::scatter::<4>,
        })
    }

    /// A row of one map with another.
    pub(super) fn blend(self) -> unsafe fn(&maps::Job) {
        with_kind!(self, kernels kernels, kernels::blend)
    }

    /// A row of a map whose pixels are repeated.
    pub(super) fn enlarge(self) -> unsafe fn(&maps::Enlarging) {
        with_kind!(self, kernels kernels, kernels::enlarge)
    }

    /// A row of a map whose pixels come from several blocks.
    pub(super) fn spread(self) -> unsafe fn(&maps::Spreading) {
        with_kind!(self, kernels kernels, kernels::spread)
    }

    /// A softmax down some columns.
    pub(super) fn softmax(self) -> unsafe fn(&softmax::Job) {
        with_kind!(self, kernels kernels, kernels::softmax)
    }

    /// The tiles of recurrent layers with such an end, and how many rows they have at most.
    pub(super) fn recurrent(self, end: u8) -> (&'static cells::Tiles, usize) {
        with_kind!(self, kernels kernels, {
            (&kernels::RECURRENCES[usize::from(end)], kernels::ROWS)
        })
    }

    /// The tiles of products with so many vectors of columns, by their rows.
    pub(super) fn products(self, vectors: usize) -> &'static product::Tiles {
        with_kind!(self, kernels kernels, &kernels::PRODUCTS[vectors - 1])
    }

    /// What computes a row alone, by groups of columns.
    pub(super) fn singles(self) -> &'static product::Singles {
        with_kind!(self, kernels kernels, &kernels::SINGLES)
    }

    /// Rows of a product's tile at most.
    pub(super) fn rows(self) -> usize {
        self.pixels()
    }

    /// The norm of a row.
    pub(super) fn normal(self) -> unsafe fn(&rows::NormalJob) {
        with_kind!(self, kernels kernels, kernels::normal)
    }

    /// A function of each value.
    pub(super) fn each(self) -> unsafe fn(&rows::EachJob) {
        with_kind!(self, kernels kernels, kernels::each)
    }

    /// A softmax along a row.
    pub(super) fn softmax_row(self) -> unsafe fn(&rows::SoftmaxJob) {
        with_kind!(self, kernels kernels, kernels::softmax_row)
    }

    /// A row of a pool.
    pub(super) fn pool(self) -> unsafe fn(&maps::PoolJob) {
        with_kind!(self, kernels kernels, kernels::pool)
    }

    /// Products in registers.
    pub(super) fn multiply(self) -> unsafe fn(usize) -> f32 {
        with_kind!(self, kernels kernels, kernels::multiply)
    }
}
