//! Decodes the stubs of responses. Every count is checked against the remaining bytes. See
//! [`crate::msrpc::ndr`] for why this is our own code.

use std::num::NonZeroU32;

use strum::{EnumIter, IntoStaticStr};

use super::ContextHandle;
use crate::msrpc::Uuid;

/// The kind of an NDR error. The variant names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum NdrErrorKind {
    /// The stub ends within a value.
    #[error("the stub ends within a value")]
    Short,
    /// A count exceeds the rest of the stub.
    #[error("a count exceeds the rest of the stub")]
    Count,
    /// A varying array with an offset, which no supported interface uses, or with more elements
    /// than its maximum.
    #[error("the bounds of a varying array contradict each other")]
    Bounds,
    /// A string without NUL.
    #[error("a string is not terminated")]
    Unterminated,
    /// A string with an unpaired surrogate.
    #[error("a string is not UTF-16")]
    Encoding,
    /// A value that the interface does not allow.
    #[error("a value is not allowed by the interface")]
    Value,
    /// Unexpected bytes after the last parameter.
    #[error("unexpected bytes after the last parameter")]
    LeftOver,
}

/// Why a stub cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem}, at byte {at}")]
pub struct NdrError {
    /// The kind.
    pub problem: NdrErrorKind,
    /// The offset in the stub, in bytes.
    pub at: usize,
}

/// A pointer inside an array or a structure: its referent identifier, `None` for a null pointer
/// (C706 section 14.3.10). Identifiers must only be distinct, and no supported interface repeats
/// one (`[ptr]`), so that their values are ignored.
pub type ReferentId = Option<NonZeroU32>;

/// Decodes a stub from its first byte to its last.
#[derive(Debug, Clone)]
pub struct NdrReader<'a> {
    stub: &'a [u8],
    at: usize,
}

impl<'a> NdrReader<'a> {
    /// Starts at the beginning of a stub, to which alignment is relative.
    pub const fn new(stub: &'a [u8]) -> Self {
        Self { stub, at: 0 }
    }

    /// The number of consumed bytes, including alignment.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The number of remaining bytes.
    pub const fn remaining(&self) -> usize {
        self.stub.len() - self.at
    }

    /// An error at the current offset, for checks by the caller.
    pub const fn bad(&self, problem: NdrErrorKind) -> NdrError {
        NdrError { problem, at: self.at }
    }

    /// Skips to the next multiple of `size`: 1, 2, 4 or 8. The skipped bytes are ignored.
    ///
    /// # Errors
    /// [`NdrErrorKind::Short`].
    pub fn align(&mut self, size: usize) -> Result<(), NdrError> {
        let gap = self.at.next_multiple_of(size) - self.at;
        self.bytes(gap).map(drop)
    }

