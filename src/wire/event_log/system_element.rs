//! The elements of `System`, and the parts of them that are read.

/// An element of `System`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heading {
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
pub(super) enum Says {
    Text,
    Attribute(&'static str),
    Nothing,
}

impl Heading {
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
    pub(super) const fn says(self) -> [Says; 2] {
        match self {
            Self::Provider => [Says::Attribute("Name"), Says::Attribute("Guid")],
            Self::EventId => [Says::Text, Says::Attribute("Qualifiers")],
            Self::TimeCreated => [Says::Attribute("SystemTime"), Says::Nothing],
            Self::Correlation => [Says::Attribute("ActivityID"), Says::Nothing],
            Self::Execution => [Says::Attribute("ProcessID"), Says::Attribute("ThreadID")],
            Self::Security => [Says::Attribute("UserID"), Says::Nothing],
            _ => [Says::Text, Says::Nothing],
        }
    }
}
