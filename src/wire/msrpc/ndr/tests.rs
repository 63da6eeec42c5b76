//! NDR: alignment, arrays, strings and pointers, and hostile input.

use proptest::prelude::*;

use super::{ContextHandle, NdrError, NdrErrorKind, NdrReader, NdrWriter};
use crate::msrpc::Uuid;

fn read<'a, T>(
    stub: &'a [u8],
    read: impl FnOnce(&mut NdrReader<'a>) -> Result<T, NdrError>,
) -> Result<T, NdrErrorKind> {
    let mut reader = NdrReader::new(stub);
    let value = read(&mut reader).map_err(|bad| bad.problem)?;
    reader.finish().map_err(|bad| bad.problem)?;
    Ok(value)
}

#[test]
fn values_are_aligned_to_their_size() {
    let mut writer = NdrWriter::new();
    writer.u8(1);
    writer.u64(2);
    writer.u8(3);
    writer.u16(4);
    writer.u8(5);
    writer.u32(6);
    writer.u16(7);
    writer.uuid(&Uuid::new(8, 9, 10, 11));
    let stub = writer.finish();
    let wanted = b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\0\x04\0\x05\0\0\0\x06\0\0\0\x07\0\0\0\
        \x08\0\0\0\x09\0\x0a\0\0\0\0\0\0\0\0\x0b";
    assert_eq!(stub, wanted);
    let seen = read(&stub, |r| {
        Ok((r.u8()?, r.u64()?, r.u8()?, r.u16()?, r.u8()?, r.u32()?, r.u16()?, r.uuid()?))
    });
    assert_eq!(seen, Ok((1, 2, 3, 4, 5, 6, 7, Uuid::new(8, 9, 10, 11))));
}

#[test]
fn pointer_parameter_is_followed_by_its_referent() {
    // The stub of EvtRpcRegisterLogQuery("Security", "*", 0x101), MS-EVEN6 section 3.1.4.12.
    let mut writer = NdrWriter::new();
    writer.unique(Some("Security"), NdrWriter::wide_string);
    writer.align(4);
    writer.wide_string("*");
    writer.u32(0x101);
    let stub = writer.finish();
    let wanted = b"\0\0\x02\0\x09\0\0\0\0\0\0\0\x09\0\0\0S\0e\0c\0u\0r\0i\0t\0y\0\0\0\0\0\
        \x02\0\0\0\0\0\0\0\x02\0\0\0*\0\0\0\x01\x01\0\0";
    assert_eq!(stub, wanted);
    let seen = read(&stub, |r| Ok((r.unique(NdrReader::wide_string)?, r.wide_string()?, r.u32()?)))
        .unwrap();
    assert_eq!(seen, (Some("Security".to_owned()), "*".to_owned(), 0x101));
}

#[test]
fn pointers_in_an_array_precede_their_referents() {
    // EvtRpcQueryChannelInfo[]: a name and a status each; the names follow the array.
    let channels = [(Some("A"), 5), (None, 6), (Some("BC"), 7)];
    let mut writer = NdrWriter::new();
    writer.conformance(channels.len());
    let mut names = Vec::new();
    for (name, status) in channels {
        names.extend(writer.pointer(name));
        writer.u32(status);
    }
    for name in names {
        writer.wide_string(name);
    }
    let stub = writer.finish();
    assert_eq!(
        stub[..28],
        *b"\x03\0\0\0\0\0\x02\0\x05\0\0\0\0\0\0\0\x06\0\0\0\x04\0\x02\0\x07\0\0\0"
    );
    let seen = read(&stub, |r| {
        let heads = r.elements(8, |r| Ok((r.pointer()?, r.u32()?)))?;
        let whole = heads
            .into_iter()
            .map(|(name, status)| Ok((r.referent(name, NdrReader::wide_string)?, status)));
        whole.collect::<Result<Vec<_>, _>>()
    });
    let wanted = channels.map(|(name, status)| (name.map(str::to_owned), status));
    assert_eq!(seen.as_deref(), Ok(&wanted[..]));
}

#[test]
fn null_handle_is_detected() {
    let handle = ContextHandle::new(0, Uuid::new(1, 2, 3, 4));
    let mut writer = NdrWriter::new();
    writer.u8(0);
    writer.context_handle(&handle);
    writer.context_handle(&ContextHandle::NULL);
    let stub = writer.finish();
    assert_eq!(stub.len(), 4 + 20 + 20);
    let (_, one, other) =
        read(&stub, |r| Ok((r.u8()?, r.context_handle()?, r.context_handle()?))).unwrap();
    assert_eq!((one, one.is_null(), other.is_null()), (handle, false, true));
}

#[test]
fn errors_have_an_offset() {
    let stub = b"\x01\0\0\0\0\0\0\0\x02\0\0\0a\0\0\0";
    let error = NdrReader::new(stub).wide_string().unwrap_err();
    assert_eq!(error, NdrError { problem: NdrErrorKind::Bounds, at: 12 });
    assert_eq!(
        error.to_string(),
        "the bounds of a varying array contradict each other, at byte 12"
    );
    let string = |stub: &[u8]| read(stub, NdrReader::wide_string);
    let problems = [
        (&b"\x02\0\0\0\x01\0\0\0\x01\0\0\0\0\0"[..], NdrErrorKind::Bounds),
        (b"\x01\0\0\0\0\0\0\0\x01\0\0\0a\0", NdrErrorKind::Unterminated),
        (b"\x02\0\0\0\0\0\0\0\x02\0\0\0\x00\xd8\0\0", NdrErrorKind::Encoding),
        (b"\xff\xff\xff\x7f\0\0\0\0\xff\xff\xff\x7fa\0", NdrErrorKind::Count),
        (b"\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0!", NdrErrorKind::LeftOver),
        (b"\x01\0\0\0\0\0\0\0\x01\0\0", NdrErrorKind::Short),
        (b"\0\0\0\0\0\0\0\0\0\0\0\0", NdrErrorKind::Unterminated),
    ];
    for (stub, problem) in problems {
        assert_eq!(string(stub), Err(problem), "{stub:?}");
    }
    // The maximum may exceed the count.
    assert_eq!(string(b"\xff\0\0\0\0\0\0\0\x02\0\0\0a\0\0\0"), Ok("a".to_owned()));
    assert_eq!(read(b"\xff\xff\xff\xff\x01", NdrReader::byte_array), Err(NdrErrorKind::Count));
    assert_eq!(read(b"\xff\xff\xff\xff", |r| r.conformance(0)), Err(NdrErrorKind::Count));
}

