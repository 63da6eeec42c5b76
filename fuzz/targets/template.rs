//! A template that an administrator wrote, good or bad, tried on the lines of its own text.

use std::sync::Arc;

use super::{check, seen};
use rollcall_wire::syslog::{ClientDefaults, LineReport, Template, TemplateTest};

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let template = match Template::from_toml(text) {
        Ok(template) => Arc::new(template),
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            assert!(problems.iter().all(|problem| !problem.what.is_empty()));
            return;
        }
    };
    for failure in template.verify() {
        assert!(failure.sample >= 1, "samples are counted from 1");
        assert_ne!(failure.wanted, failure.got, "fails, and says the same");
    }
    let mut trial = TemplateTest::new(vec![template], ClientDefaults::default());
    for written in text.lines() {
        let line = written.strip_prefix("line = '").map(|line| line.trim_end_matches('\''));
        for line in line.into_iter().chain([written]) {
            if let LineReport::Events(_, events) = trial.line(line.as_bytes(), seen()) {
                events.iter().for_each(check);
            }
        }
    }
}
