//! Access to the test corpus.

/// Decodes a file of hexadecimal digits; lines that begin with `#` are comments.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let lines = hex.lines().filter(|line| !line.starts_with('#'));
    let bytes = lines.flat_map(str::split_whitespace);
    bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
