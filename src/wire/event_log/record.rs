//! One event: what Windows itself says of it, and the fields that its provider filled in.

mod reading;

use std::borrow::Cow;
use std::fmt;

use self::reading::Reading;
use super::binxml::node::{Below, Node};
use super::binxml::raw::Raw;
use super::binxml::{Problem, Value};
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
