//! An element together with the values of its template instance.

use std::borrow::Cow;
use std::cell::Cell;

use super::error::BinXmlError;
use super::parsed::{ParsedEvent, Slot};
use super::plan::{Plan, Source};
use super::raw::RawValue;
use super::templates::TemplateCache;
use super::token;
use super::tree::{Content, Element, TextPiece};
use super::value::Value;
use crate::event_log::field_path::FieldPath;

/// The received event and its parsed structure.
#[derive(Debug, Clone, Copy)]
pub(in crate::event_log) struct EventBuffer<'r> {
    pub(in crate::event_log) bytes: &'r [u8],
    pub(in crate::event_log) parsed: &'r ParsedEvent,
    pub(in crate::event_log) templates: &'r TemplateCache,
    /// The remaining output budget. Values can be used many times and can be fragments, so that a
    /// few kilobytes could expand without limit.
    pub(in crate::event_log) left: &'r Cell<usize>,
}

/// An element, and the values of its template instance.
#[derive(Debug, Clone, Copy)]
pub(in crate::event_log) struct Node<'r> {
    whole: EventBuffer<'r>,
    element: &'r Element,
    slots: &'r [Slot],
}

/// A child of `Event`.
#[derive(Debug, Clone, Copy)]
pub(in crate::event_log) enum EventChild<'r> {
    Element(Node<'r>),
    /// A fragment that was read directly into fields.
    Fields(EventBuffer<'r>, usize),
}

/// A child of an element.
#[derive(Debug, Clone, Copy)]
pub(super) enum ElementChild<'r> {
    Node(Node<'r>),
    Piece(&'r TextPiece),
    Instruction { target: &'r str, data: &'r str },
}

impl<'r> EventBuffer<'r> {
    /// The root element.
    pub(in crate::event_log) fn root(self) -> Option<Node<'r>> {
        self.fragment(0)
    }

    /// The fields of a fragment, and the cost of reading them.
    pub(in crate::event_log) fn fields(
        self,
        number: usize,
    ) -> Option<(usize, impl Iterator<Item = (&'r FieldPath<'r>, RawValue<'r>)>)> {
        self.parsed.fields(number, self.bytes)
    }

    /// Charges `size` bytes to the output budget.
    pub(in crate::event_log) fn charge(self, size: usize) -> Result<(), BinXmlError> {
        let left = self.left.get().checked_sub(size).ok_or(BinXmlError::Output)?;
        self.left.set(left);
        Ok(())
    }

    fn fragment(self, number: usize) -> Option<Node<'r>> {
        let (element, slots) = self.parsed.fragment(number, self.templates)?;
        Some(Node { whole: self, element, slots })
    }
}

impl<'r> Node<'r> {
    pub(in crate::event_log) fn name(self) -> &'r str {
        &self.element.name
    }

    /// Charges `size` bytes to the output budget.
    pub(in crate::event_log) fn charge(self, size: usize) -> Result<(), BinXmlError> {
        self.whole.charge(size)
    }

    /// Charges one visit of the element.
    pub(in crate::event_log) fn charge_visit(self) -> Result<(), BinXmlError> {
        self.charge(self.element.cost())
    }

    /// The plan for this element below `Event`, if it applies: `None` when a value that the plan
    /// uses as text is a fragment, or when the plan nests deeper than `depth`.
    pub(in crate::event_log) fn plan(self, depth: usize) -> Option<&'r Plan> {
        let plan = self.element.plan.as_deref()?;
        let is_fragment =
            |number: &u16| self.slot(*number).is_some_and(|slot| slot.fragment.is_some());
        match plan {
            Plan::Fields(plan) if plan.depth > depth => None,
            Plan::Fields(plan) if plan.texts.iter().any(is_fragment) => None,
            plan => Some(plan),
        }
    }

    /// The value of `source`. Inlined into both callers: returning it through memory took a tenth
    /// of the time of an event.
    #[inline(always)]
    pub(in crate::event_log) fn raw(self, source: &'r Source) -> Result<RawValue<'r>, BinXmlError> {
        match source {
            Source::Nothing => Ok(RawValue::NULL),
            Source::Text(text) => Ok(RawValue::Text(text)),
            Source::Value(number) => match self.slot(*number) {
                Some(slot) if slot.kind != token::FRAGMENT => {
                    let bytes = slot.bytes(self.whole.bytes);
                    self.charge(bytes.len())?;
                    RawValue::of(slot.kind, bytes)
                }
                _ => Ok(RawValue::NULL),
            },
        }
    }

    /// Whether the element is present: the value that it depends on must not be null. A value that
    /// was not sent has no type and is not null.
    pub(in crate::event_log) fn is_present(self) -> bool {
        self.has(self.element.dependency)
    }

    /// Whether an element that depends on this value is present.
    pub(in crate::event_log) fn has(self, dependency: Option<u16>) -> bool {
        let Some(number) = dependency else { return true };
        self.slot(number).is_none_or(|slot| slot.kind != token::NULL)
    }

    /// The content of the element. Values that are fragments are replaced by their root element.
    pub(super) fn children(self) -> impl Iterator<Item = ElementChild<'r>> {
        self.element.content.iter().map(move |content| match content {
            Content::Element(element) => ElementChild::Node(Node { element, ..self }),
            Content::Instruction { target, data } => ElementChild::Instruction { target, data },
            Content::Piece(piece) => match self.inner(piece) {
                Some(node) => ElementChild::Node(node),
                None => ElementChild::Piece(piece),
            },
        })
    }

    /// The root element of the fragment in the value `piece`, if the value is a fragment.
    fn inner(self, piece: &TextPiece) -> Option<Self> {
        let TextPiece::Value(number) = piece else { return None };
        self.whole.fragment(self.slot(*number)?.fragment?)
    }

    /// The children of the `Event` element.
    pub(in crate::event_log) fn event_children(self) -> impl Iterator<Item = EventChild<'r>> {
        self.element.content.iter().filter_map(move |content| match content {
            Content::Element(element) => {
                let node = Self { element, ..self };
                Some(node.inline_fields().unwrap_or(EventChild::Element(node)))
            }
            Content::Piece(TextPiece::Value(number)) => {
                let number = self.slot(*number)?.fragment?;
                let whole = self.whole;
                Some(match whole.fragment(number) {
                    Some(node) => EventChild::Element(node),
                    None => EventChild::Fields(whole, number),
                })
            }
            Content::Piece(_) | Content::Instruction { .. } => None,
        })
    }

    /// The fragment that is the only content, when it was read into fields.
    fn inline_fields(self) -> Option<EventChild<'r>> {
        let [Content::Piece(TextPiece::Value(number))] = &*self.element.content else {
            return None;
        };
        let number = self.slot(*number)?.fragment?;
        let fields = EventChild::Fields(self.whole, number);
        self.whole.fragment(number).is_none().then_some(fields)
    }

    /// The child elements that are present.
    pub(in crate::event_log) fn elements(self) -> impl Iterator<Item = Self> {
        self.children().filter_map(|child| match child {
            ElementChild::Node(node) if node.is_present() => Some(node),
            _ => None,
        })
    }

    /// The attributes, in order.
    pub(in crate::event_log) fn attributes(
        self,
    ) -> impl Iterator<Item = (&'r str, Result<Value<'r>, BinXmlError>)> {
        let attributes = self.element.attributes.iter();
        attributes.map(move |one| (&*one.name, self.joined(one.value.iter())))
    }

    /// The value of the attribute `name`; null when it is missing.
    pub(in crate::event_log) fn attribute(self, name: &str) -> Result<Value<'r>, BinXmlError> {
        match self.element.attributes.iter().find(|attribute| *attribute.name == *name) {
            Some(attribute) => self.joined(attribute.value.iter()),
            None => Ok(Value::Null),
        }
    }

    /// The text content, without the text of child elements.
    pub(in crate::event_log) fn text(self) -> Result<Value<'r>, BinXmlError> {
        self.joined(self.children().filter_map(|child| match child {
            ElementChild::Piece(piece) => Some(piece),
            _ => None,
        }))
    }

    /// Whether the content is exactly one value. When that value is an array, the element is
    /// repeated for each item (MS-EVEN6 section 2.2.12.1).
    pub(in crate::event_log) fn is_value(self) -> bool {
        matches!(&*self.element.content, [Content::Piece(TextPiece::Value(_))])
    }

    /// A single piece keeps its type; several are concatenated as text.
    fn joined(
        self,
        mut pieces: impl Iterator<Item = &'r TextPiece>,
    ) -> Result<Value<'r>, BinXmlError> {
        let Some(first) = pieces.next() else { return Ok(Value::Null) };
        let first = self.piece(first)?;
        let Some(second) = pieces.next() else { return Ok(first) };
        let mut text = first.to_text().into_owned();
        for piece in std::iter::once(second).chain(pieces) {
            let more = self.piece(piece)?;
            let more = more.to_text();
            self.charge(more.len())?;
            text.push_str(&more);
        }
        Ok(Value::Text(Cow::Owned(text)))
    }

    /// The value of a piece of text. A value that is a fragment, or that was not sent, is null.
    pub(super) fn piece(self, piece: &'r TextPiece) -> Result<Value<'r>, BinXmlError> {
        Ok(match piece {
            TextPiece::Text(text) | TextPiece::Cdata(text) => Value::Text(Cow::Borrowed(text)),
            TextPiece::Character(char) => Value::Text(Cow::Owned(char.to_string())),
            TextPiece::Entity(name) => Value::Text(entity(name)),
            TextPiece::Value(number) => match self.slot(*number) {
                Some(slot) if slot.kind == token::FRAGMENT => Value::Null,
                Some(slot) => {
                    let bytes = slot.bytes(self.whole.bytes);
                    self.charge(bytes.len())?;
                    Value::read(slot.kind, bytes)?
                }
                None => Value::Null,
            },
        })
    }

    fn slot(self, number: u16) -> Option<&'r Slot> {
        self.slots.get(usize::from(number))
    }
}

/// The character of a predefined XML 1.0 entity, or the reference itself.
fn entity(name: &str) -> Cow<'_, str> {
    match name {
        "amp" => "&".into(),
        "lt" => "<".into(),
        "gt" => ">".into(),
        "quot" => "\"".into(),
        "apos" => "'".into(),
        other => format!("&{other};").into(),
    }
}
