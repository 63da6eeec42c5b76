//! One decoded event: its system fields, and the fields of its provider.

mod reading;

use std::fmt;

use self::reading::Reading;
use super::binxml::node::{Below, Node};
use super::binxml::raw::Raw;
use super::binxml::{Problem, Value};
use super::field_path::{Place, Section};
use super::system::System;

/// The fields of an event. They borrow from the received bytes and from the templates of the
/// decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'r> {
    /// The system fields, common to all events.
    pub system: System<'r>,
    /// The fields of this kind of event, in order; names can repeat.
    pub fields: Vec<Field<'r>>,
}

/// One field of an event. The value is decoded on access.
#[derive(Clone)]
pub struct Field<'r>(Held<'r>);

/// A field whose path is in a plan or a cache, or one with its own path.
#[derive(Clone)]
enum Held<'r> {
    Known(&'r Place<'r>, Raw<'r>),
    Own(Box<(Place<'r>, Value<'r>)>),
}

impl<'r> Record<'r> {
    /// The value of the first field called `name`, independent of the version of the event.
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
        // The children of Event are already one level down.
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
    /// A field with a path that no template has.
    pub fn new(place: Place<'r>, value: Value<'r>) -> Self {
        Self(Held::Own(Box::new((place, value))))
    }

    /// The position of the field.
    pub fn place(&self) -> &Place<'r> {
        match &self.0 {
            Held::Known(place, _) => place,
            Held::Own(own) => &own.0,
        }
    }

    /// The value.
    pub fn value(&self) -> Value<'r> {
        match &self.0 {
            Held::Known(_, raw) => raw.value(),
            Held::Own(own) => own.1.clone(),
        }
    }

    /// The name in `EventData`, otherwise the name of the element.
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
