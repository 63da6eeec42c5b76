//! The metrics of history queries.

use rollcall_runtime::metric::{Counter, Histogram, Metric};
use rollcall_runtime::prometheus::buckets::QUERYING;

pub(crate) static HISTORY_QUERIES: Counter<1> = Counter::new(
    "rollcall_history_queries_total",
    ["outcome"],
    "Queries about the past: answered, unknown, invalid, too_broad or unavailable",
);

pub(crate) static HISTORY_QUERY_SECONDS: Histogram<0> = Histogram::new(
    "rollcall_history_query_seconds",
    [],
    "Time to answer a query about the past from the journal",
    QUERYING,
);

/// The declarations, in the order of the documentation.
pub const METRICS: &[Metric] =
    &[HISTORY_QUERIES.declaration(), HISTORY_QUERY_SECONDS.declaration()];
