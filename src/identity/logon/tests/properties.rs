//! Records that nobody would write do no harm, and what they come to can be somebody's.

use proptest::prelude::*;

use super::*;

/// Any text, often one that means something.
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
    fn no_record_does_harm_and_every_event_can_be_somebodys(
        records in prop::collection::vec(
            (0..12_usize, any::<u64>(), any::<String>(), prop::collection::vec((0..10_usize, text()), 0..4)),
            1..20,
        ),
    ) {
        let mut reader = reader(everything());
        let ids: Vec<u16> = readable_event_ids().chain([4625, 0]).collect();
        for (id, keywords, computer, otherwise) in records {
            let id = ids[id];
            let usual = said(id, &[]);
            let field = |at: usize| usual.0.get(at).map_or("Status", |(field, _)| field);
            let otherwise: Vec<(&str, &str)> =
                otherwise.iter().map(|(at, text)| (field(*at), text.as_str())).collect();
            let fields = said(id, &otherwise);
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
