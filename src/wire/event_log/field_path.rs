//! Where a field stands in an event: its section, element and attribute.

use std::borrow::Cow;

/// Where a value stands in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'r> {
    /// The element below `Event` that it is in.
    pub section: Section,
    /// The element that it is the text of.
    pub element: Cow<'r, str>,
    /// The attribute that it is the value of instead.
    pub attribute: Option<Cow<'r, str>>,
    /// What `EventData` calls it: the attribute `Name` of its element.
    pub name: Option<Cow<'r, str>>,
}

/// The parts of an event that have fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    /// Named data, as all events of the security log have it but a few.
    EventData,
    /// Elements of the provider's own, such as those of event 1102, that the log was cleared.
    UserData,
    /// `RenderingInfo`, `DebugData`, `ProcessingErrorData` and others.
    Other,
}

impl Section {
    /// The one that the element `name` below `Event` is.
    pub(super) fn of(name: &str) -> Self {
        match name {
            "EventData" => Self::EventData,
            "UserData" => Self::UserData,
            _ => Self::Other,
        }
    }

    /// Whether the attribute says what the field is called, and is none itself.
    pub(super) fn names(self, element: &str, attribute: &str) -> bool {
        attribute == "Name" && self == Self::EventData && matches!(element, "Data" | "ComplexData")
    }

    /// Whether the attribute is one of XML itself.
    pub(super) fn is_of_xml(attribute: &str) -> bool {
        attribute == "xmlns" || attribute.starts_with("xmlns:")
    }
}
