//! A stub of arbitrary bytes, read as parameters of arbitrary shapes: each is read or refused, never
//! larger than its bytes, and reads the same when it is written again.
//! The first byte of the input is the number of shapes, then come the shapes, then the stub.

use rollcall_wire::msrpc::Uuid;
use rollcall_wire::msrpc::ndr::{ContextHandle, NdrError, NdrReader, NdrWriter};

#[derive(Debug, PartialEq)]
enum Parameter {
    Byte(u8),
    Short(u16),
    Long(u32),
    Hyper(u64),
    Uuid(Uuid),
    Handle(ContextHandle),
    Text(String),
    Unique(Option<String>),
    Buffer(Vec<u8>),
    Longs(Vec<u32>),
    Names(Vec<Option<String>>),
}

fn read(shape: u8, reader: &mut NdrReader<'_>) -> Result<Parameter, NdrError> {
    Ok(match shape % 11 {
        0 => Parameter::Byte(reader.u8()?),
        1 => Parameter::Short(reader.u16()?),
        2 => Parameter::Long(reader.u32()?),
        3 => Parameter::Hyper(reader.u64()?),
        4 => Parameter::Uuid(reader.uuid()?),
        5 => Parameter::Handle(reader.context_handle()?),
        6 => Parameter::Text(reader.wide_string()?),
        7 => Parameter::Unique(reader.unique(NdrReader::wide_string)?),
        8 => Parameter::Buffer(reader.byte_array()?.to_vec()),
        9 => Parameter::Longs(reader.u32_array()?),
        _ => {
            let pointers = reader.elements(4, NdrReader::pointer)?.into_iter();
            let names = pointers.map(|pointer| reader.referent(pointer, NdrReader::wide_string));
            Parameter::Names(names.collect::<Result<_, _>>()?)
        }
    })
}

fn write(parameter: &Parameter, writer: &mut NdrWriter) {
    match parameter {
        Parameter::Byte(value) => writer.u8(*value),
        Parameter::Short(value) => writer.u16(*value),
        Parameter::Long(value) => writer.u32(*value),
        Parameter::Hyper(value) => writer.u64(*value),
        Parameter::Uuid(uuid) => writer.uuid(uuid),
        Parameter::Handle(handle) => writer.context_handle(handle),
        Parameter::Text(text) => writer.wide_string(text),
        Parameter::Unique(text) => writer.unique(text.as_deref(), NdrWriter::wide_string),
        Parameter::Buffer(bytes) => writer.byte_array(bytes),
        Parameter::Longs(values) => writer.u32_array(values),
        Parameter::Names(names) => {
            writer.conformance(names.len());
            for name in names {
                writer.pointer(name.as_ref());
            }
            for name in names.iter().flatten() {
                writer.wide_string(name);
            }
        }
    }
}

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else { return };
    let Some((shapes, stub)) = rest.split_at_checked(usize::from(*count)) else { return };
    let mut reader = NdrReader::new(stub);
    let mut parameters = Vec::new();
    for shape in shapes {
        let before = reader.position();
        let Ok(parameter) = read(*shape, &mut reader) else { break };
        let size = match &parameter {
            Parameter::Text(text) | Parameter::Unique(Some(text)) => {
                2 * text.encode_utf16().count()
            }
            Parameter::Buffer(bytes) => bytes.len(),
            Parameter::Longs(values) => 4 * values.len(),
            Parameter::Names(names) => 4 * names.len(),
            _ => 0,
        };
        assert!(size <= reader.position() - before, "larger than its bytes");
        parameters.push(parameter);
    }
    assert!(reader.position() <= stub.len());
    let mut writer = NdrWriter::new();
    parameters.iter().for_each(|parameter| write(parameter, &mut writer));
    let again = writer.finish();
    let mut reader = NdrReader::new(&again);
    for (parameter, shape) in parameters.iter().zip(shapes) {
        assert_eq!(read(*shape, &mut reader).as_ref(), Ok(parameter), "not what was written");
    }
    assert_eq!(reader.finish(), Ok(()));
}
