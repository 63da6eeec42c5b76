//! A stream says the same whatever the pieces it arrives in, and never holds more than its limit.
//! The first byte of the input chooses the limit, the second the pieces.

use rollcall_wire::syslog::{FrameError, SyslogFramer};

type Said = Vec<Result<Vec<u8>, FrameError>>;

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>, limit: usize) -> Said {
    let mut framer = SyslogFramer::new(limit);
    let mut said = Said::new();
    for piece in pieces {
        framer.feed(piece);
        while let Some(frame) = framer.next_frame() {
            said.push(frame.map(<[u8]>::to_vec));
        }
        assert!(framer.next_frame().is_none(), "more came out of nothing");
    }
    said.extend(framer.finish().map(|frame| frame.map(<[u8]>::to_vec)));
    if framer.is_lost() {
        assert_eq!(said.last(), Some(&Err(FrameError::InvalidCount)), "lost, and went on");
    }
    said
}

/// Pieces of 1 to 64 bytes, of ever changing size.
fn pieces(bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let (mut rest, mut state) = (bytes, u32::from(seed) | 1);
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (piece, after) = rest.split_at(rest.len().min(1 + (state >> 26) as usize));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let [limit, seed, bytes @ ..] = data else { return };
    let limit = 8 + usize::from(*limit);
    let whole = read(std::iter::once(bytes), limit);
    assert_eq!(read(pieces(bytes, *seed), limit), whole, "the pieces are told apart");
    let frames = whole.iter().filter_map(|frame| frame.as_ref().ok());
    assert!(frames.clone().all(|frame| !frame.is_empty() && frame.len() <= limit), "no frame");
    assert!(frames.map(Vec::len).sum::<usize>() <= bytes.len(), "bytes from nowhere");
}
