//! What a template makes of its values, worked out once: reading an event is then one walk over a
//! list, and no name is looked at again.
//!
//! Only elements that are the same whatever the values say have a [`Plan`]; nearly all of Windows'
//! are. What has none, or has a fragment where text was to be, is walked over element by element,
//! with the same result.

use crate::event_log::field_path::{Place, Section};
use crate::event_log::system_element::Heading;

/// How an element below `Event` is read.
#[derive(Debug, PartialEq)]
pub(in crate::event_log) enum Plan {
    /// `System`.
    System(SystemPlan),
    /// `EventData`, `UserData` and others.
    Fields(FieldPlan),
}

/// The elements of `System`, in order.
#[derive(Debug, PartialEq)]
pub(in crate::event_log) struct SystemPlan {
    /// What looking at `System` itself costs.
    pub(in crate::event_log) cost: usize,
    pub(in crate::event_log) steps: Box<[SystemStep]>,
}

/// One element of `System`.
#[derive(Debug, PartialEq)]
pub(in crate::event_log) struct SystemStep {
    pub(in crate::event_log) dependency: Option<u16>,
    pub(in crate::event_log) cost: usize,
    /// What it is, where that is known, and the values that say so.
    pub(in crate::event_log) heading: Option<(Heading, [Source; 2])>,
}

/// The fields of an element, in order.
#[derive(Debug, PartialEq)]
pub(in crate::event_log) struct FieldPlan {
    pub(in crate::event_log) steps: Box<[Step]>,
    /// How many fields it has at most, but for arrays.
    pub(in crate::event_log) fields: usize,
    /// How many elements are within one another.
    pub(in crate::event_log) depth: usize,
    /// The values that are the text of an element: one that is a fragment would be an element.
    pub(in crate::event_log) texts: Box<[u16]>,
}

/// What there is to do.
#[derive(Debug, PartialEq)]
pub(in crate::event_log) enum Step {
    /// An element, which looking at costs something; reading goes on at `behind` when it is not there.
    Element { dependency: Option<u16>, cost: usize, behind: usize },
    /// A field that is an attribute, unless it is empty.
    Attribute(Place<'static>, Source),
    /// A field that is the text of an element; an array is a field for each item.
    Text(Place<'static>, Source),
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::event_log) enum Source {
    Nothing,
    Text(Box<str>),
    /// The value with this number.
    Value(u16),
}

/// The value that is the data of an event, and stands nowhere else in its template.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Data {
    pub(super) number: u16,
    /// The section that it is all of, and what looking at that costs; without one it is the section
    /// itself.
    pub(super) within: Option<(Section, usize)>,
}
