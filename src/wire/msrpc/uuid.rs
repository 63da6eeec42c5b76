//! UUIDs of interfaces, objects and handles.

use std::fmt;

/// A UUID in the byte order of a little-endian peer (C706 appendix A): the first three fields are
/// integers, the rest is bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// All zero: no object or handle.
    pub const NIL: Self = Self([0; 16]);

    /// From the fields in text order: `time_low-time_mid-time_hi-rest`, where `rest` is the part
    /// after the third hyphen.
    pub const fn new(time_low: u32, time_mid: u16, time_hi: u16, rest: u64) -> Self {
        let (a, b, c) = (time_low.to_le_bytes(), time_mid.to_le_bytes(), time_hi.to_le_bytes());
        let r = rest.to_be_bytes();
        Self([
            a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], r[0], r[1], r[2], r[3], r[4], r[5],
            r[6], r[7],
        ])
    }

    /// From bytes as received.
    pub const fn from_wire(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes to send.
    pub const fn wire(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        for (written, at) in ORDER.into_iter().enumerate() {
            if matches!(written, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{:02x}", self.0[at])?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_the_standard_form() {
        // The interface of the endpoint mapper, as in every bind to it.
        let wire = *b"\x08\x83\xaf\xe1\x1f\x5d\xc9\x11\x91\xa4\x08\x00\x2b\x14\xa0\xfa";
        let mapper = Uuid::new(0xe1af_8308, 0x5d1f, 0x11c9, 0x91a4_0800_2b14_a0fa);
        assert_eq!(mapper.wire(), &wire);
        assert_eq!(Uuid::from_wire(wire), mapper);
        assert_eq!(mapper.to_string(), "e1af8308-5d1f-11c9-91a4-08002b14a0fa");
        assert_eq!(format!("{:?}", Uuid::NIL), "00000000-0000-0000-0000-000000000000");
    }
}
