//! Panics that go through functions of each other, caught in the end: each guard on the way is dropped, or this ends with 1.
//!
//! `cross/unwinds` compiles it as `cross/build` does the engine, as functions that are made small.

use zstd_sys as _; // by which tables are unpacked

/// Where `cross/cold` finds what starts.
pub mod engine {
    pub mod doctor {
        use std::backtrace::Backtrace;
        use std::hint::black_box;
        use std::panic::catch_unwind;
        use std::process::ExitCode;
        use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

        /// Walks up the stack, then panics by each way that is there, and tells how many frames were seen, how many panics
        /// caught and how many guards dropped.
        pub fn examine() -> ExitCode {
            std::panic::set_hook(Box::new(|_| {}));
            const DEEPEST: usize = 50;
            // Before there is a panic, as errors do that are asked where they come from.
            let frames = seen(DEEPEST);
            let mut caught = 0;
            for depth in 0..DEEPEST {
                caught += usize::from(catch_unwind(|| down(depth, &[])).is_err());
                caught += usize::from(catch_unwind(|| nothing(depth)).is_err());
                caught += usize::from(catch_unwind(|| told(depth)).is_err());
            }
            let threads: Vec<_> = (0..DEEPEST).map(|depth| std::thread::spawn(move || down(depth, &[]))).collect();
            for thread in threads {
                caught += usize::from(thread.join().is_err());
            }
            // Of each `down` as many guards as it is deep and as many of what it calls, and its own.
            let wanted = (0..DEEPEST).map(|depth| 2 * (2 * depth + 1) + 2).sum();
            let found = (caught, DROPPED.load(SeqCst));
            println!("{} of {} panics caught, {} of {wanted} guards dropped", found.0, 4 * DEEPEST, found.1);
            println!("{frames} frames seen from {DEEPEST} calls");
            ExitCode::from(u8::from(found != (4 * DEEPEST, wanted) || frames < DEEPEST))
        }

        /// How many frames a backtrace has that is taken so many calls further down.
        #[inline(never)]
        fn seen(depth: usize) -> usize {
            if depth == 0 {
                return Backtrace::force_capture().to_string().lines().count();
            }
            black_box(seen(depth - 1))
        }

        static DROPPED: AtomicUsize = AtomicUsize::new(0);

        struct Guard(Vec<usize>);

        impl Drop for Guard {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, SeqCst);
            }
        }

        trait Step {
            fn step(&self, depth: usize, values: &[usize]) -> usize;
        }

        struct Even;
        struct Odd(String);

        impl Step for Even {
            #[inline(never)]
            fn step(&self, depth: usize, values: &[usize]) -> usize {
                let guard = Guard(vec![depth; depth + 1]);
                down(depth, &guard.0) + guard.0.len() + values.len()
            }
        }

        impl Step for Odd {
            #[inline(never)]
            fn step(&self, depth: usize, values: &[usize]) -> usize {
                let guard = Guard(vec![depth; depth + 2]);
                down(depth, &guard.0) * guard.0.len() + values.len() + self.0.len()
            }
        }

        /// An index that is not there, when it is deep enough.
        #[inline(never)]
        fn down(depth: usize, values: &[usize]) -> usize {
            let _guard = Guard(Vec::new());
            if depth == 0 {
                return values[black_box(1000)];
            }
            let step: Box<dyn Step> = if depth.is_multiple_of(2) { Box::new(Even) } else { Box::new(Odd(depth.to_string())) };
            step.step(depth - 1, values)
        }

        #[inline(never)]
        fn nothing(depth: usize) -> usize {
            let _guard = Guard(vec![depth]);
            let value: Option<usize> = black_box(None);
            value.unwrap() + depth
        }

        #[inline(never)]
        fn told(depth: usize) -> String {
            let _guard = Guard(vec![depth]);
            assert!(black_box(depth) == usize::MAX, "it is {depth}");
            format!("{depth}")
        }
    }
}