/// A parameter of any type.
#[derive(Debug, Clone, PartialEq)]
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
    Records(Vec<(Option<String>, u16)>),
}

impl Parameter {
    fn any() -> impl Strategy<Value = Self> {
        use proptest::collection::vec;
        let text = || "[^\0]{0,12}";
        let uuid = || any::<[u8; 16]>().prop_map(Uuid::from_wire);
        prop_oneof![
            any::<u8>().prop_map(Self::Byte),
            any::<u16>().prop_map(Self::Short),
            any::<u32>().prop_map(Self::Long),
            any::<u64>().prop_map(Self::Hyper),
            uuid().prop_map(Self::Uuid),
            (any::<u32>(), uuid()).prop_map(|(a, u)| Self::Handle(ContextHandle::new(a, u))),
            text().prop_map(Self::Text),
            proptest::option::of(text()).prop_map(Self::Unique),
            vec(any::<u8>(), 0..20).prop_map(Self::Buffer),
            vec(any::<u32>(), 0..6).prop_map(Self::Longs),
            vec((proptest::option::of(text()), any::<u16>()), 0..5).prop_map(Self::Records),
        ]
    }

    fn write(&self, writer: &mut NdrWriter) {
        match self {
            Self::Byte(value) => writer.u8(*value),
            Self::Short(value) => writer.u16(*value),
            Self::Long(value) => writer.u32(*value),
            Self::Hyper(value) => writer.u64(*value),
            Self::Uuid(uuid) => writer.uuid(uuid),
            Self::Handle(handle) => writer.context_handle(handle),
            Self::Text(text) => writer.wide_string(text),
            Self::Unique(text) => writer.unique(text.as_deref(), NdrWriter::wide_string),
            Self::Buffer(bytes) => writer.byte_array(bytes),
            Self::Longs(values) => writer.u32_array(values),
            Self::Records(records) => {
                writer.conformance(records.len());
                for (text, number) in records {
                    writer.pointer(text.as_ref());
                    writer.u16(*number);
                }
                records.iter().filter_map(|(text, _)| text.as_deref()).for_each(|text| {
                    writer.wide_string(text);
                });
            }
        }
    }

    /// Decodes a value of the type of `self`.
    fn read(&self, reader: &mut NdrReader<'_>) -> Result<Self, NdrError> {
        Ok(match self {
            Self::Byte(_) => Self::Byte(reader.u8()?),
            Self::Short(_) => Self::Short(reader.u16()?),
            Self::Long(_) => Self::Long(reader.u32()?),
            Self::Hyper(_) => Self::Hyper(reader.u64()?),
            Self::Uuid(_) => Self::Uuid(reader.uuid()?),
            Self::Handle(_) => Self::Handle(reader.context_handle()?),
            Self::Text(_) => Self::Text(reader.wide_string()?),
            Self::Unique(_) => Self::Unique(reader.unique(NdrReader::wide_string)?),
            Self::Buffer(_) => Self::Buffer(reader.byte_array()?.to_vec()),
            Self::Longs(_) => Self::Longs(reader.u32_array()?),
            Self::Records(_) => {
                let heads = reader.elements(6, |r| Ok((r.pointer()?, r.u16()?)))?;
                let mut records = Vec::new();
                for (text, number) in heads {
                    records.push((reader.referent(text, NdrReader::wide_string)?, number));
                }
                Self::Records(records)
            }
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn encoding_round_trips(parameters in proptest::collection::vec(Parameter::any(), 0..12)) {
        let mut writer = NdrWriter::new();
        parameters.iter().for_each(|parameter| parameter.write(&mut writer));
        let stub = writer.finish();
        let mut reader = NdrReader::new(&stub);
        for parameter in &parameters {
            let seen = parameter.read(&mut reader);
            prop_assert_eq!(seen.as_ref(), Ok(parameter));
        }
        prop_assert_eq!(reader.finish(), Ok(()));
        // A truncated stub is an error at every length.
        for end in 0..stub.len() {
            let mut reader = NdrReader::new(&stub[..end]);
            let cut = parameters.iter().try_for_each(|p| p.read(&mut reader).map(drop));
            prop_assert!(cut.is_err());
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_rejected_within_bounds(
        stub in proptest::collection::vec(prop_oneof![Just(0), 0_u8..4, any::<u8>()], 0..200),
        shapes in proptest::collection::vec(Parameter::any(), 1..12),
    ) {
        let mut reader = NdrReader::new(&stub);
        for shape in shapes {
            let Ok(value) = shape.read(&mut reader) else { break };
            let size = match value {
                Parameter::Text(text) | Parameter::Unique(Some(text)) => text.encode_utf16().count() * 2,
                Parameter::Buffer(bytes) => bytes.len(),
                Parameter::Longs(values) => values.len() * 4,
                Parameter::Records(records) => records.len() * 6,
                _ => 0,
            };
            prop_assert!(size <= stub.len());
        }
        prop_assert!(reader.position() <= stub.len());
    }
}
