//! NDR: how the parameters of a remote call become bytes, and bytes parameters again.
//!
//! C706 chapter 14, transfer syntax version 2.0, little-endian. All is aligned to its own size,
//! counted from the beginning of the stub. A parameter that is a pointer is followed at once by
//! what it points to ([`Reader::unique`], [`Writer::unique`]); pointers inside of an array or a
//! structure come first, and what they point to follows when the array or structure is complete
//! ([`Reader::pointer`] and then [`Reader::referent`], [`Writer::pointer`] and then the referents
//! in the same order; section 14.3.12.3).

mod handle;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use handle::ContextHandle;
pub use reader::{BadStub, Pointer, Reader, StubProblem};
pub use writer::Writer;
