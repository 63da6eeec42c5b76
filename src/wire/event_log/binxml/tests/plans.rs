//! An event decoded with a plan equals the event that is walked: same fields, same error, same
//! cost.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::node::EventChild;
use super::super::parsed::ParseMode;
use super::super::test_encoder::Typed;
use super::*;
use crate::event_log::{EventRecord, Value};

/// Values of the types with different code paths, some with an invalid length.
fn value() -> impl Strategy<Value = Typed> {
    let inside = Tag::new("EventData", vec![Part::Element(Tag::data("In", Part::Value(0)))]);
    prop_oneof![
        1 => Just((token::NULL, Vec::new())),
        4 => "[a-z ]{0,6}".prop_map(|text| string(&text)),
        2 => any::<u32>().prop_map(|number| (token::UINT32, number.to_le_bytes().into())),
        1 => Just((token::ARRAY | token::STRING, wide("a\0\0b\0"))),
        1 => Just((token::ARRAY | token::UINT16, Vec::new())),
        1 => select(&[0, 3, 4, 8][..]).prop_map(|length| (token::FILE_TIME, vec![1; length])),
        1 => Just((token::FRAGMENT, Vec::new())),
        1 => Just(inner(instance(3, &inside, &[string("x")]))),
        1 => Just(inner(plain(&Tag::new("Other", vec![text("y")])))),
    ]
}

fn piece() -> impl Strategy<Value = Part> {
    prop_oneof![
        2 => select(&["", " ", "7", "text"][..]).prop_map(text),
        5 => (0u16..8).prop_map(Part::Value),
        1 => Just(Part::Character(0x41)),
        1 => Just(Part::Entity("amp")),
    ]
}

/// Usually one piece, sometimes none or several.
fn pieces() -> impl Strategy<Value = Vec<Part>> {
    prop_oneof![6 => vec(piece(), 1), 1 => vec(piece(), 0..4)]
}

/// An element named from `names`, with attributes named from `attributes`.
fn tag(
    names: &'static [&'static str],
    attributes: &'static [&'static str],
) -> impl Strategy<Value = Tag> {
    let attribute = (select(attributes).prop_map(str::to_owned), pieces());
    let dependency = proptest::option::weighted(0.2, 0u16..8);
    (select(names), dependency, vec(attribute, 0..3), pieces()).prop_map(
        |(name, dependency, attributes, content)| Tag {
            dependency,
            attributes,
            ..Tag::new(name, content)
        },
    )
}

fn system() -> impl Strategy<Value = Tag> {
    const ELEMENTS: &[&str] =
        &["Provider", "EventID", "Level", "TimeCreated", "Execution", "Channel", "Security", "New"];
    const ATTRIBUTES: &[&str] = &["Name", "Guid", "SystemTime", "UserID", "ProcessID"];
    let id = Part::Element(Tag::new("EventID", vec![text("4624")]));
    vec(tag(ELEMENTS, ATTRIBUTES).prop_map(Part::Element), 0..6).prop_map(move |elements| {
        Tag::new("System", std::iter::once(id.clone()).chain(elements).collect())
    })
}

/// An element below `Event`: mostly elements only, up to three levels.
fn section() -> impl Strategy<Value = Tag> {
    const ELEMENTS: &[&str] = &["Data", "ComplexData", "EventXML", "Param"];
    const ATTRIBUTES: &[&str] = &["Name", "Name", "Type", "xmlns", "xmlns:a"];
    let leaf = tag(ELEMENTS, ATTRIBUTES);
    let inner = leaf.prop_recursive(2, 12, 4, |inner| {
        let content = vec(inner.prop_map(Part::Element), 1..4);
        (tag(ELEMENTS, ATTRIBUTES), content, prop::bool::weighted(0.1)).prop_map(
            |(tag, content, mixed)| {
                let mut tag = tag;
                if !mixed {
                    tag.content.clear();
                }
                tag.content.extend(content);
                tag
            },
        )
    });
    let name = select(&["EventData", "UserData", "RenderingInfo"][..]);
    let attributes = tag(&["EventData"], ATTRIBUTES);
    (name, attributes, vec(inner.prop_map(Part::Element), 0..5))
        .prop_map(|(name, outermost, content)| Tag { name: name.to_owned(), content, ..outermost })
}

