//! The mapping from the values of a template to fields. It is computed once per template, so that
//! decoding an event is one pass over a list without name comparisons.
//!
//! Only elements whose structure does not depend on values have a [`Plan`]; nearly all Windows
//! events qualify. Other elements, and those with a fragment in place of a text, are walked, with
//! the same result.

use crate::event_log::field_path::{EventSection, FieldPath};
use crate::event_log::system_element::SystemElement;

/// How an element below `Event` is decoded.
#[derive(Debug, PartialEq)]
pub(in crate::event_log) enum Plan {
    /// `System`.
    System(SystemPlan),
    /// `EventData`, `UserData` and other sections.
    Fields(FieldPlan),
}

/// The elements of `System`, in order.
#[derive(Debug, PartialEq)]
pub(in crate::event_log) struct SystemPlan {
    /// The cost of visiting `System` itself.
    pub(in crate::event_log) cost: usize,
    pub(in crate::event_log) steps: Box<[SystemStep]>,
}

/// One element of `System`.
#[derive(Debug, PartialEq)]
pub(in crate::event_log) struct SystemStep {
    pub(in crate::event_log) dependency: Option<u16>,
    pub(in crate::event_log) cost: usize,
    /// The element, if known, and the sources of its values.
    pub(in crate::event_log) heading: Option<(SystemElement, [Source; 2])>,
}

/// The fields of an element, in order.
#[derive(Debug, PartialEq)]
pub(in crate::event_log) struct FieldPlan {
    pub(in crate::event_log) steps: Box<[Step]>,
    /// The maximum number of fields, not counting array items.
    pub(in crate::event_log) fields: usize,
    /// The nesting depth of the elements.
    pub(in crate::event_log) depth: usize,
    /// The values used as the text of an element. A fragment in such a value would be an element
    /// instead.
    pub(in crate::event_log) texts: Box<[u16]>,
}

/// One step of a plan.
#[derive(Debug, PartialEq)]
pub(in crate::event_log) enum Step {
    /// Visits an element and charges its cost. When the element is absent, continues at `behind`.
    Element { dependency: Option<u16>, cost: usize, behind: usize },
    /// A field from an attribute, unless it is empty.
    Attribute(FieldPath<'static>, Source),
    /// A field from the text of an element; an array gives one field per item.
    Text(FieldPath<'static>, Source),
}

/// The source of a value.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::event_log) enum Source {
    Nothing,
    Text(Box<str>),
    /// The value with this number.
    Value(u16),
}

/// The value that holds the data of an event and is used once in its template.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DataValue {
    pub(super) number: u16,
    /// The section whose only content it is, and the cost of visiting the section; `None` when the
    /// value is the section itself.
    pub(super) within: Option<(EventSection, usize)>,
}
