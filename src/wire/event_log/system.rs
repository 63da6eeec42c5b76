//! What Windows itself says of every event: `System` (MS-EVEN6 section 2.2.13).

use rollcall_identity::Timestamp;

use super::binxml::node::Node;
use super::binxml::{FileTime, Problem, Sid, Value};
use crate::msrpc::Uuid;

/// The fields of `System`. Only the event identifier must be there: the schema lets all others be
/// missing, or they can be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct System<'r> {
    /// `Provider`, `Name`: for instance `Microsoft-Windows-Security-Auditing`.
    pub provider: Value<'r>,
    /// `Provider`, `Guid`.
    pub provider_guid: Option<Uuid>,
    /// `EventID`: for instance 4624.
    pub event_id: u16,
    /// `EventID`, `Qualifiers`: of classic providers.
    pub qualifiers: Option<u16>,
    /// `Version`: which fields the event has.
    pub version: Option<u8>,
    /// `Level`: 0 for audits.
    pub level: Option<u8>,
    /// `Task`.
    pub task: Option<u16>,
    /// `Opcode`.
    pub opcode: Option<u8>,
    /// `Keywords`: the bits [`System::AUDIT_SUCCESS`] and [`System::AUDIT_FAILURE`] among others.
    pub keywords: Option<u64>,
    /// `TimeCreated`.
    pub time_created: Option<FileTime>,
    /// `EventRecordID`: counts from 1 in each log, and never backwards.
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
    /// The keyword of an audit that succeeded.
    pub const AUDIT_SUCCESS: u64 = 0x0020_0000_0000_0000;
    /// The keyword of an audit that failed.
    pub const AUDIT_FAILURE: u64 = 0x0010_0000_0000_0000;

    /// `TimeCreated`, to the millisecond.
    pub fn at(&self) -> Option<Timestamp> {
        self.time_created.map(Timestamp::from)
    }

    pub(super) fn read(system: Node<'r>) -> Result<Self, Problem> {
        system.enter()?;
        let mut read = Self::default();
        let mut event_id = None;
        for node in system.elements() {
            node.enter()?;
            match node.name() {
                "Provider" => {
                    read.provider = node.attribute("Name")?;
                    read.provider_guid = node.attribute("Guid")?.guid();
                }
                "EventID" => {
                    event_id = number(&node.text()?);
                    read.qualifiers = number(&node.attribute("Qualifiers")?);
                }
                "Version" => read.version = number(&node.text()?),
                "Level" => read.level = number(&node.text()?),
                "Task" => read.task = number(&node.text()?),
                "Opcode" => read.opcode = number(&node.text()?),
                "Keywords" => read.keywords = node.text()?.unsigned(),
                "TimeCreated" => read.time_created = node.attribute("SystemTime")?.file_time(),
                "EventRecordID" => read.record_id = node.text()?.unsigned(),
                "Correlation" => read.activity_id = node.attribute("ActivityID")?.guid(),
                "Execution" => {
                    read.process_id = number(&node.attribute("ProcessID")?);
                    read.thread_id = number(&node.attribute("ThreadID")?);
                }
                "Channel" => read.channel = node.text()?,
                "Computer" => read.computer = node.text()?,
                "Security" => read.user = node.attribute("UserID")?.sid(),
                _ => {}
            }
        }
        read.event_id = event_id.ok_or(Problem::Missing("EventID"))?;
        Ok(read)
    }
}

/// A number, where it fits.
fn number<T: TryFrom<u64>>(value: &Value<'_>) -> Option<T> {
    value.unsigned().and_then(|number| T::try_from(number).ok())
}
