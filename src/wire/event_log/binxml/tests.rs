//! BinXML with the examples of the specification, and with hostile input.

mod hostile;
mod plans;
mod properties;

use super::test_encoder::{Part, Tag, inner, instance, instance_of, plain, string, wide};
use super::{Limits, token};
use crate::event_log::tests::bytes;
use crate::event_log::{BinXmlError, Decoder, EventSection, FileTime};

/// MS-EVEN6 section 4.4.
const SIMPLE: &str = include_str!("../../../../tests/corpus/event_log/simple.hex");
/// MS-EVEN6 section 4.8.
const TEMPLATE: &str = include_str!("../../../../tests/corpus/event_log/template.hex");

fn xml(fragment: &[u8]) -> String {
    Decoder::default().xml(fragment).unwrap()
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

/// An event with these elements after `System`.
fn event(parts: Vec<Part>) -> Tag {
    let number = Part::Element(Tag::new("EventID", vec![text("4624")]));
    let system = Part::Element(Tag::new("System", vec![number]));
    Tag::new("Event", std::iter::once(system).chain(parts).collect())
}

#[test]
fn the_example_without_a_template_is_read() {
    assert_eq!(
        xml(&bytes(SIMPLE)),
        "<Event><Element1>abc</Element1><Element2> def &amp;&lt; ghi </Element2>\
         <Element3 AttrA=\"abc\" AttrB=\"def&amp;&lt;ghi\"></Element3></Event>"
    );
    assert_eq!(Decoder::default().record(&bytes(SIMPLE)), Err(BinXmlError::Missing("System")));
}

#[test]
fn the_example_with_templates_is_read() {
    // The XML next to the bytes in the specification has another time and record number.
    let bytes = bytes(TEMPLATE);
    let mut decoder = Decoder::default();
    let record = decoder.record(&bytes).unwrap();
    let system = &record.system;
    assert_eq!(system.provider.to_text(), "Microsoft-Windows-Wevttest");
    assert_eq!((system.event_id, system.qualifiers, system.version), (100, None, Some(0)));
    assert_eq!((system.level, system.task, system.opcode), (Some(1), Some(100), Some(1)));
    assert_eq!(system.keywords, Some(0x4000_0000_00e0_0000));
    assert_eq!(system.time_created.unwrap().to_string(), "2006-06-14T21:40:54.6258076Z");
    assert_eq!(system.at().unwrap().to_string(), "2006-06-14T21:40:54.625Z");
    assert_eq!((system.record_id, system.activity_id), (Some(6), None));
    assert_eq!((system.process_id, system.thread_id), (Some(2088), Some(2464)));
    assert_eq!(system.channel.to_text(), "Microsoft-Windows-Wevttest/Operational/Wevttest");
    assert_eq!(system.computer.to_text(), "michaelm4-lh.ntdev.corp.microsoft.com");
    let user = "S-1-5-21-397955417-626881126-188441444-2967838";
    assert_eq!(system.user.unwrap().to_string(), user);

    let fields = record.fields.iter().map(|field| {
        let place = field.place();
        assert_eq!((place.section, place.attribute.as_deref()), (EventSection::UserData, None));
        (field.name(), field.value().unsigned())
    });
    assert_eq!(fields.collect::<Vec<_>>(), [("Property", Some(1)), ("Property2", Some(2))]);
    assert_eq!(record.field("Property2").unwrap().to_text(), "2");
    assert_eq!(decoder.templates(), 2);

    let shown = decoder.xml(&bytes).unwrap();
    let end = "<Security UserID=\"S-1-5-21-397955417-626881126-188441444-2967838\"></Security>\
        </System><UserData><MyEvent \
        xmlns:auto-ns2=\"http://schemas.microsoft.com/win/2004/08/events\" xmlns=\"myNs\">\
        <Property>1</Property><Property2>2</Property2></MyEvent></UserData></Event>";
    assert!(shown.ends_with(end), "{shown}");
    let id = "<EventID>100</EventID><Version>0</Version><Level>1</Level><Task>100</Task>\
        <Opcode>1</Opcode><Keywords>0x4000000000e00000</Keywords>\
        <TimeCreated SystemTime=\"2006-06-14T21:40:54.6258076Z\"></TimeCreated>\
        <EventRecordID>6</EventRecordID><Correlation></Correlation>";
    assert!(shown.contains(id), "{shown}");
    assert_eq!(decoder.templates(), 2, "read once, and only compared after that");
}

#[test]
fn array_repeats_the_element_per_item() {
    // The example of MS-EVEN6 section 3.1.4.7.5, and the same as named data.
    let one = |name: &str, number| Part::Element(Tag::new(name, vec![Part::Value(number)]));
    let template = Tag::new("SomeEvent", vec![one("PropA", 0), one("PropB", 1)]);
    let values = [(token::ARRAY | token::UINT8, b"ac".to_vec()), (token::UINT8, b"e".to_vec())];
    let shown = "<SomeEvent><PropA>97</PropA><PropA>99</PropA><PropB>101</PropB></SomeEvent>";
    assert_eq!(xml(&instance(1, &template, &values)), shown);

    let data = Part::Element(Tag::data("Groups", Part::Value(0)));
    let both = Tag::new("Data", vec![text("of "), Part::Value(0)]);
    let section = Tag::new("EventData", vec![data, Part::Element(both)]);
    let groups = [(token::ARRAY | token::STRING, wide("a\0b\0"))];
    let fragment = instance(1, &event(vec![Part::Element(section)]), &groups);
    let mut decoder = Decoder::default();
    let record = decoder.record(&fragment).unwrap();
    let fields = record.fields.iter().map(|field| (field.name(), field.value().into_text()));
    let wanted = [("Groups", "a"), ("Groups", "b"), ("Data", "of a,b")];
    assert!(fields.eq(wanted.map(|(name, value)| (name, value.into()))), "{record:?}");
}

#[test]
fn element_that_depends_on_null_is_absent() {
    let optional = |name: &str, at| Part::Element(Tag::data(name, Part::Value(at)).depends(at));
    let section = Tag::new("EventData", vec![optional("A", 0), optional("B", 1), optional("C", 9)])
        .with("Name", Part::Value(0));
    let fragment =
        instance(1, &event(vec![Part::Element(section)]), &[(token::NULL, Vec::new()), string("")]);
    let mut decoder = Decoder::default();
    let record = decoder.record(&fragment).unwrap();
    let names: Vec<_> = record.fields.iter().map(|field| field.name()).collect();
    assert_eq!(names, ["B", "C"], "an empty value is not null, nor is one that was not sent");
    let shown = decoder.xml(&fragment).unwrap();
    let end = "<EventData><Data Name=\"B\"></Data><Data Name=\"C\"></Data></EventData></Event>";
    assert!(shown.ends_with(end), "{shown}");
}

#[test]
fn root_element_is_always_present() {
    let inner_root = Tag::new("EventData", vec![text("x")]).depends(0);
    let data = inner(instance(2, &inner_root, &[(token::NULL, Vec::new())]));
    let mut outer = event(vec![Part::Value(1)]).depends(0);
    outer.content.push(Part::Element(Tag::new("UserData", vec![]).depends(0)));
    let fragment = instance(1, &outer, &[(token::NULL, Vec::new()), data]);
    let shown = "<Event><System><EventID>4624</EventID></System><EventData>x</EventData></Event>";
    assert_eq!(xml(&fragment), shown);
    assert_eq!(Decoder::default().record(&fragment).unwrap().fields.len(), 1);
}

#[test]
fn attributes_and_unnamed_data_are_fields_too() {
    let named = Tag::data("Who", Part::Value(0)).with("Type", text("xs:string"));
    let section = Tag::new(
        "EventData",
        vec![
            Part::Element(named),
            Part::Element(Tag::new("Data", vec![Part::Value(1)])),
            Part::Element(Tag::new("Binary", vec![Part::Value(2)])),
        ],
    );
    let values = [string("alice"), string("bob"), (token::BINARY, vec![1, 0xfe])];
    let fragment = instance(1, &event(vec![Part::Element(section)]), &values);
    let mut decoder = Decoder::default();
    let record = decoder.record(&fragment).unwrap();
    let fields: Vec<_> = record
        .fields
        .iter()
        .map(|field| (field.place().attribute.as_deref(), field.name(), field.value().into_text()))
        .collect();
    let wanted = [
        (Some("Type"), "Data", "xs:string".into()),
        (None, "Who", "alice".into()),
        (None, "Data", "bob".into()),
        (None, "Binary", "01FE".into()),
    ];
    assert_eq!(fields, wanted);
    assert_eq!(record.field("Data").unwrap().to_text(), "bob");
    assert_eq!(record.field("Whom"), None);
}

#[test]
fn output_is_always_well_formed() {
    let tag = Tag::new(
        "a<b>",
        vec![
            Part::Cdata("x]]>y".to_owned()),
            Part::Instruction("go".to_owned(), "now?>".to_owned()),
            text("\"<&>\u{1}\r"),
            Part::Character(0xd800),
            Part::Entity("unknown"),
        ],
    )
    .with("q", text("\"'&"));
    assert_eq!(
        xml(&plain(&tag)),
        "<a_b_ q=\"&quot;'&amp;\"><![CDATA[x]]]]><![CDATA[>y]]><?go now? >?>\
         &quot;&lt;&amp;&gt;\u{fffd}&#13;\u{fffd}&amp;unknown;</a_b_>"
    );
}

#[test]
fn instruction_before_the_event_is_allowed() {
    let mut bytes = vec![token::INSTRUCTION_TARGET, 0, 0, 1, 0, b'x', 0, 0, 0];
    bytes.extend([token::INSTRUCTION_DATA, 1, 0, b'y', 0]);
    bytes.extend(plain(&Tag::new("Event", vec![])));
    assert_eq!(xml(&bytes), "<Event></Event>");
}

#[test]
fn templates_are_compared_by_their_bytes() {
    let mut decoder = Decoder::default();
    for round in 0..3 {
        for name in ["A", "B", "C", "D", "E", "F"] {
            let template = event(vec![Part::Element(Tag::new(name, vec![Part::Value(0)]))]);
            let fragment = instance(7, &template, &[string("x")]);
            let record = decoder.record(&fragment).unwrap();
            assert_eq!((&*record.fields[0].place().element, round), (name, round));
        }
        assert_eq!(decoder.templates(), 4, "more are read anew for each event");
    }
}

#[test]
fn templates_beyond_the_limit_are_evicted() {
    let limits = Limits { templates: 1000, ..Limits::default() };
    let mut decoder = Decoder::new(limits);
    for identifier in 0..=99 {
        let template = event(vec![Part::Element(Tag::new("EventData", vec![Part::Value(0)]))]);
        let fragment = instance(identifier, &template, &[string("x")]);
        assert_eq!(decoder.record(&fragment).unwrap().fields.len(), 1);
        assert!(decoder.templates() <= 4, "{}", decoder.templates());
    }
}

#[test]
fn time_as_text_or_system_time() {
    let created = |value| Tag::new("TimeCreated", vec![]).with("SystemTime", value);
    let date = b"\xe0\x07\x07\0\x05\0\x08\0\x11\0\x18\0\x33\0\xa9\x02".to_vec();
    for value in [string("2016-07-08T17:24:51.681Z"), (token::SYSTEM_TIME, date)] {
        let mut event = event(vec![]);
        let Part::Element(system) = &mut event.content[0] else { unreachable!() };
        system.content.push(Part::Element(created(Part::Value(0))));
        let fragment = instance(1, &event, &[value]);
        let mut decoder = Decoder::default();
        let record = decoder.record(&fragment).unwrap();
        assert_eq!(record.system.time_created, Some(FileTime(131_124_722_916_810_000)));
    }
}

#[test]
fn event_without_event_id_is_rejected() {
    let number = |value| {
        let id = Tag::new("EventID", vec![value]);
        let system = Tag::new("System", vec![Part::Element(id)]);
        plain(&Tag::new("Event", vec![Part::Element(system)]))
    };
    let read = |fragment: &[u8]| Decoder::default().record(fragment).map(|r| r.system.event_id);
    assert_eq!(read(&number(text("4624"))), Ok(4624));
    for bad in ["", "x", "65536", "-1"] {
        assert_eq!(read(&number(text(bad))), Err(BinXmlError::Missing("EventID")), "{bad:?}");
    }
    assert_eq!(read(&plain(&Tag::new("Events", vec![]))), Err(BinXmlError::NotAnEvent));
    let inner = inner(plain(&Tag::new("EventData", vec![text("x")])));
    let fragment = instance_of([1; 16], b"\x01\xff\xff\0\0\0\0\0\0\0\0\0\0\x03", &[inner]);
    assert_eq!(read(&fragment), Err(BinXmlError::NotAnEvent));
}
