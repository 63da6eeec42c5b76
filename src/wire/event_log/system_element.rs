//! The elements of `System`, and the parts of them that are read.

/// An element of `System`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SystemElement {
    Provider,
    EventId,
    Version,
    Level,
    Task,
    Opcode,
    Keywords,
    TimeCreated,
    RecordId,
    Correlation,
    Execution,
    Channel,
    Computer,
    Security,
}

/// The part of a `System` element that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementPart {
    Text,
    Attribute(&'static str),
    Nothing,
}

impl SystemElement {
    /// The element with this name.
    pub(super) fn of(element: &str) -> Option<Self> {
        Some(match element {
            "Provider" => Self::Provider,
            "EventID" => Self::EventId,
            "Version" => Self::Version,
            "Level" => Self::Level,
            "Task" => Self::Task,
            "Opcode" => Self::Opcode,
            "Keywords" => Self::Keywords,
            "TimeCreated" => Self::TimeCreated,
            "EventRecordID" => Self::RecordId,
            "Correlation" => Self::Correlation,
            "Execution" => Self::Execution,
            "Channel" => Self::Channel,
            "Computer" => Self::Computer,
            "Security" => Self::Security,
            _ => return None,
        })
    }

    /// The parts that are read.
    pub(super) const fn parts(self) -> [ElementPart; 2] {
        match self {
            Self::Provider => [ElementPart::Attribute("Name"), ElementPart::Attribute("Guid")],
            Self::EventId => [ElementPart::Text, ElementPart::Attribute("Qualifiers")],
            Self::TimeCreated => [ElementPart::Attribute("SystemTime"), ElementPart::Nothing],
            Self::Correlation => [ElementPart::Attribute("ActivityID"), ElementPart::Nothing],
            Self::Execution => {
                [ElementPart::Attribute("ProcessID"), ElementPart::Attribute("ThreadID")]
            }
            Self::Security => [ElementPart::Attribute("UserID"), ElementPart::Nothing],
            _ => [ElementPart::Text, ElementPart::Nothing],
        }
    }
}