    /// The next `count` bytes, without alignment.
    ///
    /// # Errors
    /// [`NdrErrorKind::Short`].
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], NdrError> {
        let rest = &self.stub[self.at..];
        let bytes = rest.get(..count).ok_or(self.bad(NdrErrorKind::Short))?;
        self.at += count;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NdrError> {
        let rest = &self.stub[self.at..];
        let array = rest.first_chunk::<N>().ok_or(self.bad(NdrErrorKind::Short))?;
        self.at += N;
        Ok(*array)
    }

    fn aligned<const N: usize>(&mut self) -> Result<[u8; N], NdrError> {
        self.align(N)?;
        self.array()
    }

    /// A small or a byte.
    ///
    /// # Errors
    /// [`NdrErrorKind::Short`].
    pub fn u8(&mut self) -> Result<u8, NdrError> {
        self.array().map(u8::from_le_bytes)
    }

    /// A short, or an enumeration that is not a `v1_enum`.
    ///
    /// # Errors
    /// [`NdrErrorKind::Short`].
    pub fn u16(&mut self) -> Result<u16, NdrError> {
        self.aligned().map(u16::from_le_bytes)
    }

    /// A long.
    ///
    /// # Errors
    /// [`NdrErrorKind::Short`].
    pub fn u32(&mut self) -> Result<u32, NdrError> {
        self.aligned().map(u32::from_le_bytes)
    }

    /// A hyper.
    ///
    /// # Errors
    /// [`NdrErrorKind::Short`].
    pub fn u64(&mut self) -> Result<u64, NdrError> {
        self.aligned().map(u64::from_le_bytes)
    }

    /// A UUID, aligned to 4 bytes.
    ///
    /// # Errors
    /// [`NdrErrorKind::Short`].
    pub fn uuid(&mut self) -> Result<Uuid, NdrError> {
        self.align(4)?;
        self.array().map(Uuid::from_wire)
    }

    /// A context handle.
    ///
    /// # Errors
    /// [`NdrErrorKind::Short`].
    pub fn context_handle(&mut self) -> Result<ContextHandle, NdrError> {
        Ok(ContextHandle::new(self.u32()?, self.uuid()?))
    }

    /// A pointer inside an array or a structure, without its referent.
    ///
    /// # Errors
    /// [`NdrErrorKind::Short`].
    pub fn pointer(&mut self) -> Result<ReferentId, NdrError> {
        self.u32().map(NonZeroU32::new)
    }

    /// The referent of a pointer, decoded by `read`; `None` for a null pointer.
    ///
    /// # Errors
    /// The errors of `read`.
    pub fn referent<T>(
        &mut self,
        pointer: ReferentId,
        read: impl FnOnce(&mut Self) -> Result<T, NdrError>,
    ) -> Result<Option<T>, NdrError> {
        pointer.map(|_| read(self)).transpose()
    }

    /// A unique pointer parameter together with its referent.
    ///
    /// # Errors
    /// [`NdrErrorKind::Short`], and the errors of `read`.
    pub fn unique<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, NdrError>,
    ) -> Result<Option<T>, NdrError> {
        let pointer = self.pointer()?;
        self.referent(pointer, read)
    }

    /// The count of a conformant array with elements of at least `element` bytes (C706 section
    /// 14.3.3.2). The count is checked against the remaining bytes, so that memory may be allocated
    /// for it.
    ///
    /// # Errors
    /// [`NdrErrorKind::Short`], [`NdrErrorKind::Count`].
    pub fn conformance(&mut self, element: usize) -> Result<usize, NdrError> {
        let count = self.u32()?;
        self.fitting(count, element)
    }

    /// The maximum, offset and count of a conformant varying array (C706 section 14.3.3.4). Returns
    /// the number of elements, of at least `element` bytes each. The maximum may be larger than the
    /// count.
    ///
    /// # Errors
    /// [`NdrErrorKind::Short`], [`NdrErrorKind::Bounds`], [`NdrErrorKind::Count`].
    pub fn varying(&mut self, element: usize) -> Result<usize, NdrError> {
        let (maximum, offset, actual) = (self.u32()?, self.u32()?, self.u32()?);
        if offset != 0 || actual > maximum {
            return Err(self.bad(NdrErrorKind::Bounds));
        }
        self.fitting(actual, element)
    }

    fn fitting(&self, count: u32, element: usize) -> Result<usize, NdrError> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        match count.checked_mul(element.max(1)) {
            Some(size) if size <= self.remaining() => Ok(count),
            _ => Err(self.bad(NdrErrorKind::Count)),
        }
    }

    /// A conformant array whose elements are decoded by `read` and have at least `element` bytes.
    /// Use [`NdrReader::pointer`] for pointers in the elements; their referents follow the array.
    ///
    /// # Errors
    /// Those of [`NdrReader::conformance`], and of `read`.
    pub fn elements<T>(
        &mut self,
        element: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, NdrError>,
    ) -> Result<Vec<T>, NdrError> {
        let count = self.conformance(element)?;
        (0..count).map(|_| read(self)).collect()
    }

    /// A conformant array of bytes: a buffer.
    ///
    /// # Errors
    /// Those of [`NdrReader::conformance`].
    pub fn byte_array(&mut self) -> Result<&'a [u8], NdrError> {
        let count = self.conformance(1)?;
        self.bytes(count)
    }

    /// A conformant array of longs.
    ///
    /// # Errors
    /// Those of [`NdrReader::conformance`].
    pub fn u32_array(&mut self) -> Result<Vec<u32>, NdrError> {
        self.elements(4, Self::u32)
    }

    /// A `[string]` in UTF-16: conformant, varying and NUL-terminated (C706 section 14.3.4.2). The
    /// NUL is not returned.
    ///
    /// # Errors
    /// Those of [`NdrReader::varying`], [`NdrErrorKind::Unterminated`], [`NdrErrorKind::Encoding`].
    pub fn wide_string(&mut self) -> Result<String, NdrError> {
        let count = self.varying(2)?;
        let begin = self.at;
        let (units, _) = self.bytes(2 * count)?.as_chunks::<2>();
        let mut units = units.iter().map(|unit| u16::from_le_bytes(*unit));
        let end = units.clone().position(|unit| unit == 0);
        let end = end.ok_or(NdrError { problem: NdrErrorKind::Unterminated, at: begin })?;
        let chars = char::decode_utf16(units.by_ref().take(end));
        let text: Result<String, _> = chars.collect();
        text.map_err(|_| NdrError { problem: NdrErrorKind::Encoding, at: begin })
    }

    /// Checks that the whole stub was read.
    ///
    /// # Errors
    /// [`NdrErrorKind::LeftOver`].
    pub fn finish(self) -> Result<(), NdrError> {
        match self.remaining() {
            0 => Ok(()),
            _ => Err(self.bad(NdrErrorKind::LeftOver)),
        }
    }
}
