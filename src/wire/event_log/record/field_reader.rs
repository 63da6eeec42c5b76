//! Reads the fields of one element below `Event`, with its plan or by walking it.

use std::borrow::Cow;

use super::{EventField, FieldValue};
use crate::event_log::binxml::node::{EventBuffer, Node};
use crate::event_log::binxml::plan::{FieldPlan, Plan, Step};
use crate::event_log::binxml::raw::RawValue;
use crate::event_log::binxml::{BinXmlError, Value};
use crate::event_log::field_path::{EventSection, FieldPath};

/// The maximum number of fields to reserve memory for: more than any event of the security log has.
const ROOM: usize = 64;

/// The memory for one field, in bytes.
const COST: usize = size_of::<EventField<'_>>() + size_of::<(FieldPath<'_>, Value<'_>)>();

/// Adds the fields of a fragment that was read directly into fields.
pub(super) fn plain<'r>(
    whole: EventBuffer<'r>,
    number: usize,
    fields: &mut Vec<EventField<'r>>,
) -> Result<(), BinXmlError> {
    let Some((cost, found)) = whole.fields(number) else { return Ok(()) };
    whole.charge(cost)?;
    for (place, raw) in found {
        whole.charge(COST)?;
        fields.push(EventField(FieldValue::Shared(place, raw)));
    }
    Ok(())
}

/// The fields found so far, and the current section.
pub(super) struct FieldReader<'f, 'r> {
    fields: &'f mut Vec<EventField<'r>>,
    section: EventSection,
}

impl<'f, 'r> FieldReader<'f, 'r> {
    pub(super) const fn new(section: EventSection, fields: &'f mut Vec<EventField<'r>>) -> Self {
        Self { fields, section }
    }

    /// Reads the element `node` below `Event`, with at most `depth` nested elements.
    pub(super) fn section(&mut self, node: Node<'r>, depth: usize) -> Result<(), BinXmlError> {
        match node.plan(depth) {
            Some(Plan::Fields(plan)) => self.planned(plan, node),
            _ => self.part(node, depth),
        }
    }

    fn planned(&mut self, plan: &'r FieldPlan, node: Node<'r>) -> Result<(), BinXmlError> {
        self.fields.reserve(plan.fields.min(ROOM));
        let mut at = 0;
        while let Some(step) = plan.steps.get(at) {
            at += 1;
            match step {
                Step::Element { dependency, behind, .. } if !node.has(*dependency) => at = *behind,
                Step::Element { cost, .. } => node.charge(*cost)?,
                Step::Attribute(place, source) => {
                    let raw = node.raw(source)?;
                    if !raw.is_empty() {
                        self.field(node, FieldValue::Shared(place, raw))?;
                    }
                }
                Step::Text(place, source) => {
                    let raw = node.raw(source)?;
                    match raw.array() {
                        None => self.field(node, FieldValue::Shared(place, raw))?,
                        Some(array) => {
                            for item in RawValue::items(array) {
                                self.field(node, FieldValue::Shared(place, item))?;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// An element with child elements: its attributes, its elements, and its text unless it is
    /// white space.
    fn part(&mut self, node: Node<'r>, depth: usize) -> Result<(), BinXmlError> {
        let depth = depth.checked_sub(1).ok_or(BinXmlError::Depth)?;
        node.charge_visit()?;
        if let Some(name) = self.attributes(node)? {
            let place = FieldPath { attribute: Some("Name".into()), ..self.place(node) };
            self.walked(node, place, Value::Text(name))?;
        }
        for inner in node.elements() {
            match inner.elements().next() {
                Some(_) => self.part(inner, depth)?,
                None if depth == 0 => return Err(BinXmlError::Depth),
                None => self.leaf(inner)?,
            }
        }
        let value = node.text()?;
        match value.to_text().chars().all(char::is_whitespace) {
            true => Ok(()),
            false => self.walked(node, self.place(node), value),
        }
    }

    /// An element without child elements: its attributes and its text, one field per array item.
    fn leaf(&mut self, node: Node<'r>) -> Result<(), BinXmlError> {
        node.charge_visit()?;
        let name = self.attributes(node)?;
        let place = FieldPath { name, ..self.place(node) };
        match node.text()? {
            Value::Array(array) if node.is_value() => {
                array.items().try_for_each(|item| self.walked(node, place.clone(), item))
            }
            value => self.walked(node, place, value),
        }
    }

    /// Adds the attributes as fields, except the name and namespace declarations. Returns the name.
    fn attributes(&mut self, node: Node<'r>) -> Result<Option<Cow<'r, str>>, BinXmlError> {
        let mut name = None;
        for (called, value) in node.attributes() {
            let value = value?;
            if EventSection::is_of_xml(called) {
                continue;
            }
            if self.section.names(node.name(), called) {
                name = Some(match value {
                    Value::Text(text) => text,
                    other => Cow::Owned(other.to_text().into_owned()),
                });
            } else if !value.is_empty() {
                let place = FieldPath { attribute: Some(called.into()), ..self.place(node) };
                self.walked(node, place, value)?;
            }
        }
        Ok(name)
    }

    fn place(&self, node: Node<'r>) -> FieldPath<'r> {
        let (section, element) = (self.section, node.name().into());
        FieldPath { section, element, attribute: None, name: None }
    }

    fn walked(
        &mut self,
        node: Node<'r>,
        place: FieldPath<'r>,
        value: Value<'r>,
    ) -> Result<(), BinXmlError> {
        self.field(node, FieldValue::Own(Box::new((place, value))))
    }

    #[inline]
    fn field(&mut self, node: Node<'r>, held: FieldValue<'r>) -> Result<(), BinXmlError> {
        node.charge(COST)?;
        self.fields.push(EventField(held));
        Ok(())
    }
}
