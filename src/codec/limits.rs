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
