//! What both static programs allocate with: mimalloc, where musl's own allocator would be.

/// musl's has one lock for all threads and gives a large block back to the kernel at once, so that each
/// tensor of a request is cleared page by page again. On other C libraries theirs is kept.
#[cfg(target_env = "musl")]
#[global_allocator]
static MIMALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;
