//! One event: what Windows itself says of it, and the fields that its provider filled in.

mod reading;

use std::fmt;

use self::reading::Reading;
use super::binxml::node::{Below, Node};
use super::binxml::raw::Raw;
use super::binxml::{Problem, Value};
use super::field_path::{Place, Section};
use super::system::System;

/// An event by its fields. It borrows from what was received and from the templates of the decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'r> {
    /// The same for all events.
    pub system: System<'r>,
    /// What the kind of event has, in order; names may stand more than once.
    pub fields: Vec<Field<'r>>,
}

/// One value of an event, which is read when it is wanted.
#[derive(Clone)]
pub struct Field<'r>(Held<'r>);

/// At a place that is known, or at one that is this event's alone.
#[derive(Clone)]
enum Held<'r> {
    Known(&'r Place<'r>, Raw<'r>),
    Own(Box<(Place<'r>, Value<'r>)>),
}

impl<'r> Record<'r> {
    /// The value of the field called `name`, in whatever version of the event; the first of them.
    pub fn field(&self, name: &str) -> Option<Value<'r>> {
        let named = |field: &&Field<'_>| field.place().attribute.is_none() && field.name() == name;
        self.fields.iter().find(named).map(Field::value)
    }

    pub(super) fn read(root: Node<'r>, depth: usize) -> Result<Self, Problem> {
        if root.name() != "Event" {
            return Err(Problem::NotAnEvent);
        }
        let mut system = None;
        root.enter()?;
        let mut fields = Vec::new();
        // The elements of Event are one level down already.
        let depth = depth.saturating_sub(1);
        for below in root.below_event() {
            match below {
                Below::Element(node) if !node.is_present() => {}
                Below::Element(node) if node.name() == "System" => {
                    system = Some(System::read(node)?);
                }
                Below::Element(node) => {
                    Reading::new(Section::of(node.name()), &mut fields).section(node, depth)?;
                }
                Below::Fields(whole, number) => reading::plain(whole, number, &mut fields)?,
            }
        }
        let system = system.ok_or(Problem::Missing("System"))?;
        Ok(Self { system, fields })
    }
}

impl<'r> Field<'r> {
    /// The value at a place that no template has.
    pub fn new(place: Place<'r>, value: Value<'r>) -> Self {
        Self(Held::Own(Box::new((place, value))))
    }

    /// Where it stands.
    pub fn place(&self) -> &Place<'r> {
        match &self.0 {
            Held::Known(place, _) => place,
            Held::Own(own) => &own.0,
        }
    }

    /// What it says.
    pub fn value(&self) -> Value<'r> {
        match &self.0 {
            Held::Known(_, raw) => raw.value(),
            Held::Own(own) => own.1.clone(),
        }
    }

    /// What it is called: its name in `EventData`, or else its element.
    pub fn name(&self) -> &str {
        let Place { name, element, .. } = self.place();
        name.as_deref().unwrap_or(element)
    }
}

impl PartialEq for Field<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place() && self.value() == other.value()
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, value) = (self.place(), self.value());
        f.debug_struct("Field").field("place", place).field("value", &value).finish()
    }
}