/// A decoder whose cache is full for the identifiers 1 and 2, so that it parses every other
/// template again.
fn without_plans(limits: Limits) -> Decoder {
    let mut decoder = Decoder::new(limits);
    for name in ["A", "B", "C", "D"] {
        for identifier in [1, 2] {
            let _ = decoder.record(&instance(identifier, &Tag::new(name, Vec::new()), &[]));
        }
    }
    assert_eq!(decoder.templates(), 8);
    decoder
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn plan_equals_walking_the_element(
        system in system(),
        sections in vec(section(), 1..3),
        within in section(),
        values in vec(value(), 0..8),
        others in vec(value(), 0..8),
        limits in (select(&[4, 6, 64][..]), select(&[400, 2000, 1 << 20][..])),
    ) {
        let (depth, output) = limits;
        let limits = Limits { depth, output, ..Limits::default() };
        let number = values.len() as u16;
        let elements = [system].into_iter().chain(sections).map(Part::Element);
        let event = Tag::new("Event", elements.chain([Part::Value(number)]).collect());
        let data = inner(instance(2, &within, &others));
        let values: Vec<_> = values.into_iter().chain([data]).collect();
        let fragment = instance(1, &event, &values);
        let mut walking = without_plans(limits);
        let walked = walking.record(&fragment);
        let mut planning = Decoder::new(limits);
        prop_assert_eq!(&planning.record(&fragment), &walked);
        prop_assert_eq!(&planning.record(&fragment), &walked, "the second time");
    }
}

/// `tag` with texts in place of values, as a provider without a template writes it.
fn spelt_out(tag: Tag) -> Tag {
    let spelt = |part| match part {
        Part::Value(number) => text(["", "a", " ", "1000", "\0"][usize::from(number) % 5]),
        Part::Element(inner) => Part::Element(spelt_out(inner)),
        other => other,
    };
    let attributes = tag.attributes.into_iter();
    let attributes =
        attributes.map(|(name, parts)| (name, parts.into_iter().map(spelt).collect())).collect();
    let content = tag.content.into_iter().map(spelt).collect();
    Tag { attributes, content, ..tag }
}

/// The fields of an event. Whether texts are decoded in place makes no difference.
fn field_texts(
    record: Result<EventRecord<'_>, BinXmlError>,
) -> Result<Vec<(String, String)>, BinXmlError> {
    let record = record?;
    let field_texts = record.fields.iter().map(|field| {
        assert!(matches!(field.value(), Value::Null | Value::Text(_) | Value::String(_)));
        (format!("{:?}", field.place()), field.value().to_string())
    });
    Ok(field_texts.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn inline_fragment_equals_walked_fragment(
        within in section().prop_map(spelt_out),
        other in section().prop_map(spelt_out),
        limits in (select(&[2, 4, 64][..]), select(&[400, 2000, 1 << 20][..])),
        hit in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let (depth, output) = limits;
        let limits = Limits { depth, output, ..Limits::default() };
        let (mut walking, mut reading) = (without_plans(limits), Decoder::new(limits));
        for data in [&within, &other, &within] {
            let mut data = plain(data);
            if let Some((at, value)) = &hit {
                let at = at.index(data.len());
                data[at] = *value;
            }
            let fragment = instance(1, &event(vec![Part::Value(0)]), &[inner(data)]);
            prop_assert_eq!(field_texts(reading.record(&fragment)), field_texts(walking.record(&fragment)));
        }
    }
}

/// The common shapes of Windows events have plans, so that the property above covers them.
#[test]
fn common_shapes_have_plans() {
    let data = Tag::new("EventData", vec![Part::Element(Tag::data("A", Part::Value(0)))]);
    let user = Tag::new("EventXML", vec![Part::Element(Tag::new("A", vec![Part::Value(0)]))]);
    let user = Tag::new("UserData", vec![Part::Element(user.with("xmlns", text("Event_NS")))]);
    for section in [data, user] {
        let event = event(vec![Part::Element(section)]);
        let fragment = instance(1, &event, &[string("x")]);
        let mut decoder = Decoder::default();
        let root = decoder.root(&fragment, ParseMode::Fields).unwrap();
        assert!(root.elements().all(|node| node.plan(9).is_some()), "{event:?}");
        assert_eq!(root.elements().count(), 2);
    }
    let leaf = Tag::data("A", text("x"));
    let data = Tag::new("EventData", vec![Part::Element(leaf.clone()), Part::Element(leaf)]);
    let fragment = instance(1, &event(vec![Part::Value(0)]), &[inner(plain(&data))]);
    let mut decoder = Decoder::default();
    let root = decoder.root(&fragment, ParseMode::Fields).unwrap();
    assert!(root.event_children().any(|below| matches!(below, EventChild::Fields(..))));
}
