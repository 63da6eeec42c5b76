//! The result of a self-test: one connection to a remote system, step by step.

/// What a self-test found.
#[derive(Debug)]
pub struct TestReport<E> {
    /// What worked, one line for each step.
    pub lines: Vec<String>,
    /// The error that ended the test, if any.
    pub failure: Option<E>,
}
