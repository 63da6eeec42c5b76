//! Splits the bytes of a connection into PDUs.

use super::PduError;
use super::pdu::{PduErrorKind, PduHeader};

/// A framer for one connection. It buffers at most one PDU and one read.
#[derive(Debug)]
pub(super) struct PduFramer {
    /// The maximum PDU size: `max_recv_frag`.
    limit: usize,
    buffer: Vec<u8>,
    /// The consumed bytes of `buffer`.
    used: usize,
}

impl PduFramer {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, buffer: Vec::new(), used: 0 }
    }

    /// Adds received bytes. Call [`PduFramer::next_pdu`] until it returns `None` before the next
    /// read.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete PDU; `None` when more bytes are needed. An invalid header is reported
    /// before the rest of the PDU arrives. An error is final.
    pub(super) fn next_pdu(&mut self) -> Result<Option<Vec<u8>>, PduError> {
        let rest = &self.buffer[self.used..];
        let Some(header) = rest.first_chunk() else { return Ok(None) };
        let header = PduHeader::read(header)?;
        if header.length < PduHeader::SIZE || header.length > self.limit {
            return Err(PduError::of(header.kind, PduErrorKind::Length));
        }
        let Some(pdu) = rest.get(..header.length) else { return Ok(None) };
        self.used += header.length;
        Ok(Some(pdu.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All PDUs of a connection that arrives in chunks of `size`, and the final status.
    fn read(bytes: &[u8], limit: usize, size: usize) -> (Vec<Vec<u8>>, Result<(), PduError>) {
        let mut framer = PduFramer::new(limit);
        let mut pdus = Vec::new();
        for piece in bytes.chunks(size) {
            framer.feed(piece);
            loop {
                match framer.next_pdu() {
                    Ok(Some(pdu)) => pdus.push(pdu),
                    Ok(None) => break,
                    Err(bad) => return (pdus, Err(bad)),
                }
            }
            assert!(framer.buffer.len() - framer.used < limit, "holds more than one PDU");
        }
        (pdus, Ok(()))
    }

    fn pdu(body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(16 + body.len()).unwrap().to_le_bytes();
        let mut pdu = vec![5, 0, 2, 3, 16, 0, 0, 0, length[0], length[1], 0, 0, 1, 0, 0, 0];
        pdu.extend_from_slice(body);
        pdu
    }

    #[test]
    fn impossible_length_is_detected_at_once() {
        for length in [0, 15, 65, 0xffff_u16] {
            let mut bad = pdu(b"");
            bad[8..10].copy_from_slice(&length.to_le_bytes());
            let (pdus, end) = read(&[pdu(b"a"), bad].concat(), 64, 1);
            assert_eq!(pdus, [pdu(b"a")]);
            assert_eq!(end.unwrap_err().problem, PduErrorKind::Length);
        }
        assert_eq!(read(&pdu(&[7; 48]), 64, 5), (vec![pdu(&[7; 48])], Ok(())));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn pdus_round_trip_in_any_chunking(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..6),
            size in 1_usize..300,
        ) {
            let pdus: Vec<Vec<u8>> = bodies.iter().map(|body| pdu(body)).collect();
            prop_assert_eq!(read(&pdus.concat(), 200, size), (pdus, Ok(())));
        }

        #[test]
        fn result_does_not_depend_on_chunking(
            bytes in proptest::collection::vec(any::<u8>(), 1..200),
            size in 1_usize..50,
        ) {
            prop_assert_eq!(read(&bytes, 100, size), read(&bytes, 100, bytes.len()));
        }
    }
}
