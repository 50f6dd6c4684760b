//! Which vectors for integers this processor has, and the kernels made for each of them.

use super::convolution::{self, BLOCKS_MAX, Compute, PIXELS_MAX};
use super::crossed;
use super::depthwise;
use super::lanes::Counts;
#[cfg(any(test, not(target_arch = "aarch64")))]
use super::lanes::Plain;
use super::maps;
#[cfg(target_arch = "aarch64")]
use super::matrix::Matrix;
#[cfg(target_arch = "aarch64")]
use super::neon::{Dot, Neon};
use super::peak;
use super::product;
use super::product_end;
use super::rounding;
use super::sums;
use super::table;
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Vnni};

/// Vectors that the processor at hand was found to have: [`best`](Kind::best) and
/// [`all`](Kind::all) make no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) struct Kind(Vectors);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vectors {
    #[cfg(target_arch = "x86_64")]
    Vnni,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Matrix,
    #[cfg(target_arch = "aarch64")]
    Dot,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(any(test, not(target_arch = "aarch64")))]
    Plain,
}

/// By pixels of a tile.
type Tiles = [Compute; PIXELS_MAX + 1];

/// By rows of a tile.
type RowTiles = [product::Compute; product::ROWS_MAX + 1];

/// Tiles of vectors `V` with the processor's features `feature`, for each number of blocks, of pixels and of rows.
macro_rules! tiles {
    ($vectors:ty $(, $feature:literal)?) => {
        $(#[target_feature(enable = $feature)])?
        unsafe fn tile<const P: usize, const B: usize>(job: &convolution::Job) {
            // SAFETY: the caller's promise.
            unsafe { convolution::compute::<$vectors, P, B>(job) }
        }

        /// Numbers of pixels beyond what the registers hold have no kernel of their own.
        const fn tiles<const B: usize>() -> Tiles {
            let most = <$vectors as Counts>::PIXELS;
            let mut tiles: Tiles = [tile::<1, B>; PIXELS_MAX + 1];
            tiles[2] = tile::<2, B>;
            if most > 2 {
                tiles[3] = tile::<3, B>;
                tiles[4] = tile::<4, B>;
            }
            if most > 4 {
                tiles[5] = tile::<5, B>;
            }
            if most > 5 {
                tiles[6] = tile::<6, B>;
                tiles[7] = tile::<7, B>;
                tiles[8] = tile::<8, B>;
                tiles[9] = tile::<9, B>;
                tiles[10] = tile::<10, B>;
                tiles[11] = tile::<11, B>;
                tiles[12] = tile::<12, B>;
                tiles[13] = tile::<13, B>;
                tiles[14] = tile::<14, B>;
            }
            tiles
        }

        /// By blocks; more than a tile has are never asked for.
        pub(super) static TILES: [Tiles; BLOCKS_MAX] = match <$vectors as Counts>::BLOCKS {
            1 => [tiles::<1>(), tiles::<1>()],
            _ => [tiles::<1>(), tiles::<2>()],
        };

        $(#[target_feature(enable = $feature)])?
        unsafe fn row_tile<const R: usize, const B: usize>(job: &product::Job) {
            // SAFETY: the caller's promise.
            unsafe { product::tile::<$vectors, R, B>(job) }
        }

        /// As for pixels.
        const fn row_tiles<const B: usize>() -> RowTiles {
            let most = <$vectors as Counts>::PIXELS;
            let mut tiles: RowTiles = [row_tile::<1, B>; product::ROWS_MAX + 1];
            tiles[2] = row_tile::<2, B>;
            if most > 2 {
                tiles[3] = row_tile::<3, B>;
                tiles[4] = row_tile::<4, B>;
            }
            if most > 4 {
                tiles[5] = row_tile::<5, B>;
            }
            if most > 5 {
                tiles[6] = row_tile::<6, B>;
                tiles[7] = row_tile::<7, B>;
                tiles[8] = row_tile::<8, B>;
                tiles[9] = row_tile::<9, B>;
                tiles[10] = row_tile::<10, B>;
                tiles[11] = row_tile::<11, B>;
                tiles[12] = row_tile::<12, B>;
                tiles[13] = row_tile::<13, B>;
                tiles[14] = row_tile::<14, B>;
            }
            tiles
        }

        /// By blocks, as for pixels.
        pub(super) static ROW_TILES: [RowTiles; BLOCKS_MAX] =
            match <$vectors as Counts>::BLOCKS {
                1 => [row_tiles::<1>(), row_tiles::<1>()],
                _ => [row_tiles::<1>(), row_tiles::<2>()],
            };
    };
}

/// For vectors `V` with the processor's features `feature`: tiles, and all that goes along rows.
macro_rules! kernels {
    ($module:ident, $vectors:ty $(, $feature:literal)?) => {
        mod $module {
            use super::*;

            tiles!($vectors $(, $feature)?);

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn product_end(job: &product_end::Job<'_>) {
                // SAFETY: the caller's promise.
                unsafe { product_end::end::<$vectors>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn rounded(job: &rounding::Job) {
                // SAFETY: the caller's promise.
                unsafe { rounding::codes(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn spread(job: &rounding::Spreading) {
                // SAFETY: the caller's promise.
                unsafe { rounding::values(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn added(job: &sums::Job) {
                // SAFETY: the caller's promise.
                unsafe { sums::of::<$vectors>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn looked_up(job: &table::Job<'_>) {
                // SAFETY: the caller's promise.
                unsafe { table::answers::<$vectors>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn crossed(job: &crossed::Job<'_>) {
                // SAFETY: the caller's promise.
                unsafe { crossed::head::<$vectors>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn reach(values: &[f32]) -> (f32, f32) {
                rounding::least_and_most(values)
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn depthwise<const IS_KEPT: bool>(job: &depthwise::Job) {
                // SAFETY: the caller's promise.
                unsafe { depthwise::row::<$vectors, IS_KEPT>(job) }
            }

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn multiply(rounds: usize) -> i32 {
                // SAFETY: the caller's promise.
                unsafe { peak::multiply::<$vectors, PIXELS>(rounds) }
            }

            pub(super) const PIXELS: usize = <$vectors as Counts>::PIXELS;

            $(#[target_feature(enable = $feature)])?
            pub(super) unsafe fn sum(job: &maps::Job) {
                // SAFETY: the caller's promise.
                unsafe { maps::row::<$vectors>(job) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernels!(vnni, Vnni, "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx2, Avx2, "avx2,fma");
#[cfg(target_arch = "aarch64")]
kernels!(dot, Dot, "neon,dotprod");
#[cfg(target_arch = "aarch64")]
kernels!(neon, Neon<false>, "neon");

/// Tiles for weights in pairs of quads; all else is as with dot products.
#[cfg(target_arch = "aarch64")]
mod matrix {
    use super::*;

    tiles!(Matrix, "neon,dotprod,i8mm");
}

/// Tiles for weights of which none is the least there is.
#[cfg(target_arch = "aarch64")]
mod narrow {
    use super::*;

    tiles!(Neon<true>, "neon");
}

// Each 64-bit ARM processor has NEON: what would never run is not in its program, only in its tests.
#[cfg(any(test, not(target_arch = "aarch64")))]
kernels!(plain, Plain);

#[cfg(target_arch = "aarch64")]
type Wide = Neon<false>;

/// Does this with the vectors of a kind, or with the module of kernels made for them.
macro_rules! with_kind {
    ($kind:expr, $name:ident, $does:expr, [$vnni:ident, $avx2:ident, $matrix:ident, $dot:ident, $neon:ident, $plain:ident]) => {
        match $kind.0 {
            #[cfg(target_arch = "x86_64")]
            Vectors::Vnni => {
                use $vnni as $name;
                $does
            }
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => {
                use $avx2 as $name;
                $does
            }
            #[cfg(target_arch = "aarch64")]
            Vectors::Matrix => {
                use $matrix as $name;
                $does
            }
            #[cfg(target_arch = "aarch64")]
            Vectors::Dot => {
                use $dot as $name;
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
        with_kind!($kind, $name, $does, [Vnni, Avx2, Matrix, Dot, Wide, Plain])
    };
    ($kind:expr, kernels $name:ident, $does:expr) => {
        with_kind!($kind, $name, $does, [vnni, avx2, dot, dot, neon, plain])
    };
}

/// What stands where a product has its weights.
#[derive(Debug, Clone, Copy)]
pub(super) enum Packed {
    /// Codes that nobody knew beforehand, quad by quad.
    Codes,
    /// Weights as a product packs them, that [are narrow](are_narrow) or not.
    Weights { are_narrow: bool },
}

/// Whether no weight is the least that a byte with a sign can be, as none is that a quantiser made of a range with
/// zero in its middle: products of two are added up in 16 bits then, where there is nothing wider.
pub(super) fn are_narrow(weights: &[i8]) -> bool {
    weights.iter().all(|weight| *weight > i8::MIN)
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
            let has_512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni");
            if has_256 && has_512 {
                all.push(Kind(Vectors::Vnni));
            }
            if has_256 {
                all.push(Kind(Vectors::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            let has_dot = std::arch::is_aarch64_feature_detected!("dotprod");
            if has_dot && std::arch::is_aarch64_feature_detected!("i8mm") {
                all.push(Kind(Vectors::Matrix));
            }
            if has_dot {
                all.push(Kind(Vectors::Dot));
            }
            all.push(Kind(Vectors::Neon));
        }
        #[cfg(any(test, not(target_arch = "aarch64")))]
        all.push(Kind(Vectors::Plain));
        all
    }

    /// As people call them.
    pub(in crate::runtime) fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Vectors::Vnni => "AVX-512 VNNI",
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => "AVX2",
            #[cfg(target_arch = "aarch64")]
            Vectors::Matrix => "NEON with products of matrices",
            #[cfg(target_arch = "aarch64")]
            Vectors::Dot => "NEON with dot products",
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
            Vectors::Vnni | Vectors::Avx2 => true,
            #[cfg(target_arch = "aarch64")]
            Vectors::Matrix | Vectors::Dot | Vectors::Neon => true,
            #[cfg(any(test, not(target_arch = "aarch64")))]
            Vectors::Plain => false,
        }
    }

    /// Whether weights of two quads lie side by side where sixteen codes are taken at once.
    pub(super) fn are_paired(self) -> bool {
        #[cfg(target_arch = "aarch64")]
        if self.0 == Vectors::Matrix {
            return true;
        }
        false
    }

    /// Pixels of a tile at most.
    pub(super) fn pixels(self) -> usize {
        with_kind!(self, vectors Vector, <Vector as Counts>::PIXELS)
    }

    /// Blocks of channels of a tile.
    pub(super) fn blocks(self) -> usize {
        with_kind!(self, vectors Vector, <Vector as Counts>::BLOCKS)
    }

    /// What is taken from a code before it is multiplied.
    pub(super) fn moved(self) -> i32 {
        with_kind!(self, vectors Vector, <Vector as Counts>::MOVED)
    }

    /// The tiles of so many blocks, by their pixels, for weights that [are narrow](are_narrow) or not.
    pub(super) fn convolutions(self, blocks: usize, are_narrow: bool) -> &'static Tiles {
        #[cfg(target_arch = "aarch64")]
        if are_narrow && self.0 == Vectors::Neon {
            return &narrow::TILES[blocks - 1];
        }
        #[cfg(target_arch = "aarch64")]
        if self.0 == Vectors::Matrix {
            return &matrix::TILES[blocks - 1];
        }
        let _ = are_narrow; // others add up in 32 bits
        with_kind!(self, kernels kernels, &kernels::TILES[blocks - 1])
    }

    /// A row of a depthwise convolution.
    pub(super) fn depthwise(self, is_kept: bool) -> unsafe fn(&depthwise::Job) {
        with_kind!(self, kernels kernels, match is_kept {
            true => kernels::depthwise::<true>,
            false => kernels::depthwise::<false>,
        })
    }

    /// A row of a sum.
    pub(super) fn sum(self) -> unsafe fn(&maps::Job) {
        with_kind!(self, kernels kernels, kernels::sum)
    }

    /// The tiles of rows of so many blocks of columns, by their rows, for what is packed so.
    pub(super) fn products(self, blocks: usize, packed: Packed) -> &'static RowTiles {
        let are_narrow = matches!(packed, Packed::Weights { are_narrow: true });
        #[cfg(target_arch = "aarch64")]
        match self.0 {
            Vectors::Matrix if !matches!(packed, Packed::Codes) => {
                return &matrix::ROW_TILES[blocks - 1];
            }
            Vectors::Neon if are_narrow => return &narrow::ROW_TILES[blocks - 1],
            _ => {}
        }
        let _ = are_narrow; // as above
        with_kind!(self, kernels kernels, &kernels::ROW_TILES[blocks - 1])
    }

    /// What becomes of a tile of counts.
    pub(super) fn product_end(self) -> unsafe fn(&product_end::Job<'_>) {
        with_kind!(self, kernels kernels, kernels::product_end)
    }

    /// Floats to codes.
    pub(super) fn rounded(self) -> unsafe fn(&rounding::Job) {
        with_kind!(self, kernels kernels, kernels::rounded)
    }

    /// Codes to floats.
    pub(super) fn spread(self) -> unsafe fn(&rounding::Spreading) {
        with_kind!(self, kernels kernels, kernels::spread)
    }

    /// Sums of codes that lie one after the other.
    pub(super) fn added(self) -> unsafe fn(&sums::Job) {
        with_kind!(self, kernels kernels, kernels::added)
    }

    /// What stands in a table for codes.
    pub(super) fn looked_up(self) -> unsafe fn(&table::Job<'_>) {
        with_kind!(self, kernels kernels, kernels::looked_up)
    }

    /// Some rows of codes times others, of one head.
    pub(super) fn crossed(self) -> unsafe fn(&crossed::Job<'_>) {
        with_kind!(self, kernels kernels, kernels::crossed)
    }

    /// The least and the most of floats and zero.
    pub(super) fn reach(self) -> unsafe fn(&[f32]) -> (f32, f32) {
        with_kind!(self, kernels kernels, kernels::reach)
    }

    /// Products in registers, and of how many pixels.
    pub(super) fn multiply(self) -> (unsafe fn(usize) -> i32, usize) {
        with_kind!(self, kernels kernels, (kernels::multiply, kernels::PIXELS))
    }
}
