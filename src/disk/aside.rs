//! A thread that writes what nobody waits for: it gives way to those that somebody does wait for.

use rustix::process::nice;

/// How far it steps back (setpriority(2)): beside a thread of the usual priority it gets a tenth of a
/// CPU, and the other never waits for it. At the least there is, 19, it would get a seventieth,
/// too little for a small board whose other programs never rest.
const NICE: i32 = 10;

/// The thread that calls gives way to the process's others from now on. Where the system does not let
/// it, as seldom as that is, nothing changes.
pub fn step_aside() {
    // On Linux a priority is a thread's, not a process's.
    let _ = nice(NICE);
}

#[cfg(test)]
mod tests {
    use super::{NICE, step_aside};

    #[test]
    fn a_thread_steps_aside_alone() {
        let nice = || -> i32 {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            // The second field, in brackets, may have blanks; the 19th of all is the priority.
            stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().parse().unwrap()
        };
        let before = nice();
        let aside = std::thread::spawn(move || {
            step_aside();
            nice()
        });
        assert_eq!(aside.join().unwrap(), (before + NICE).min(19));
        assert_eq!(nice(), before);
    }
}
