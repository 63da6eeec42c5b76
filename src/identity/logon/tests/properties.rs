//! Property tests: malformed records are handled, and every event has a usable address and subject.

use proptest::prelude::*;

use super::*;

/// Any text, often a meaningful one.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::sample::select(vec!["", "-", "0x0", "3", "10", "alice", "PC1$", ALICE, "10.0.0.7"])
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_record_is_handled_and_every_event_has_a_usable_address(
        records in prop::collection::vec(
            (0..12_usize, any::<u64>(), any::<String>(), prop::collection::vec((0..10_usize, text()), 0..4)),
            1..20,
        ),
    ) {
        let mut reader = reader(all_events());
        let ids: Vec<u16> = readable_event_ids().chain([4625, 0]).collect();
        for (id, keywords, computer, overrides) in records {
            let id = ids[id];
            let usual = fields_of(id, &[]);
            let field = |at: usize| usual.0.get(at).map_or("Status", |(field, _)| field);
            let overrides: Vec<(&str, &str)> =
                overrides.iter().map(|(at, text)| (field(*at), text.as_str())).collect();
            let fields = fields_of(id, &overrides);
            let record = LogRecord { keywords: keywords | SUCCESS, computer: &computer, ..record(id, &fields) };
            if let ReadOutcome::Event(event) = reader.read(&record, seconds(11)) {
                prop_assert_eq!(keywords & LogonReader::FAILURE, 0);
                prop_assert!(event.address.usable().is_ok());
                let principal = event.principal.unwrap();
                prop_assert_eq!(principal.is_machine(), event.kind == Kind::DeviceSeen);
                prop_assert_eq!(principal.is_machine(), event.device.is_some());
                prop_assert!(event.proof != Proof::HostName);
                prop_assert!(event.sid.is_none_or(|sid| sid.is_of_domain() && sid.rid() != 502));
            }
        }
    }
}
