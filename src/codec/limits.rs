//! How much one request may bring, whatever its format.

/// Rows in one request: a thousand times the batches that the contract's examples send.
pub const ROWS_MAX: usize = 1 << 20;

/// Columns in one row or schema, wanted or not: tables for models are tens of columns wide,
/// seldom hundreds.
pub const COLUMNS_MAX: usize = 1024;

/// Values in all wanted columns together: 256 MiB of `float`, more than a small board can give
/// to one request.
pub const VALUES_MAX: usize = 1 << 26;

/// Bytes in a column's name: exported graphs make long names, a few hundred bytes at most.
pub const NAME_BYTES_MAX: usize = 512;

/// Lists within lists in one value: twice the dimensions of the largest tensors in use.
pub const NESTING_MAX: usize = 8;

/// Bytes that the compressed buffers of one request become, dictionaries with every extension
/// of theirs included: those of as many `float` values as a request may have.
pub const DECOMPRESSED_BYTES_MAX: usize = VALUES_MAX * size_of::<f32>();

/// Bytes of text that one request's Arrow columns become, with the place each string takes: the
/// rows of a dictionary or of views can name one long text a million times.
pub const TEXT_BYTES_MAX: usize = DECOMPRESSED_BYTES_MAX;
