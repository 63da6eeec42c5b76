//! Reads the fields of one element below `Event`, with its plan or by walking it.

use std::borrow::Cow;

use super::{Field, Held};
use crate::event_log::binxml::node::{Node, Whole};
use crate::event_log::binxml::plan::{FieldPlan, Plan, Step};
use crate::event_log::binxml::raw::Raw;
use crate::event_log::binxml::{Problem, Value};
use crate::event_log::field_path::{Place, Section};

/// The maximum number of fields to reserve memory for: more than any event of the security log has.
const ROOM: usize = 64;

/// The memory for one field, in bytes.
const COST: usize = size_of::<Field<'_>>() + size_of::<(Place<'_>, Value<'_>)>();

/// Adds the fields of a fragment that was read directly into fields.
pub(super) fn plain<'r>(
    whole: Whole<'r>,
    number: usize,
    fields: &mut Vec<Field<'r>>,
) -> Result<(), Problem> {
    let Some((cost, found)) = whole.fields(number) else { return Ok(()) };
    whole.spend(cost)?;
    for (place, raw) in found {
        whole.spend(COST)?;
        fields.push(Field(Held::Known(place, raw)));
    }
    Ok(())
}

/// The fields found so far, and the current section.
pub(super) struct Reading<'f, 'r> {
    fields: &'f mut Vec<Field<'r>>,
    section: Section,
}

impl<'f, 'r> Reading<'f, 'r> {
    pub(super) const fn new(section: Section, fields: &'f mut Vec<Field<'r>>) -> Self {
        Self { fields, section }
    }

    /// Reads the element `node` below `Event`, with at most `depth` nested elements.
    pub(super) fn section(&mut self, node: Node<'r>, depth: usize) -> Result<(), Problem> {
        match node.plan(depth) {
            Some(Plan::Fields(plan)) => self.planned(plan, node),
            _ => self.part(node, depth),
        }
    }

    fn planned(&mut self, plan: &'r FieldPlan, node: Node<'r>) -> Result<(), Problem> {
        self.fields.reserve(plan.fields.min(ROOM));
        let mut at = 0;
        while let Some(step) = plan.steps.get(at) {
            at += 1;
            match step {
                Step::Element { dependency, behind, .. } if !node.has(*dependency) => at = *behind,
                Step::Element { cost, .. } => node.spend(*cost)?,
                Step::Attribute(place, source) => {
                    let raw = node.raw(source)?;
                    if !raw.is_empty() {
                        self.field(node, Held::Known(place, raw))?;
                    }
                }
                Step::Text(place, source) => {
                    let raw = node.raw(source)?;
                    match raw.array() {
                        None => self.field(node, Held::Known(place, raw))?,
                        Some(array) => {
                            for item in Raw::items(array) {
                                self.field(node, Held::Known(place, item))?;
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
    fn part(&mut self, node: Node<'r>, depth: usize) -> Result<(), Problem> {
        let depth = depth.checked_sub(1).ok_or(Problem::Depth)?;
        node.enter()?;
        if let Some(name) = self.attributes(node)? {
            let place = Place { attribute: Some("Name".into()), ..self.place(node) };
            self.walked(node, place, Value::Text(name))?;
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
            false => self.walked(node, self.place(node), value),
        }
    }

    /// An element without child elements: its attributes and its text, one field per array item.
    fn leaf(&mut self, node: Node<'r>) -> Result<(), Problem> {
        node.enter()?;
        let name = self.attributes(node)?;
        let place = Place { name, ..self.place(node) };
        match node.text()? {
            Value::Array(array) if node.is_value() => {
                array.items().try_for_each(|item| self.walked(node, place.clone(), item))
            }
            value => self.walked(node, place, value),
        }
    }

    /// Adds the attributes as fields, except the name and namespace declarations. Returns the name.
    fn attributes(&mut self, node: Node<'r>) -> Result<Option<Cow<'r, str>>, Problem> {
        let mut name = None;
        for (called, value) in node.attributes() {
            let value = value?;
            if Section::is_of_xml(called) {
                continue;
            }
            if self.section.names(node.name(), called) {
                name = Some(match value {
                    Value::Text(text) => text,
                    other => Cow::Owned(other.to_text().into_owned()),
                });
            } else if !value.is_empty() {
                let place = Place { attribute: Some(called.into()), ..self.place(node) };
                self.walked(node, place, value)?;
            }
        }
        Ok(name)
    }

    fn place(&self, node: Node<'r>) -> Place<'r> {
        let (section, element) = (self.section, node.name().into());
        Place { section, element, attribute: None, name: None }
    }

    fn walked(
        &mut self,
        node: Node<'r>,
        place: Place<'r>,
        value: Value<'r>,
    ) -> Result<(), Problem> {
        self.field(node, Held::Own(Box::new((place, value))))
    }

    #[inline]
    fn field(&mut self, node: Node<'r>, held: Held<'r>) -> Result<(), Problem> {
        node.spend(COST)?;
        self.fields.push(Field(held));
        Ok(())
    }
}
