//! Where one PDU ends and the next begins on a connection.

use super::BadPdu;
use super::pdu::{Header, PduProblem};

/// Cuts the bytes of one connection into PDUs. It holds no more than one PDU and one read.
#[derive(Debug)]
pub(super) struct Framer {
    /// The longest PDU that is taken: `max_recv_frag`.
    limit: usize,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were handed out.
    used: usize,
}

impl Framer {
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, buffer: Vec::new(), used: 0 }
    }

    /// Takes what was read. Call [`Framer::next_pdu`] until it has no more before the next read.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole PDU, `None` when more bytes are needed. A header that cannot be is found
    /// before anything behind it is waited for; after an error there is no way to go on.
    pub(super) fn next_pdu(&mut self) -> Result<Option<Vec<u8>>, BadPdu> {
        let rest = &self.buffer[self.used..];
        let Some(header) = rest.first_chunk() else { return Ok(None) };
        let header = Header::read(header)?;
        if header.length < Header::SIZE || header.length > self.limit {
            return Err(BadPdu::of(header.kind, PduProblem::Length));
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

    /// All PDUs of a connection that comes in pieces of `size`, and how it ended.
    fn read(bytes: &[u8], limit: usize, size: usize) -> (Vec<Vec<u8>>, Result<(), BadPdu>) {
        let mut framer = Framer::new(limit);
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
    fn a_length_that_cannot_be_is_found_at_once() {
        for length in [0, 15, 65, 0xffff_u16] {
            let mut bad = pdu(b"");
            bad[8..10].copy_from_slice(&length.to_le_bytes());
            let (pdus, end) = read(&[pdu(b"a"), bad].concat(), 64, 1);
            assert_eq!(pdus, [pdu(b"a")]);
            assert_eq!(end.unwrap_err().problem, PduProblem::Length);
        }
        assert_eq!(read(&pdu(&[7; 48]), 64, 5), (vec![pdu(&[7; 48])], Ok(())));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn pdus_come_back_whole_whatever_the_pieces(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..6),
            size in 1_usize..300,
        ) {
            let pdus: Vec<Vec<u8>> = bodies.iter().map(|body| pdu(body)).collect();
            prop_assert_eq!(read(&pdus.concat(), 200, size), (pdus, Ok(())));
        }

        #[test]
        fn any_bytes_end_the_same_in_any_pieces(
            bytes in proptest::collection::vec(any::<u8>(), 1..200),
            size in 1_usize..50,
        ) {
            prop_assert_eq!(read(&bytes, 100, size), read(&bytes, 100, bytes.len()));
        }
    }
}
