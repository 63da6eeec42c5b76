//! Any bytes as the binary XML of an event: read or refused, never more than its limits, and a
//! decoder that saw them reads the next event like one that did not.

use rollcall_wire::event_log::{Decoder, Limits};

/// Small ones, so that they are reached.
const LIMITS: Limits = Limits { depth: 16, values: 256, output: 8192, templates: 4096 };

/// What is read from the bytes, as text: fields cannot outlive the decoder.
fn read(decoder: &mut Decoder, bytes: &[u8]) -> (String, Result<String, String>) {
    let fields = match decoder.record(bytes) {
        Ok(record) => {
            assert!(size_of_val(&*record.fields) <= LIMITS.output, "too many fields");
            for field in &record.fields {
                let value = field.value();
                let text = value.to_text();
                assert!(text.len() <= 40 * bytes.len() + LIMITS.output, "text from nowhere");
                let (_, _) = (value.unsigned(), value.file_time());
            }
            format!("{record:?}")
        }
        Err(problem) => problem.to_string(),
    };
    let xml = decoder.xml(bytes).map_err(|problem| problem.to_string());
    (fields, xml)
}

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let mut decoder = Decoder::new(LIMITS);
    let first = read(&mut decoder, data);
    if let Ok(xml) = &first.1 {
        assert!(xml.len() <= LIMITS.output, "too long");
        assert!(!xml.contains('\0'), "no XML");
    }
    assert_eq!(read(&mut decoder, data), first, "a template that is known reads otherwise");
    // The bytes in two halves, so that each may leave something behind for the other.
    let (left, right) = data.split_at(data.len() / 2);
    let alone = read(&mut Decoder::new(LIMITS), right);
    let _ = read(&mut decoder, left);
    assert_eq!(read(&mut decoder, right), alone, "one event changes the next");
}
