//! Reassembles the fragments of a response, up to a limit. C706 section 12.6.3.

use super::pdu::{PduErrorKind, PduFlags, PduType};
use super::{AssociationError, PduError};

/// The response received so far.
#[derive(Debug)]
pub(super) struct Reassembly {
    limit: usize,
    /// `None` before the first fragment.
    stub: Option<Vec<u8>>,
}

impl Reassembly {
    /// For responses of at most `limit` bytes.
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, stub: None }
    }

    /// Drops the received fragments.
    pub(super) fn clear(&mut self) {
        self.stub = None;
    }

    /// Adds the next fragment; returns the response after the last one. Memory grows with the
    /// received bytes, not with the announced length.
    pub(super) fn add(
        &mut self,
        flags: PduFlags,
        part: &[u8],
    ) -> Result<Option<Vec<u8>>, AssociationError> {
        if flags.has(PduFlags::FIRST) == self.stub.is_some() {
            return Err(PduError::of(PduType::Response, PduErrorKind::Order).into());
        }
        let stub = self.stub.get_or_insert_default();
        if part.len() > self.limit - stub.len() {
            self.clear();
            return Err(AssociationError::ReplyTooLong(self.limit));
        }
        stub.extend_from_slice(part);
        Ok(if flags.has(PduFlags::LAST) { self.stub.take() } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order() -> AssociationError {
        PduError::of(PduType::Response, PduErrorKind::Order).into()
    }

    #[test]
    fn response_begins_once_and_ends_once() {
        let mut reassembly = Reassembly::new(10);
        assert_eq!(reassembly.add(PduFlags::NONE, b"a"), Err(order()));
        assert_eq!(reassembly.add(PduFlags::LAST, b"a"), Err(order()));
        assert_eq!(reassembly.add(PduFlags::FIRST, b"a"), Ok(None));
        assert_eq!(reassembly.add(PduFlags::FIRST, b"b"), Err(order()));
        assert_eq!(reassembly.add(PduFlags::LAST, b"c"), Ok(Some(b"ac".to_vec())));
        assert_eq!(reassembly.add(PduFlags::WHOLE, b""), Ok(Some(Vec::new())));
    }

    #[test]
    fn limit_applies_to_the_whole_response() {
        let mut reassembly = Reassembly::new(4);
        assert_eq!(reassembly.add(PduFlags::FIRST, b"abc"), Ok(None));
        assert_eq!(reassembly.add(PduFlags::NONE, b"d"), Ok(None));
        assert_eq!(reassembly.add(PduFlags::LAST, b"e"), Err(AssociationError::ReplyTooLong(4)));
        assert_eq!(reassembly.add(PduFlags::WHOLE, b"abcd"), Ok(Some(b"abcd".to_vec())));
        assert_eq!(
            reassembly.add(PduFlags::WHOLE, b"abcde"),
            Err(AssociationError::ReplyTooLong(4))
        );
    }

    proptest! {
        #[test]
        fn fragments_of_any_size_are_reassembled(
            stub in proptest::collection::vec(any::<u8>(), 1..300),
            size in 1_usize..100,
        ) {
            let mut reassembly = Reassembly::new(stub.len());
            let count = stub.len().div_ceil(size);
            for (number, part) in stub.chunks(size).enumerate() {
                let first = if number == 0 { PduFlags::FIRST } else { PduFlags::NONE };
                let last = if number + 1 == count { PduFlags::LAST } else { PduFlags::NONE };
                let wanted = (number + 1 == count).then(|| stub.clone());
                prop_assert_eq!(reassembly.add(first.and(last), part), Ok(wanted));
            }
        }
    }
}
