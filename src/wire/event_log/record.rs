//! One event: what Windows itself says of it, and the fields that its provider filled in.

use std::borrow::Cow;

use super::binxml::node::Node;
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

/// One value of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Field<'r> {
    /// The element below `Event` that it is in.
    pub section: Section,
    /// The element that it is the text of.
    pub element: &'r str,
    /// The attribute that it is the value of instead.
    pub attribute: Option<&'r str>,
    /// What `EventData` calls it: the attribute `Name` of its element.
    pub name: Option<Cow<'r, str>>,
    /// What it says.
    pub value: Value<'r>,
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
    pub fn field(&self, name: &str) -> Option<&Value<'r>> {
        let named = |field: &&Field<'_>| field.attribute.is_none() && field.name() == name;
        self.fields.iter().find(named).map(|field| &field.value)
    }

    pub(super) fn read(root: Node<'r>, depth: usize) -> Result<Self, Problem> {
        if root.name() != "Event" {
            return Err(Problem::NotAnEvent);
        }
        let mut system = None;
        root.enter()?;
        let mut reading = Reading { fields: Vec::new(), section: Section::Other };
        // The elements of Event are one level down already.
        let depth = depth.saturating_sub(1);
        for node in root.elements() {
            reading.section = match node.name() {
                "System" => {
                    system = Some(System::read(node)?);
                    continue;
                }
                "EventData" => Section::EventData,
                "UserData" => Section::UserData,
                _ => Section::Other,
            };
            reading.part(node, depth)?;
        }
        let system = system.ok_or(Problem::Missing("System"))?;
        Ok(Self { system, fields: reading.fields })
    }
}

impl Field<'_> {
    /// What it is called: its name in `EventData`, or else its element.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.element)
    }
}

/// The fields found so far, and where they are looked for.
struct Reading<'r> {
    fields: Vec<Field<'r>>,
    section: Section,
}

impl<'r> Reading<'r> {
    /// An element that has others within it, or may have: its attributes, its elements, and its text
    /// where there is more than white space.
    fn part(&mut self, node: Node<'r>, depth: usize) -> Result<(), Problem> {
        let depth = depth.checked_sub(1).ok_or(Problem::Depth)?;
        node.enter()?;
        if let Some(name) = self.attributes(node)? {
            let field = Field { attribute: Some("Name"), ..self.empty(node) };
            self.field(node, Field { value: Value::Text(name), ..field })?;
        }
        for inner in node.elements() {
            match inner.elements().next() {
                Some(_) => self.part(inner, depth)?,
                None if depth == 0 => return Err(Problem::Depth),
                None => self.leaf(inner)?,
            }
        }
        let value = node.text()?;
        match value.to_text().chars().all(char::is_whitespace) {
            true => Ok(()),
            false => self.field(node, Field { value, ..self.empty(node) }),
        }
    }

    /// An element without others: its attributes, and its text, for an array once for each item.
    fn leaf(&mut self, node: Node<'r>) -> Result<(), Problem> {
        node.enter()?;
        let name = self.attributes(node)?;
        let Some(array) = node.array()? else {
            let value = node.text()?;
            return self.field(node, Field { name, value, ..self.empty(node) });
        };
        for item in array.items() {
            self.field(node, Field { name: name.clone(), value: item, ..self.empty(node) })?;
        }
        Ok(())
    }

    /// Its attributes as fields, but for the one that is its name, and those of XML itself.
    fn attributes(&mut self, node: Node<'r>) -> Result<Option<Cow<'r, str>>, Problem> {
        let mut name = None;
        for (called, value) in node.attributes() {
            let value = value?;
            if called == "xmlns" || called.starts_with("xmlns:") {
                continue;
            }
            let names = matches!(node.name(), "Data" | "ComplexData");
            if called == "Name" && names && self.section == Section::EventData {
                name = Some(match value {
                    Value::Text(text) => text,
                    other => Cow::Owned(other.to_text().into_owned()),
                });
            } else if !value.is_empty() {
                self.field(node, Field { attribute: Some(called), value, ..self.empty(node) })?;
            }
        }
        Ok(name)
    }

    fn empty(&self, node: Node<'r>) -> Field<'r> {
        let (section, element) = (self.section, node.name());
        Field { section, element, attribute: None, name: None, value: Value::Null }
    }

    fn field(&mut self, node: Node<'r>, field: Field<'r>) -> Result<(), Problem> {
        node.spend(size_of::<Field<'_>>())?;
        self.fields.push(field);
        Ok(())
    }
}
