//! Binary XML by the examples of the specification, and as a hostile server may write it.
