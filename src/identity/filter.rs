//! Which sessions an enforcement point wants to hear of.

/// .
#[derive(Debug)]
pub struct Filter;
