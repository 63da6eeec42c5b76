//! However small the slices are in which it is entered, a directory says in between what it said
//! before or what it will say, and in the end what it says when all is entered at once.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::properties::{
    ACCOUNTS, Model, Step, account, agrees, begin, both_domains, compared, groups, guid, put, step,
    stepped,
};
use super::{Directory, Group};

/// The groups of an account, when it is one.
fn expected(model: &Model, number: u8) -> Option<Vec<Group>> {
    model.get(&number).and_then(account).map(|_| groups(model, number))
}

/// Nobody is shown with groups that they never had.
fn in_between(directory: &Directory, step: &Step, ends: [&Model; 2]) -> Result<(), TestCaseError> {
    for number in 0..ACCOUNTS {
        let shown = directory.profile(guid(number)).map(|profile| {
            profile.groups.as_slice().iter().map(|group| Group::clone(group)).collect::<Vec<_>>()
        });
        let ends = ends.map(|model| expected(model, number));
        // What was deleted and is there again is gone in between.
        let is_again = shown.is_none() && matches!(step, Step::Apply(..));
        prop_assert!(is_again || ends.contains(&shown), "{}: {:?}, {:?}", number, shown, ends);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn slices_make_the_same_of_it(
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
            let told: BTreeMap<_, _> =
                affected.accounts.iter().map(|altered| (altered.guid, altered.differences)).collect();
            prop_assert_eq!(told, compared(&model, &next), "{:?}", step);
            model = next;
            agrees(&directory, &model)?;
        }
    }
}
