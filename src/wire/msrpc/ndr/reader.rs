//! Reads what a server answered: every count is held against the bytes that are really there.

use std::num::NonZeroU32;

use strum::{EnumIter, IntoStaticStr};

use super::ContextHandle;
use crate::msrpc::Uuid;

/// What is wrong in a stub. The names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, EnumIter, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum StubProblem {
    /// It ends within a value.
    #[error("the stub ends within a value")]
    Short,
    /// More elements than the rest of the stub could hold.
    #[error("a count is larger than the rest of the stub")]
    Count,
    /// A varying array does not begin at its first element, which no interface here asks for, or
    /// has more elements than its maximum.
    #[error("the bounds of a varying array contradict each other")]
    Bounds,
    /// A string has no NUL.
    #[error("a string has no end")]
    Unterminated,
    /// A string has half a surrogate pair.
    #[error("a string is not UTF-16")]
    Encoding,
    /// A value that the interface does not allow here.
    #[error("a value is not one that the interface allows")]
    Value,
    /// There is more than the interface says.
    #[error("bytes are left over")]
    LeftOver,
}

/// Why a stub cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem}, at byte {at}")]
pub struct BadStub {
    /// What is wrong.
    pub problem: StubProblem,
    /// Where, in bytes from the beginning of the stub.
    pub at: usize,
}

/// The place of a pointer inside of an array or a structure: its referent identifier, `None` for a
/// null pointer (C706 section 14.3.10). Identifiers only have to be distinct, and nothing here
/// uses one twice (`[ptr]`), so that what they are is of no account.
pub type Pointer = Option<NonZeroU32>;

