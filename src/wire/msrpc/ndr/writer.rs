//! Writes the parameters of a call.

use super::ContextHandle;
use crate::msrpc::Uuid;

/// The first referent identifier, and the distance between two: what Microsoft's own clients use,
/// so that a trace of ours reads as one of theirs. Any distinct numbers but 0 would do.
const FIRST_REFERENT: u32 = 0x0002_0000;
const REFERENT_STEP: u32 = 4;

/// Builds the stub of a call, from its first byte to its last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writer {
    stub: Vec<u8>,
    /// Pointers written so far that are not null.
    referents: u32,
}

impl Writer {
    /// An empty stub: alignment counts from here.
    pub const fn new() -> Self {
        Self { stub: Vec::new(), referents: 0 }
    }

    /// The stub as it is.
    pub fn finish(self) -> Vec<u8> {
        self.stub
    }

    /// Fills up with zeros to the next multiple of `size`: 1, 2, 4 or 8.
    pub fn align(&mut self, size: usize) {
        self.stub.resize(self.stub.len().next_multiple_of(size), 0);
    }

    /// Bytes as they are, not aligned.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.stub.extend_from_slice(bytes);
    }

    fn aligned<const N: usize>(&mut self, bytes: [u8; N]) {
        self.align(N);
        self.bytes(&bytes);
    }

    /// A small or a byte.
    pub fn u8(&mut self, value: u8) {
        self.stub.push(value);
    }

    /// A short, or an enumeration that is no `v1_enum`.
    pub fn u16(&mut self, value: u16) {
        self.aligned(value.to_le_bytes());
    }

    /// A long.
    pub fn u32(&mut self, value: u32) {
        self.aligned(value.to_le_bytes());
    }

    /// A hyper.
    pub fn u64(&mut self, value: u64) {
        self.aligned(value.to_le_bytes());
    }

    /// A UUID, which is aligned like a long.
    pub fn uuid(&mut self, uuid: &Uuid) {
        self.align(4);
        self.bytes(uuid.wire());
    }

    /// A context handle.
    pub fn context_handle(&mut self, handle: &ContextHandle) {
        self.u32(handle.attributes());
        self.uuid(handle.uuid());
    }

    /// A pointer inside of an array or a structure: 0 for `None`. What it points to is returned,
    /// to be written when the array or the structure is complete.
    pub fn pointer<T>(&mut self, to: Option<T>) -> Option<T> {
        match to {
            None => self.u32(0),
            Some(_) => {
                // Wrapping could only repeat a number after 16 GiB of pointers.
                self.u32(FIRST_REFERENT.wrapping_add(self.referents.wrapping_mul(REFERENT_STEP)));
                self.referents += 1;
            }
        }
        to
    }

    /// A parameter that is a unique pointer, and at once what it points to, written by `write`.
    pub fn unique<T>(&mut self, to: Option<T>, write: impl FnOnce(&mut Self, T)) {
        if let Some(referent) = self.pointer(to) {
            write(self, referent);
        }
    }

    /// The count before a conformant array (C706 section 14.3.3.2); its elements follow.
    pub fn conformance(&mut self, count: usize) {
        self.u32(u32::try_from(count).expect("what is in memory for one call is below 4 GiB"));
    }

    /// The maximum, offset and count before an array that is conformant and varying (C706 section
    /// 14.3.3.4); its elements follow.
    pub fn varying(&mut self, count: usize) {
        self.conformance(count);
        self.u32(0);
        self.conformance(count);
    }

    /// A conformant array of bytes: a buffer.
    pub fn byte_array(&mut self, bytes: &[u8]) {
        self.conformance(bytes.len());
        self.bytes(bytes);
    }

    /// A conformant array of longs.
    pub fn u32_array(&mut self, values: &[u32]) {
        self.conformance(values.len());
        for value in values {
            self.u32(*value);
        }
    }

    /// A `[string]` of UTF-16 characters: conformant, varying, ended by a NUL (C706 section
    /// 14.3.4.2). A NUL within `text` would end it early for the server.
    pub fn wide_string(&mut self, text: &str) {
        self.varying(text.encode_utf16().count() + 1);
        for unit in text.encode_utf16().chain([0]) {
            self.bytes(&unit.to_le_bytes());
        }
    }
}
