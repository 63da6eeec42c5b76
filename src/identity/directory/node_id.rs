//! The number of a node in the graph of accounts and groups.

/// The number of a node. It is reused once no group lists the node any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(pub(super) u32);
