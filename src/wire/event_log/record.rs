//! One decoded event: its system fields, and the fields of its provider.

mod field_reader;

use std::fmt;

use self::field_reader::FieldReader;
use super::binxml::node::{EventChild, Node};
use super::binxml::raw::RawValue;
use super::binxml::{BinXmlError, Value};
use super::field_path::{EventSection, FieldPath};
use super::system::System;

/// The fields of an event. They borrow from the received bytes and from the templates of the
/// decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRecord<'r> {
    /// The system fields, common to all events.
    pub system: System<'r>,
    /// The fields of this kind of event, in order; names can repeat.
    pub fields: Vec<EventField<'r>>,
}

/// One field of an event. The value is decoded on access.
#[derive(Clone)]
pub struct EventField<'r>(FieldValue<'r>);

/// A field whose path is in a plan or a cache, or one with its own path.
#[derive(Clone)]
enum FieldValue<'r> {
    Shared(&'r FieldPath<'r>, RawValue<'r>),
    Own(Box<(FieldPath<'r>, Value<'r>)>),
}

impl<'r> EventRecord<'r> {
    /// The value of the first field called `name`, independent of the version of the event.
    pub fn field(&self, name: &str) -> Option<Value<'r>> {
        let named =
            |field: &&EventField<'_>| field.place().attribute.is_none() && field.name() == name;
        self.fields.iter().find(named).map(EventField::value)
    }

    pub(super) fn read(root: Node<'r>, depth: usize) -> Result<Self, BinXmlError> {
        if root.name() != "Event" {
            return Err(BinXmlError::NotAnEvent);
        }
        let mut system = None;
        root.charge_visit()?;
        let mut fields = Vec::new();
        // The children of Event are already one level down.
        let depth = depth.saturating_sub(1);
        for below in root.event_children() {
            match below {
                EventChild::Element(node) if !node.is_present() => {}
                EventChild::Element(node) if node.name() == "System" => {
                    system = Some(System::read(node)?);
                }
                EventChild::Element(node) => {
                    FieldReader::new(EventSection::of(node.name()), &mut fields)
                        .section(node, depth)?;
                }
                EventChild::Fields(whole, number) => {
                    field_reader::plain(whole, number, &mut fields)?;
                }
            }
        }
        let system = system.ok_or(BinXmlError::Missing("System"))?;
        Ok(Self { system, fields })
    }
}

impl<'r> EventField<'r> {
    /// A field with a path that no template has.
    pub fn new(place: FieldPath<'r>, value: Value<'r>) -> Self {
        Self(FieldValue::Own(Box::new((place, value))))
    }

    /// The position of the field.
    pub fn place(&self) -> &FieldPath<'r> {
        match &self.0 {
            FieldValue::Shared(place, _) => place,
            FieldValue::Own(own) => &own.0,
        }
    }

    /// The value.
    pub fn value(&self) -> Value<'r> {
        match &self.0 {
            FieldValue::Shared(_, raw) => raw.value(),
            FieldValue::Own(own) => own.1.clone(),
        }
    }

    /// The name in `EventData`, otherwise the name of the element.
    pub fn name(&self) -> &str {
        let FieldPath { name, element, .. } = self.place();
        name.as_deref().unwrap_or(element)
    }
}

impl PartialEq for EventField<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place() && self.value() == other.value()
    }
}

impl fmt::Debug for EventField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, value) = (self.place(), self.value());
        f.debug_struct("Field").field("place", place).field("value", &value).finish()
    }
}
