//! Property test: whatever the size of the slices, the directory shows either the old or the new
//! state in between, and ends in the same state as an ingest in one step.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::properties::{
    ACCOUNTS, Model, Step, account, begin, both_domains, check_agreement, compared, groups, guid,
    put, step, stepped,
};
use super::{Directory, Group};

/// The groups of an account, if it is one.
fn expected(model: &Model, number: u8) -> Option<Vec<Group>> {
    model.get(&number).and_then(account).map(|_| groups(model, number))
}

/// No account is shown with groups that it never had.
fn in_between(directory: &Directory, step: &Step, ends: [&Model; 2]) -> Result<(), TestCaseError> {
    for number in 0..ACCOUNTS {
        let visible = directory.profile(guid(number)).map(|profile| {
            profile.groups.as_slice().iter().map(|group| Group::clone(group)).collect::<Vec<_>>()
        });
        let ends = ends.map(|model| expected(model, number));
        // An object that was deleted and added again is missing in between.
        let is_again = visible.is_none() && matches!(step, Step::Apply(..));
        prop_assert!(is_again || ends.contains(&visible), "{}: {:?}, {:?}", number, visible, ends);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn sliced_ingest_equals_a_single_step(
        steps in prop::collection::vec((step(), 1..9_usize), 1..20),
    ) {
        let (mut directory, mut model) = (both_domains(), Model::new());
        for (step, limit) in &steps {
            let next = stepped(&model, step);
            let mut entering = begin(&directory, step);
            let affected = loop {
                match entering.step(&mut directory, *limit) {
                    ControlFlow::Continue(rest) => entering = rest,
                    ControlFlow::Break(affected) => break affected,
                }
                in_between(&directory, step, [&model, &next])?;
            };
            if let Step::Forget(domain) = step {
                put(&mut directory, *domain);
            }
            let reported: BTreeMap<_, _> =
                affected.accounts.iter().map(|altered| (altered.guid, altered.differences)).collect();
            prop_assert_eq!(reported, compared(&model, &next), "{:?}", step);
            model = next;
            check_agreement(&directory, &model)?;
        }
    }
}
