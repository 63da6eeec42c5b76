//! The files of the corpus, as the tests of binary XML and of the calls have them.

/// The bytes of a file of hexadecimal digits; lines that begin with `#` say what they are.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let lines = hex.lines().filter(|line| !line.starts_with('#'));
    let bytes = lines.flat_map(str::split_whitespace);
    bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
