//! NDR, the encoding of call parameters.
//!
//! C706 chapter 14, transfer syntax version 2.0, little-endian. Values are aligned to their own
//! size, relative to the beginning of the stub. The referent of a pointer parameter follows at once
//! ([`NdrReader::unique`], [`NdrWriter::unique`]). The referents of pointers inside an array or a
//! structure follow after the array or structure ([`NdrReader::pointer`] and then
//! [`NdrReader::referent`], [`NdrWriter::pointer`] and then the referents in the same order;
//! section 14.3.12.3).
//!
//! The codec is our own because the RPC crates for Rust bring a runtime and sockets along, and this
//! crate needs only the encoding, with every count of an untrusted server checked before memory is
//! allocated.

mod handle;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use handle::ContextHandle;
pub use reader::{NdrError, NdrErrorKind, NdrReader, ReferentId};
pub use writer::NdrWriter;
