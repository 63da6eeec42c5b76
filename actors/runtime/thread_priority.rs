//! Lower priority for threads whose work can wait.

use rustix::process::nice;

/// Increases the nice value of the calling thread by 0 to 19 (nice(2); on Linux it is per thread). When one
/// other thread wants the same core, the thread gets a quarter of it at 5, and a tenth at 10.
///
/// Without a privilege a thread cannot undo this, so it is called only on threads that keep the low
/// priority. Where the system forbids it, the priority stays.
pub fn lower_priority(by: i32) {
    let _ = nice(by);
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn only_the_calling_thread_gets_a_lower_priority() {
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
