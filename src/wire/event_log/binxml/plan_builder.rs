//! Builds the plans of a template when it is parsed.

use super::plan::{DataValue, FieldPlan, Plan, Source, Step, SystemPlan, SystemStep};
use super::tree::{Content, Element, TextPiece};
use crate::event_log::field_path::{EventSection, FieldPath};
use crate::event_log::system_element::{ElementPart, SystemElement};

/// Adds plans to the elements of a template: to those below `Event`, or to the root of a fragment
/// that is a child of `Event`.
pub(super) fn attach_plans(root: &mut Element) {
    if root.name() != "Event" {
        root.plan = plan(root).map(Box::new);
        return;
    }
    for content in &mut root.content {
        if let Content::Element(element) = content {
            element.plan = plan(element).map(Box::new);
        }
    }
}

/// Finds the data value of the event template `root`: a value below `Event`, or the only content of
/// an element there.
pub(super) fn find_data_value(root: &Element) -> Option<DataValue> {
    let mut below = root.content.iter().filter_map(|content| match content {
        Content::Piece(TextPiece::Value(number)) => {
            Some(DataValue { number: *number, within: None })
        }
        Content::Element(element) => {
            let [Content::Piece(TextPiece::Value(number))] = *element.content else { return None };
            let is_section = element.name() != "System"
                && element.attributes.is_empty()
                && element.dependency.is_none_or(|dependency| dependency == number);
            let within = Some((EventSection::of(element.name()), element.cost()));
            is_section.then_some(DataValue { number, within })
        }
        _ => None,
    });
    let data = below.next().filter(|_| root.name() == "Event")?;
    (uses(root, data.number) == 1).then_some(data)
}

/// How often `element` uses the value `number`.
fn uses(element: &Element, number: u16) -> usize {
    let is_it = |piece: &&TextPiece| **piece == TextPiece::Value(number);
    let attributes = element.attributes.iter().flat_map(|attribute| &attribute.value);
    let content = element.content.iter().map(|content| match content {
        Content::Element(inner) => uses(inner, number),
        Content::Piece(piece) => usize::from(is_it(&piece)),
        Content::Instruction { .. } => 0,
    });
    attributes.filter(is_it).count() + content.sum::<usize>()
}

fn plan(element: &Element) -> Option<Plan> {
    let section = match element.name() {
        "System" => return system(element).map(Plan::System),
        name => EventSection::of(name),
    };
    let mut builder = PlanBuilder { section, steps: Vec::new(), depth: 0 };
    builder.parent(element, 1)?;
    let PlanBuilder { steps, depth, .. } = builder;
    let fields = steps.iter().filter(|step| !matches!(step, Step::Element { .. })).count();
    let texts = steps.iter().filter_map(|step| match step {
        Step::Text(_, Source::Value(number)) => Some(*number),
        _ => None,
    });
    let texts = texts.collect();
    Some(Plan::Fields(FieldPlan { steps: steps.into(), fields, depth, texts }))
}

fn system(system: &Element) -> Option<SystemPlan> {
    let steps = system.content.iter().map(|content| match content {
        Content::Element(element) => {
            let known = SystemElement::of(element.name());
            let heading = match known.map(|heading| {
                let [first, second] = heading.parts().map(|part| source_of(element, part));
                Some((heading, [first?, second?]))
            }) {
                Some(None) => return None,
                known => known.flatten(),
            };
            Some(SystemStep { dependency: element.dependency, cost: element.cost(), heading })
        }
        Content::Piece(_) | Content::Instruction { .. } => None,
    });
    Some(SystemPlan { cost: system.cost(), steps: steps.collect::<Option<_>>()? })
}

/// The source of a part of `element`; `None` when it is concatenated from several pieces.
fn source_of(element: &Element, part: ElementPart) -> Option<Source> {
    match part {
        ElementPart::Nothing => Some(Source::Nothing),
        ElementPart::Text => text(element),
        ElementPart::Attribute(name) => {
            match element.attributes.iter().find(|attribute| *attribute.name == *name) {
                None => Some(Source::Nothing),
                Some(attribute) => alone(&attribute.value),
            }
        }
    }
}

fn text(element: &Element) -> Option<Source> {
    match &*element.content {
        [] => Some(Source::Nothing),
        [Content::Piece(piece)] => single(piece),
        _ => None,
    }
}

fn alone(pieces: &[TextPiece]) -> Option<Source> {
    match pieces {
        [] => Some(Source::Nothing),
        [piece] => single(piece),
        _ => None,
    }
}

fn single(piece: &TextPiece) -> Option<Source> {
    match piece {
        TextPiece::Text(text) | TextPiece::Cdata(text) => Some(Source::Text(text.clone())),
        TextPiece::Value(number) => Some(Source::Value(*number)),
        TextPiece::Character(_) | TextPiece::Entity(_) => None,
    }
}

/// A plan under construction. The methods return `None` for elements that must be walked.
struct PlanBuilder {
    section: EventSection,
    steps: Vec<Step>,
    depth: usize,
}

impl PlanBuilder {
    /// An element without text that contains elements, at least one of them unconditionally, or the
    /// root element.
    fn parent(&mut self, element: &Element, depth: usize) -> Option<()> {
        let begin = self.begin(element, depth);
        if self.attributes(element)?.is_some() {
            return None;
        }
        for content in &element.content {
            let Content::Element(inner) = content else { return None };
            let is_parent = inner.content.iter().any(|content| match content {
                Content::Element(within) => within.dependency.is_none(),
                Content::Piece(_) | Content::Instruction { .. } => false,
            });
            match is_parent {
                true => self.parent(inner, depth + 1)?,
                false => self.leaf(inner, depth + 1)?,
            }
        }
        self.end(begin);
        Some(())
    }

    fn leaf(&mut self, element: &Element, depth: usize) -> Option<()> {
        let begin = self.begin(element, depth);
        let name = self.attributes(element)?;
        let place = FieldPath { name: name.map(Into::into), ..self.place(element) };
        self.steps.push(Step::Text(place, text(element)?));
        self.end(begin);
        Some(())
    }

    /// The attributes that are fields, and the value of the one that names the field.
    fn attributes(&mut self, element: &Element) -> Option<Option<String>> {
        let mut name = None;
        for attribute in &element.attributes {
            let called = &*attribute.name;
            if EventSection::is_of_xml(called) {
                let ([] | [TextPiece::Text(_)]) = &*attribute.value else { return None };
                continue;
            }
            if self.section.names(element.name(), called) {
                let [TextPiece::Text(text)] = &*attribute.value else { return None };
                name = Some(text.to_string());
                continue;
            }
            let attribute_of = Some(called.to_owned().into());
            let place = FieldPath { attribute: attribute_of, ..self.place(element) };
            self.steps.push(Step::Attribute(place, alone(&attribute.value)?));
        }
        Some(name)
    }

    fn place(&self, element: &Element) -> FieldPath<'static> {
        let element = element.name().to_owned().into();
        FieldPath { section: self.section, element, attribute: None, name: None }
    }

    fn begin(&mut self, element: &Element, depth: usize) -> usize {
        self.depth = self.depth.max(depth);
        let (dependency, cost) = (element.dependency, element.cost());
        self.steps.push(Step::Element { dependency, cost, behind: 0 });
        self.steps.len() - 1
    }

    fn end(&mut self, begin: usize) {
        let end = self.steps.len();
        if let Some(Step::Element { behind, .. }) = self.steps.get_mut(begin) {
            *behind = end;
        }
    }
}
