//! The tokens and value types of BinXML (MS-EVEN6 section 2.2.12).

/// Flag of a token that is followed by another of the same kind. Not needed for parsing.
pub(super) const MORE: u8 = 0x40;

pub(super) const OPEN_ELEMENT: u8 = 0x01;
/// The same, with an attribute list.
pub(super) const OPEN_ELEMENT_WITH_ATTRIBUTES: u8 = OPEN_ELEMENT | MORE;
pub(super) const CLOSE_START_TAG: u8 = 0x02;
pub(super) const CLOSE_EMPTY_ELEMENT: u8 = 0x03;
pub(super) const END_ELEMENT: u8 = 0x04;
pub(super) const TEXT: u8 = 0x05;
pub(super) const ATTRIBUTE: u8 = 0x06;
pub(super) const CDATA: u8 = 0x07;
pub(super) const CHARACTER: u8 = 0x08;
pub(super) const ENTITY: u8 = 0x09;
pub(super) const INSTRUCTION_TARGET: u8 = 0x0a;
pub(super) const INSTRUCTION_DATA: u8 = 0x0b;
pub(super) const TEMPLATE_INSTANCE: u8 = 0x0c;
pub(super) const SUBSTITUTION: u8 = 0x0d;
pub(super) const OPTIONAL_SUBSTITUTION: u8 = 0x0e;
pub(super) const FRAGMENT_HEADER: u8 = 0x0f;

pub(super) const NULL: u8 = 0x00;
pub(super) const STRING: u8 = 0x01;
pub(super) const ANSI_STRING: u8 = 0x02;
pub(super) const INT8: u8 = 0x03;
pub(super) const UINT8: u8 = 0x04;
pub(super) const INT16: u8 = 0x05;
pub(super) const UINT16: u8 = 0x06;
pub(super) const INT32: u8 = 0x07;
pub(super) const UINT32: u8 = 0x08;
pub(super) const INT64: u8 = 0x09;
pub(super) const UINT64: u8 = 0x0a;
pub(super) const REAL32: u8 = 0x0b;
pub(super) const REAL64: u8 = 0x0c;
pub(super) const BOOL: u8 = 0x0d;
pub(super) const BINARY: u8 = 0x0e;
pub(super) const GUID: u8 = 0x0f;
pub(super) const SIZE_T: u8 = 0x10;
pub(super) const FILE_TIME: u8 = 0x11;
pub(super) const SYSTEM_TIME: u8 = 0x12;
pub(super) const SID: u8 = 0x13;
pub(super) const HEX_INT32: u8 = 0x14;
pub(super) const HEX_INT64: u8 = 0x15;
/// An embedded fragment.
pub(super) const FRAGMENT: u8 = 0x21;
/// Flag of an array type; the other bits are the type of the items.
pub(super) const ARRAY: u8 = 0x80;
