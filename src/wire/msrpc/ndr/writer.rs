//! Encodes the parameters of a call. See [`crate::msrpc::ndr`] for why this is our own code.

use super::ContextHandle;
use crate::msrpc::Uuid;

/// The first referent identifier and the step: the values of Microsoft's clients, so that traces
/// look the same. Any distinct numbers except 0 are valid.
const FIRST_REFERENT: u32 = 0x0002_0000;
const REFERENT_STEP: u32 = 4;

/// Encodes a stub from its first byte to its last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NdrWriter {
    stub: Vec<u8>,
    /// The number of non-null pointers written.
    referents: u32,
}

impl NdrWriter {
    /// An empty stub, to whose beginning alignment is relative.
    pub const fn new() -> Self {
        Self { stub: Vec::new(), referents: 0 }
    }

    /// The encoded stub.
    pub fn finish(self) -> Vec<u8> {
        self.stub
    }

    /// Pads with zeros to the next multiple of `size`: 1, 2, 4 or 8.
    pub fn align(&mut self, size: usize) {
        self.stub.resize(self.stub.len().next_multiple_of(size), 0);
    }

    /// Bytes without alignment.
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

    /// A short, or an enumeration that is not a `v1_enum`.
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

    /// A UUID, aligned to 4 bytes.
    pub fn uuid(&mut self, uuid: &Uuid) {
        self.align(4);
        self.bytes(uuid.wire());
    }

    /// A context handle.
    pub fn context_handle(&mut self, handle: &ContextHandle) {
        self.u32(handle.attributes());
        self.uuid(handle.uuid());
    }

    /// A pointer inside an array or a structure: 0 for `None`. Returns the referent, to be written
    /// after the array or structure.
    pub fn pointer<T>(&mut self, to: Option<T>) -> Option<T> {
        match to {
            None => self.u32(0),
            Some(_) => {
                // Identifiers would repeat only after 16 GiB of pointers.
                self.u32(FIRST_REFERENT.wrapping_add(self.referents.wrapping_mul(REFERENT_STEP)));
                self.referents += 1;
            }
        }
        to
    }

    /// A unique pointer parameter and its referent, which `write` encodes.
    pub fn unique<T>(&mut self, to: Option<T>, write: impl FnOnce(&mut Self, T)) {
        if let Some(referent) = self.pointer(to) {
            write(self, referent);
        }
    }

    /// The count of a conformant array (C706 section 14.3.3.2); its elements follow.
    pub fn conformance(&mut self, count: usize) {
        self.u32(u32::try_from(count).expect("what is in memory for one call is below 4 GiB"));
    }

    /// The maximum, offset and count of a conformant varying array (C706 section 14.3.3.4); its
    /// elements follow.
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

    /// A `[string]` in UTF-16: conformant, varying and NUL-terminated (C706 section 14.3.4.2). A
    /// NUL in `text` ends the string early for the server.
    pub fn wide_string(&mut self, text: &str) {
        self.varying(text.encode_utf16().count() + 1);
        for unit in text.encode_utf16().chain([0]) {
            self.bytes(&unit.to_le_bytes());
        }
    }
}
