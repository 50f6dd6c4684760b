//! What both static programs allocate with: mimalloc, where musl's own allocator would be.

use std::sync::OnceLock;

/// musl's has one lock for all threads and gives a large block back to the kernel at once, so that each
/// tensor of a request is cleared page by page again. On other C libraries theirs is kept.
#[cfg(target_env = "musl")]
#[global_allocator]
static MIMALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How freed memory is given back in a program that has chosen an allocator itself.
static OTHERWISE: OnceLock<fn()> = OnceLock::new();

#[cfg(target_env = "musl")]
#[expect(unsafe_code, reason = "one function of the allocator's, which asks for nothing")]
// SAFETY: this is how `mimalloc.h` declares it, and any thread may call it at any time.
unsafe extern "C" {
    safe fn mi_collect(force: bool);
}

/// Gives what was freed back to the system now, where the allocator would keep it for a while: what is allocated
/// next may be of another size, and then both would be there. Takes some microseconds where there is nothing.
pub fn give_back() {
    #[cfg(target_env = "musl")]
    mi_collect(true);
    if let Some(give_back) = OTHERWISE.get() {
        give_back();
    }
}

/// Lets [`give_back`] call this, too, in a program whose allocator is none of ours.
pub fn gives_back_by(give_back: fn()) {
    let _ = OTHERWISE.set(give_back); // the first one stays
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    static CALLS: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn memory_is_given_back_the_way_that_a_program_tells_first() {
        give_back(); // nobody has told any
        gives_back_by(|| {
            CALLS.fetch_add(1, Relaxed);
        });
        gives_back_by(|| panic!("the first one stays"));
        let before = CALLS.load(Relaxed); // other tests load models meanwhile
        give_back();
        assert!(before < CALLS.load(Relaxed));
    }
}
