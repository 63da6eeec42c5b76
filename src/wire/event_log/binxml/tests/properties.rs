//! Every generated event is decoded as intended, compared with a model that never sees the bytes.

use proptest::prelude::*;
use proptest::sample::select;

use super::super::test_encoder::Typed;
use super::*;

/// A value and its text; `None` for null.
fn value() -> impl Strategy<Value = (Typed, Option<String>)> {
    prop_oneof![
        Just(((token::NULL, Vec::new()), None)),
        "[a-z&<\"äß山]{0,8}".prop_map(|text| (string(&text), Some(text))),
        any::<u32>().prop_map(|n| ((token::UINT32, n.to_le_bytes().into()), Some(n.to_string()))),
        any::<i16>().prop_map(|n| ((token::INT16, n.to_le_bytes().into()), Some(n.to_string()))),
        any::<u64>()
            .prop_map(|n| ((token::HEX_INT64, n.to_le_bytes().into()), Some(format!("{n:#x}")))),
        any::<bool>().prop_map(|b| {
            ((token::BOOL, u32::from(b).to_le_bytes().into()), Some(b.to_string()))
        }),
        any::<u32>().prop_map(|rid| {
            let mut sid = b"\x01\x02\0\0\0\0\0\x05\x15\0\0\0".to_vec();
            sid.extend(rid.to_le_bytes());
            ((token::SID, sid), Some(format!("S-1-5-21-{rid}")))
        }),
    ]
}

/// A piece of text; value numbers are below 6.
fn piece() -> impl Strategy<Value = Part> {
    prop_oneof![
        "[a-z<& ]{1,6}".prop_map(Part::Text),
        (0u16..6).prop_map(Part::Value),
        select(&[0x41u16, 0x3c, 0x5c71][..]).prop_map(Part::Character),
        select(&["amp", "lt", "quot"][..]).prop_map(Part::Entity),
    ]
}

fn tag() -> impl Strategy<Value = Tag> {
    let name = || "[A-Z][a-z]{0,5}";
    let attribute = move || (name(), proptest::collection::vec(piece(), 0..3));
    let attributes = move || proptest::collection::vec(attribute(), 0..3);
    let depends = || proptest::option::weighted(0.3, 0u16..6);
    let whole =
        |(name, dependency, attributes, content)| Tag { name, dependency, attributes, content };
    let leaf =
        (name(), depends(), attributes(), proptest::collection::vec(piece(), 0..3)).prop_map(whole);
    leaf.prop_recursive(3, 20, 4, move |inner| {
        let part = prop_oneof![piece(), inner.prop_map(Part::Element)];
        (name(), depends(), attributes(), proptest::collection::vec(part, 0..4)).prop_map(whole)
    })
}

/// The model: the texts of the values, the last one for a fragment.
struct Model<'m> {
    values: &'m [Option<String>],
    inner: Option<(u16, &'m str)>,
}

impl Model<'_> {
    fn element(&self, tag: &Tag) -> String {
        match tag.dependency {
            Some(at) if self.is_null(at) => String::new(),
            _ => self.root(tag),
        }
    }

    /// The root element is always present.
    fn root(&self, tag: &Tag) -> String {
        let attributes = tag.attributes.iter().map(|(name, parts)| {
            let value: String = parts.iter().map(|part| self.text(part)).collect();
            if value.is_empty() { value } else { format!(" {name}=\"{}\"", escaped(&value)) }
        });
        let attributes: String = attributes.collect();
        let content = tag.content.iter().map(|part| match (part, self.inner) {
            (Part::Element(tag), _) => self.element(tag),
            (Part::Value(at), Some((inner, xml))) if *at == inner => xml.to_owned(),
            _ => escaped(&self.text(part)),
        });
        format!("<{0}{attributes}>{1}</{0}>", tag.name, content.collect::<String>())
    }

    fn is_null(&self, at: u16) -> bool {
        let is_inner = self.inner.is_some_and(|(inner, _)| inner == at);
        !is_inner && self.values.get(usize::from(at)).is_some_and(Option::is_none)
    }

    fn text(&self, part: &Part) -> String {
        match part {
            Part::Text(text) => text.clone(),
            Part::Character(code) => char::from_u32((*code).into()).unwrap().into(),
            Part::Entity("amp") => "&".to_owned(),
            Part::Entity("lt") => "<".to_owned(),
            Part::Entity(_) => "\"".to_owned(),
            Part::Value(at) => {
                self.values.get(usize::from(*at)).cloned().flatten().unwrap_or_default()
            }
            other => panic!("{other:?} is not generated"),
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_event_matches_the_model(
        outer in tag(),
        within in tag(),
        values in proptest::collection::vec(value(), 0..6),
        others in proptest::collection::vec(value(), 0..6),
    ) {
        let (mut sent, shown): (Vec<Typed>, Vec<_>) = values.into_iter().unzip();
        let (sent_within, shown_within): (Vec<Typed>, Vec<_>) = others.into_iter().unzip();
        let xml_within = Model { values: &shown_within, inner: None }.root(&within);
        let number = sent.len() as u16;
        sent.push(inner(instance(2, &within, &sent_within)));
        let fragment = instance(1, &outer, &sent);
        let model = Model { values: &shown, inner: Some((number, &xml_within)) };
        let mut decoder = Decoder::default();
        prop_assert_eq!(decoder.xml(&fragment), Ok(model.root(&outer)));
        prop_assert_eq!(decoder.xml(&fragment), Ok(model.root(&outer)), "the second time");
    }

    #[test]
    fn every_field_is_found_by_its_name(
        fields in proptest::collection::vec(("[A-Z][a-z]{1,8}", value()), 0..12),
    ) {
        let data = fields.iter().enumerate().map(|(at, (name, _))| {
            Part::Element(Tag::data(name, Part::Value(at as u16)))
        });
        let section = Tag::new("EventData", data.collect());
        let sent: Vec<Typed> = fields.iter().map(|(_, (typed, _))| typed.clone()).collect();
        let nested = instance(2, &section, &sent);
        let fragment = instance(1, &event(vec![Part::Value(0)]), &[inner(nested)]);
        let mut decoder = Decoder::default();
        let record = decoder.record(&fragment).unwrap();
        let read = record.fields.iter().map(|field| {
            let value = (field.value() != crate::event_log::Value::Null).then(|| field.value().to_string());
            (field.name().to_owned(), value)
        });
        let meant: Vec<_> = fields.iter().map(|(name, (_, shown))| (name.clone(), shown.clone())).collect();
        prop_assert_eq!(read.collect::<Vec<_>>(), meant);
        for (name, (_, shown)) in &fields {
            let first = fields.iter().find(|(other, _)| other == name).map(|(_, (_, shown))| shown);
            let text = record.field(name).unwrap().to_string();
            prop_assert_eq!(&text, first.unwrap_or(shown).as_deref().unwrap_or_default());
        }
    }
}
