//! Reads little-endian values from received bytes, with bounds checks.

/// The bytes end before this offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnexpectedEnd {
    /// The offset from the beginning of the received bytes.
    pub(super) at: usize,
}

/// A read position in received bytes, limited to a part of them.
#[derive(Debug, Clone)]
pub(super) struct ByteReader<'a> {
    all: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> ByteReader<'a> {
    pub(super) const fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0, end: all.len() }
    }

    /// The part `at..at + count`.
    pub(super) fn within(all: &'a [u8], at: usize, count: usize) -> Result<Self, UnexpectedEnd> {
        let mut bytes = Self { all, at, end: all.len() };
        bytes.part(count)
    }

    /// The offset of the next byte.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], UnexpectedEnd> {
        // A part may claim to begin after the end.
        let end = self.at.checked_add(count).filter(|end| *end <= self.end);
        let end = end.ok_or(UnexpectedEnd { at: self.at })?;
        let taken = self.all.get(self.at..end).ok_or(UnexpectedEnd { at: self.at })?;
        self.at = end;
        Ok(taken)
    }

    /// The next `count` bytes as a part with the same offsets.
    pub(super) fn part(&mut self, count: usize) -> Result<Self, UnexpectedEnd> {
        let at = self.at;
        self.take(count)?;
        Ok(Self { all: self.all, at, end: at + count })
    }

    /// The next byte, without advancing.
    pub(super) fn peek(&self) -> Result<u8, UnexpectedEnd> {
        self.clone().u8()
    }

    /// The bytes from here to the end of the part.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.all.get(self.at..self.end).unwrap_or_default()
    }

    pub(super) fn u8(&mut self) -> Result<u8, UnexpectedEnd> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, UnexpectedEnd> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, UnexpectedEnd> {
        self.array().map(u32::from_le_bytes)
    }

    /// A 32-bit length or count.
    pub(super) fn size(&mut self) -> Result<usize, UnexpectedEnd> {
        self.u32().map(|size| usize::try_from(size).unwrap_or(usize::MAX))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], UnexpectedEnd> {
        let at = self.at;
        self.take(N)?.first_chunk().copied().ok_or(UnexpectedEnd { at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_beyond_the_end_are_rejected() {
        assert_eq!(ByteReader::within(&[1, 2], 9, 0).err(), Some(UnexpectedEnd { at: 9 }));
        assert_eq!(
            ByteReader::within(&[1, 2], usize::MAX, 2).err(),
            Some(UnexpectedEnd { at: usize::MAX })
        );
        assert!(ByteReader::within(&[1, 2], 2, 0).is_ok());
    }

    #[test]
    fn reads_beyond_a_part_are_rejected() {
        let mut bytes = ByteReader::new(&[1, 2, 0, 3, 0, 0, 0, 9]);
        assert_eq!((bytes.peek(), bytes.u8(), bytes.u16()), (Ok(1), Ok(1), Ok(2)));
        let mut part = bytes.part(4).unwrap();
        assert_eq!((part.at(), part.rest().len()), (3, 4));
        assert_eq!(part.take(5), Err(UnexpectedEnd { at: 3 }));
        assert_eq!(part.u32(), Ok(3));
        assert_eq!((part.peek(), part.rest()), (Err(UnexpectedEnd { at: 7 }), &[][..]));
        assert_eq!(bytes.take(2), Err(UnexpectedEnd { at: 7 }));
        assert_eq!((bytes.u8(), bytes.rest().len()), (Ok(9), 0));
        assert!(ByteReader::within(&[0; 4], 2, 3).is_err());
        assert!(ByteReader::within(&[0; 4], usize::MAX, 1).is_err());
        assert_eq!(ByteReader::within(&[0, 0, 7, 0], 2, 1).unwrap().rest(), [7]);
    }
}