/// Walks over the stub of an answer, from its first byte to its last.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    stub: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the beginning of a whole stub: alignment counts from here.
    pub const fn new(stub: &'a [u8]) -> Self {
        Self { stub, at: 0 }
    }

    /// Bytes read so far, alignment included.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Bytes not yet read.
    pub const fn remaining(&self) -> usize {
        self.stub.len() - self.at
    }

    /// A problem at the present place, for what a caller finds wrong itself.
    pub const fn bad(&self, problem: StubProblem) -> BadStub {
        BadStub { problem, at: self.at }
    }

    /// Skips to the next multiple of `size`: 1, 2, 4 or 8. What lies between means nothing.
    ///
    /// # Errors
    /// [`StubProblem::Short`].
    pub fn align(&mut self, size: usize) -> Result<(), BadStub> {
        let gap = self.at.next_multiple_of(size) - self.at;
        self.bytes(gap).map(drop)
    }

    /// The next `count` bytes, not aligned.
    ///
    /// # Errors
    /// [`StubProblem::Short`].
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], BadStub> {
        let rest = &self.stub[self.at..];
        let bytes = rest.get(..count).ok_or(self.bad(StubProblem::Short))?;
        self.at += count;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadStub> {
        let rest = &self.stub[self.at..];
        let array = rest.first_chunk::<N>().ok_or(self.bad(StubProblem::Short))?;
        self.at += N;
        Ok(*array)
    }

    fn aligned<const N: usize>(&mut self) -> Result<[u8; N], BadStub> {
        self.align(N)?;
        self.array()
    }

    /// A small or a byte.
    ///
    /// # Errors
    /// [`StubProblem::Short`].
    pub fn u8(&mut self) -> Result<u8, BadStub> {
        self.array().map(u8::from_le_bytes)
    }

    /// A short, or an enumeration that is no `v1_enum`.
    ///
    /// # Errors
    /// [`StubProblem::Short`].
    pub fn u16(&mut self) -> Result<u16, BadStub> {
        self.aligned().map(u16::from_le_bytes)
    }

    /// A long.
    ///
    /// # Errors
    /// [`StubProblem::Short`].
    pub fn u32(&mut self) -> Result<u32, BadStub> {
        self.aligned().map(u32::from_le_bytes)
    }

    /// A hyper.
    ///
    /// # Errors
    /// [`StubProblem::Short`].
    pub fn u64(&mut self) -> Result<u64, BadStub> {
        self.aligned().map(u64::from_le_bytes)
    }

    /// A UUID, which is aligned like a long.
    ///
    /// # Errors
    /// [`StubProblem::Short`].
    pub fn uuid(&mut self) -> Result<Uuid, BadStub> {
        self.align(4)?;
        self.array().map(Uuid::from_wire)
    }

    /// A context handle.
    ///
    /// # Errors
    /// [`StubProblem::Short`].
    pub fn context_handle(&mut self) -> Result<ContextHandle, BadStub> {
        Ok(ContextHandle::new(self.u32()?, self.uuid()?))
    }

    /// A pointer inside of an array or a structure, without what it points to.
    ///
    /// # Errors
    /// [`StubProblem::Short`].
    pub fn pointer(&mut self) -> Result<Pointer, BadStub> {
        self.u32().map(NonZeroU32::new)
    }

    /// What a pointer read earlier points to, read by `read`; `None` when it was null.
    ///
    /// # Errors
    /// What `read` finds wrong.
    pub fn referent<T>(
        &mut self,
        pointer: Pointer,
        read: impl FnOnce(&mut Self) -> Result<T, BadStub>,
    ) -> Result<Option<T>, BadStub> {
        pointer.map(|_| read(self)).transpose()
    }

    /// A parameter that is a unique pointer, and at once what it points to.
    ///
    /// # Errors
    /// [`StubProblem::Short`], and what `read` finds wrong.
    pub fn unique<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, BadStub>,
    ) -> Result<Option<T>, BadStub> {
        let pointer = self.pointer()?;
        self.referent(pointer, read)
    }

    /// The count before a conformant array whose elements have at least `element` bytes each
    /// (C706 section 14.3.3.2). What follows is surely there, so it may be allocated for.
    ///
    /// # Errors
    /// [`StubProblem::Short`], [`StubProblem::Count`].
    pub fn conformance(&mut self, element: usize) -> Result<usize, BadStub> {
        let count = self.u32()?;
        self.fitting(count, element)
    }

    /// The maximum, offset and count before an array that is conformant and varying (C706 section
    /// 14.3.3.4): how many elements follow, of at least `element` bytes each. The maximum is what
    /// the server would have room for, and may be larger than what it sent.
    ///
    /// # Errors
    /// [`StubProblem::Short`], [`StubProblem::Bounds`], [`StubProblem::Count`].
    pub fn varying(&mut self, element: usize) -> Result<usize, BadStub> {
        let (maximum, offset, actual) = (self.u32()?, self.u32()?, self.u32()?);
        if offset != 0 || actual > maximum {
            return Err(self.bad(StubProblem::Bounds));
        }
        self.fitting(actual, element)
    }

    fn fitting(&self, count: u32, element: usize) -> Result<usize, BadStub> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        match count.checked_mul(element.max(1)) {
            Some(size) if size <= self.remaining() => Ok(count),
            _ => Err(self.bad(StubProblem::Count)),
        }
    }

    /// A conformant array, each element read by `read` and at least `element` bytes long. Pointers
    /// in the elements are read as [`Reader::pointer`]; what they point to follows the array.
    ///
    /// # Errors
    /// Those of [`Reader::conformance`], and what `read` finds wrong.
    pub fn elements<T>(
        &mut self,
        element: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, BadStub>,
    ) -> Result<Vec<T>, BadStub> {
        let count = self.conformance(element)?;
        (0..count).map(|_| read(self)).collect()
    }

    /// A conformant array of bytes: a buffer.
    ///
    /// # Errors
    /// Those of [`Reader::conformance`].
    pub fn byte_array(&mut self) -> Result<&'a [u8], BadStub> {
        let count = self.conformance(1)?;
        self.bytes(count)
    }

    /// A conformant array of longs.
    ///
    /// # Errors
    /// Those of [`Reader::conformance`].
    pub fn u32_array(&mut self) -> Result<Vec<u32>, BadStub> {
        self.elements(4, Self::u32)
    }

    /// A `[string]` of UTF-16 characters: conformant, varying, and ended by a NUL, which is not
    /// part of what is returned (C706 section 14.3.4.2).
    ///
    /// # Errors
    /// Those of [`Reader::varying`], [`StubProblem::Unterminated`], [`StubProblem::Encoding`].
    pub fn wide_string(&mut self) -> Result<String, BadStub> {
        let count = self.varying(2)?;
        let begin = self.at;
        let (units, _) = self.bytes(2 * count)?.as_chunks::<2>();
        let mut units = units.iter().map(|unit| u16::from_le_bytes(*unit));
        let end = units.clone().position(|unit| unit == 0);
        let end = end.ok_or(BadStub { problem: StubProblem::Unterminated, at: begin })?;
        let chars = char::decode_utf16(units.by_ref().take(end));
        let text: Result<String, _> = chars.collect();
        text.map_err(|_| BadStub { problem: StubProblem::Encoding, at: begin })
    }

    /// That everything was read.
    ///
    /// # Errors
    /// [`StubProblem::LeftOver`].
    pub fn finish(self) -> Result<(), BadStub> {
        match self.remaining() {
            0 => Ok(()),
            _ => Err(self.bad(StubProblem::LeftOver)),
        }
    }
}
