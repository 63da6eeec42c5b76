//! The position of a field in an event: section, element and attribute.

use std::borrow::Cow;

/// The position of a field in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath<'r> {
    /// The element below `Event`.
    pub section: EventSection,
    /// The element whose text is the value.
    pub element: Cow<'r, str>,
    /// The attribute, when the value is that of an attribute.
    pub attribute: Option<Cow<'r, str>>,
    /// The name in `EventData`: the attribute `Name` of the element.
    pub name: Option<Cow<'r, str>>,
}

/// The sections of an event that have fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventSection {
    /// Named data: nearly all events of the security log.
    EventData,
    /// Provider-specific elements, for instance of event 1102 (the log was cleared).
    UserData,
    /// `RenderingInfo`, `DebugData`, `ProcessingErrorData` and others.
    Other,
}

impl EventSection {
    /// The section of the element `name` below `Event`.
    pub(super) fn of(name: &str) -> Self {
        match name {
            "EventData" => Self::EventData,
            "UserData" => Self::UserData,
            _ => Self::Other,
        }
    }

    /// Whether the attribute is the name of the field, and not a field itself.
    pub(super) fn names(self, element: &str, attribute: &str) -> bool {
        attribute == "Name" && self == Self::EventData && matches!(element, "Data" | "ComplexData")
    }

    /// Whether the attribute is a namespace declaration.
    pub(super) fn is_of_xml(attribute: &str) -> bool {
        attribute == "xmlns" || attribute.starts_with("xmlns:")
    }
}
