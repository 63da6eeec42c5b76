//! Hostile events: too deep, too many values, too long, or built to expand.

use proptest::prelude::*;

use super::*;

fn problem(fragment: &[u8]) -> BinXmlError {
    let mut decoder = Decoder::default();
    let read = decoder.record(fragment).map(drop).unwrap_err();
    assert_eq!(Decoder::default().xml(fragment), Err(read));
    read
}

/// `EventData` with elements nested `depth` levels deep.
fn nested(depth: usize) -> Tag {
    (1..depth).fold(Tag::new("a", vec![]), |tag, _| Tag::new("a", vec![Part::Element(tag)]))
}

#[test]
fn element_depth_is_limited() {
    let with = |depth| plain(&event(vec![Part::Element(nested(depth))]));
    assert!(Decoder::default().record(&with(63)).is_ok());
    assert_eq!(problem(&with(64)), BinXmlError::Depth);
    assert_eq!(problem(&with(1000)), BinXmlError::Depth);
}

#[test]
fn fragment_depth_is_limited() {
    let holds = Tag::new("a", vec![Part::Value(0)]);
    let deep =
        |depth: usize| (0..depth).fold(plain(&nested(1)), |f, _| instance(1, &holds, &[inner(f)]));
    let with = |depth| instance(2, &event(vec![Part::Value(0)]), &[inner(deep(depth))]);
    assert!(Decoder::default().record(&with(62)).is_ok());
    assert_eq!(problem(&with(63)), BinXmlError::Depth);
    assert_eq!(problem(&with(200)), BinXmlError::Depth);
}

#[test]
fn depth_counts_through_fragments() {
    // 40 levels in a fragment, inside 40 levels of another.
    let mut outer = Tag::new("a", vec![Part::Value(0)]);
    for _ in 0..39 {
        outer = Tag::new("a", vec![Part::Element(outer)]);
    }
    let fragment = instance(1, &event(vec![Part::Element(outer)]), &[inner(plain(&nested(40)))]);
    assert_eq!(problem(&fragment), BinXmlError::Depth);
}

#[test]
fn value_count_is_limited() {
    let with = |count| instance(1, &event(vec![]), &vec![(token::NULL, Vec::new()); count]);
    assert!(Decoder::default().record(&with(65_536)).is_ok());
    assert_eq!(problem(&with(65_537)), BinXmlError::Values);
}

#[test]
fn expansion_of_repeated_values_is_limited() {
    // Each fragment includes the next one ten times: 10^12 elements in three kilobytes.
    let ten = Tag::new("a", vec![Part::Value(0); 10]);
    let bomb = (0..12).fold(plain(&nested(1)), |f, _| instance(1, &ten, &[inner(f)]));
    let fragment = instance(2, &event(vec![Part::Value(0)]), &[inner(bomb)]);
    assert!(fragment.len() < 4096);
    assert_eq!(problem(&fragment), BinXmlError::Output);

    // One long text, concatenated with itself.
    let joined = Tag::new("EventData", vec![Part::Value(0); 1000]);
    let fragment = instance(1, &event(vec![Part::Element(joined)]), &[string(&"x".repeat(30_000))]);
    assert_eq!(problem(&fragment), BinXmlError::Output);

    // An array in an element that occurs many times.
    let many = vec![Part::Element(Tag::new("Data", vec![Part::Value(0)])); 1000];
    let array = (token::ARRAY | token::UINT8, vec![1; 60_000]);
    let fragment = instance(1, &event(vec![Part::Element(Tag::new("EventData", many))]), &[array]);
    assert_eq!(problem(&fragment), BinXmlError::Output);
}

#[test]
fn lengths_are_checked() {
    let whole = instance(1, &event(vec![]), &[string("x")]);
    let template = whole.iter().position(|byte| *byte == token::TEMPLATE_INSTANCE).unwrap() + 18;
    let mut long = whole.clone();
    long[template..template + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(problem(&long), BinXmlError::Truncated { at: template + 4 });
    let length = u32::from_le_bytes(whole[template..template + 4].try_into().unwrap());
    let count = template + 4 + length as usize;
    let mut many = whole.clone();
    many[count..count + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(problem(&many), BinXmlError::Truncated { at: count + 4 });
    for end in 0..whole.len() - 1 {
        let cut = problem(&whole[..end]);
        assert!(matches!(cut, BinXmlError::Truncated { at } if at <= end), "{end}: {cut}");
    }
}

#[test]
fn unexpected_token_is_reported_with_its_offset() {
    assert_eq!(problem(&[0x0f, 1, 1, 0, 0x0b]), BinXmlError::Token { at: 4, token: 0x0b });
    assert_eq!(problem(&[0x0f, 2, 0, 0]), BinXmlError::Version { version: 2 });
    // A substitution outside of a template.
    let bytes = plain(&Tag::new("Event", vec![Part::Value(0)]));
    let at = bytes.iter().rposition(|byte| *byte == token::SUBSTITUTION).unwrap();
    assert_eq!(problem(&bytes), BinXmlError::Token { at, token: token::SUBSTITUTION });
    assert_eq!(problem(&bytes).to_string(), format!("token 0x0d is not allowed at byte {at}"));
    assert_eq!(problem(&bytes).as_str(), "token");
}

#[test]
fn invalid_event_does_not_affect_the_next() {
    let mut decoder = Decoder::default();
    let data = Part::Element(Tag::data("Name", Part::Value(0)));
    let template = event(vec![Part::Element(Tag::new("EventData", vec![data]))]);
    let good = instance(1, &template, &[string("alice")]);
    let bad = instance(1, &template, &[(token::UINT32, vec![1])]);
    for _ in 0..3 {
        let length = Err(BinXmlError::Length { kind: token::UINT32, length: 1 });
        assert_eq!(decoder.record(&bad), length);
        assert_eq!(decoder.record(&good).unwrap().field("Name").unwrap().to_text(), "alice");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_are_handled(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut decoder = Decoder::default();
        let _ = decoder.record(&bytes);
        let _ = decoder.xml(&bytes);
    }

    #[test]
    fn damaged_event_is_handled(
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut decoder = Decoder::default();
        let mut damaged = bytes(TEMPLATE);
        for (at, value) in hits {
            let at = at.index(damaged.len());
            damaged[at] = value;
        }
        let _ = decoder.record(&damaged);
        if let Ok(shown) = decoder.xml(&damaged) {
            prop_assert!(shown.len() <= Limits::default().output);
        }
        damaged.truncate(end.index(damaged.len()));
        let _ = decoder.record(&damaged);
        let _ = decoder.xml(&damaged);
        // A valid event is still decoded correctly after these.
        let whole = bytes(TEMPLATE);
        prop_assert_eq!(decoder.record(&whole).unwrap().system.event_id, 100);
    }
}
