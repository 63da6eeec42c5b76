//! Threads whose work can wait give way to those that somebody waits for.

use rustix::process::nice;

/// Makes the calling thread nicer than it was, by 0 to 19 (nice(2); on Linux it is the thread's own). Of a
/// core that one other thread wants, it gets a quarter when it is nicer by 5, a tenth when by 10.
///
/// A thread cannot take that back without a privilege, so whatever calls this is on a thread that ends or
/// stays so. Where it is forbidden, the work is done all the same.
pub fn lower_priority(by: i32) {
    let _ = nice(by);
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn only_the_thread_that_asks_for_it_gives_way() {
        let priority = || getpriority_process(None).unwrap();
        let before = priority();
        let other = std::thread::spawn(move || {
            lower_priority(5);
            priority()
        });
        assert_eq!(other.join().unwrap(), (before + 5).min(19));
        assert_eq!(priority(), before);
    }
}
