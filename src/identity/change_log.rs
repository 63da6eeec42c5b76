//! Changes by revision, compacted to the latest of each address, read by cursor.

/// .
#[derive(Debug)]
pub struct ChangeLog;
/// .
#[derive(Debug)]
pub struct Cursor;
/// .
#[derive(Debug)]
pub struct Page;
