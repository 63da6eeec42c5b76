//! The system fields of an event: the element `System` (MS-EVEN6 section 2.2.13).

use rollcall_identity::Timestamp;

use super::binxml::node::Node;
use super::binxml::plan::Plan;
use super::binxml::{BinXmlError, FileTime, Sid, Value, raw};
use super::system_element::{ElementPart, SystemElement};
use crate::msrpc::Uuid;

/// The fields of `System`. Only the event identifier is required.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct System<'r> {
    /// `Provider`, `Name`: for instance `Microsoft-Windows-Security-Auditing`.
    pub provider: Value<'r>,
    /// `Provider`, `Guid`.
    pub provider_guid: Option<Uuid>,
    /// `EventID`: for instance 4624.
    pub event_id: u16,
    /// `EventID`, `Qualifiers`: only of classic providers.
    pub qualifiers: Option<u16>,
    /// `Version`: determines the fields of the event.
    pub version: Option<u8>,
    /// `Level`: 0 for audits.
    pub level: Option<u8>,
    /// `Task`.
    pub task: Option<u16>,
    /// `Opcode`.
    pub opcode: Option<u8>,
    /// `Keywords`: bits such as [`System::AUDIT_SUCCESS`] and [`System::AUDIT_FAILURE`].
    pub keywords: Option<u64>,
    /// `TimeCreated`.
    pub time_created: Option<FileTime>,
    /// `EventRecordID`: counts from 1 in each log and never decreases.
    pub record_id: Option<u64>,
    /// `Correlation`, `ActivityID`.
    pub activity_id: Option<Uuid>,
    /// `Execution`, `ProcessID`.
    pub process_id: Option<u32>,
    /// `Execution`, `ThreadID`.
    pub thread_id: Option<u32>,
    /// `Channel`: for instance `Security`.
    pub channel: Value<'r>,
    /// `Computer`: the DNS name of the server.
    pub computer: Value<'r>,
    /// `Security`, `UserID`.
    pub user: Option<Sid<'r>>,
}

impl<'r> System<'r> {
    /// The keyword bit of a successful audit.
    pub const AUDIT_SUCCESS: u64 = 0x0020_0000_0000_0000;
    /// The keyword bit of a failed audit.
    pub const AUDIT_FAILURE: u64 = 0x0010_0000_0000_0000;

    /// `TimeCreated`, to the millisecond.
    pub fn at(&self) -> Option<Timestamp> {
        self.time_created.map(Timestamp::from)
    }

    pub(super) fn read(system: Node<'r>) -> Result<Self, BinXmlError> {
        let mut read = (Self::default(), None);
        match system.plan(usize::MAX) {
            Some(Plan::System(plan)) => {
                system.charge(plan.cost)?;
                for step in plan.steps.iter().filter(|step| system.has(step.dependency)) {
                    system.charge(step.cost)?;
                    let Some((heading, [first, second])) = &step.heading else { continue };
                    heading.take(system.raw(first)?, &system.raw(second)?, &mut read);
                }
            }
            _ => Self::walk(system, &mut read)?,
        }
        let (system, event_id) = read;
        Ok(Self { event_id: event_id.ok_or(BinXmlError::Missing("EventID"))?, ..system })
    }

    fn walk(system: Node<'r>, read: &mut PartialSystem<'r>) -> Result<(), BinXmlError> {
        system.charge_visit()?;
        for node in system.elements() {
            node.charge_visit()?;
            let Some(heading) = SystemElement::of(node.name()) else { continue };
            let [first, second] = heading.parts();
            heading.take(part_value(first, node)?, &part_value(second, node)?, read);
        }
        Ok(())
    }
}

/// The fields read so far, and the event identifier, which is required.
type PartialSystem<'r> = (System<'r>, Option<u16>);

/// The value of a part of `node`.
fn part_value<'r>(part: ElementPart, node: Node<'r>) -> Result<Value<'r>, BinXmlError> {
    match part {
        ElementPart::Text => node.text(),
        ElementPart::Attribute(name) => node.attribute(name),
        ElementPart::Nothing => Ok(Value::Null),
    }
}

impl SystemElement {
    /// Stores the values.
    fn take<'r, S: raw::ValueAccess<'r>>(
        self,
        first: S,
        second: &S,
        (read, event_id): &mut PartialSystem<'r>,
    ) {
        match self {
            Self::Provider => {
                (read.provider, read.provider_guid) = (first.into_value(), second.guid());
            }
            Self::EventId => (*event_id, read.qualifiers) = (number(&first), number(second)),
            Self::Version => read.version = number(&first),
            Self::Level => read.level = number(&first),
            Self::Task => read.task = number(&first),
            Self::Opcode => read.opcode = number(&first),
            Self::Keywords => read.keywords = first.unsigned(),
            Self::TimeCreated => read.time_created = first.file_time(),
            Self::RecordId => read.record_id = first.unsigned(),
            Self::Correlation => read.activity_id = first.guid(),
            Self::Execution => {
                (read.process_id, read.thread_id) = (number(&first), number(second));
            }
            Self::Channel => read.channel = first.into_value(),
            Self::Computer => read.computer = first.into_value(),
            Self::Security => read.user = first.sid(),
        }
    }
}

/// A number, if it fits into the type.
fn number<'r, T: TryFrom<u64>>(value: &impl raw::ValueAccess<'r>) -> Option<T> {
    value.unsigned().and_then(|number| T::try_from(number).ok())
}
