//! Our reading of binary XML against that of the `evtx` crate: every record of recorded logs, value by
//! value. What differs is named here, and why; anything else is a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use evtx::EvtxParser;
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use rollcall_wire::event_log::Decoder;

use crate::harness::{run, skip};

/// The folder of recorded logs: `ROLLCALL_DATA`, or `shared/data` beside the repository.
fn data() -> Option<PathBuf> {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let named = std::env::var_os("ROLLCALL_DATA").map(PathBuf::from);
    named.or_else(|| folders.find_map(|at| Some(at.join("shared/data")).filter(|at| at.is_dir())))
}

/// A recorded log by its name, where it is.
pub(super) fn recorded(file: &str) -> Option<PathBuf> {
    Some(data()?.join("windows").join(file)).filter(|path| path.is_file())
}

/// All logs there are: those beside the repository, and those of the folder that `ROLLCALL_EVTX`
/// names, such as the samples of the crate.
fn logs() -> Vec<PathBuf> {
    let folders = [
        data().map(|data| data.join("windows")),
        std::env::var_os("ROLLCALL_EVTX").map(PathBuf::from),
    ];
    let entries = folders.into_iter().flatten().filter_map(|folder| std::fs::read_dir(folder).ok());
    let files = entries.flatten().filter_map(|entry| Some(entry.ok()?.path()));
    files.filter(|path| path.extension().is_some_and(|end| end == "evtx")).collect()
}

/// Where a value stands (`Event/EventData/Data[LogonType]`, `Event/System/Provider@Name`), and what it
/// says.
type Leaf = (String, String);

/// The values of an event, in their order. White space around them is that of a writer's indentation.
fn leaves(xml: &str) -> Vec<Leaf> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let (mut path, mut text, mut leaves) = (Vec::new(), String::new(), Vec::new());
    loop {
        match reader.read_event().unwrap_or_else(|why| panic!("{why}: {xml}")) {
            Event::Start(element) => {
                path.push(opened(&element, &path, &mut leaves));
                text.clear();
            }
            Event::End(_) => {
                if !text.trim().is_empty() {
                    leaves.push((path.join("/"), text.trim().to_owned()));
                }
                path.pop();
                text.clear();
            }
            Event::Text(part) => text += &part,
            Event::CData(part) => text += &part,
            Event::GeneralRef(name) => {
                let entity = format!("&{};", &*name);
                text += &unescape(&entity).unwrap_or_else(|why| panic!("{why}: {xml}"));
            }
            Event::Eof => return leaves,
            _ => {}
        }
    }
}

/// What an element is called, with its name where it is a `Data`; its other attributes are values.
fn opened(element: &BytesStart<'_>, path: &[String], leaves: &mut Vec<Leaf>) -> String {
    let mut called = element.name().as_ref().to_owned();
    let mut others = Vec::new();
    for attribute in element.attributes() {
        let attribute = attribute.unwrap();
        let (key, value) = (attribute.key.as_ref(), unescape(&attribute.value).unwrap());
        match key {
            "Name" if called == "Data" => called = format!("Data[{value}]"),
            _ if key.starts_with("xmlns") || value.is_empty() => {}
            _ => others.push((key.to_owned(), value.into_owned())),
        }
    }
    let place = [path.join("/"), called.clone()].join("/");
    leaves.extend(others.into_iter().map(|(key, value)| (format!("{place}@{key}"), value)));
    called
}

/// Why the crate reads a value otherwise, where that is known.
fn explained(ours: &str, theirs: &str) -> Option<&'static str> {
    let digits = |text: &str| {
        text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let time = ours.ends_with('Z') && ours.contains('T') && theirs.contains('T');
    let cleaned: String = theirs.chars().filter(|char| !char.is_control()).collect();
    let without: String =
        ours.chars().filter(|char| !char.is_control() && *char != '\u{fffd}').collect();
    let number = theirs.parse().is_ok_and(|number: u64| number > 1);
    [
        // C has every BOOL that is not 0 as true, and some providers write 8 or 65536.
        (ours == "true" && number, "a BOOL that is neither 0 nor 1"),
        // SYSTEMTIME counts milliseconds, and has no digits behind them.
        (time && digits(ours) == digits(theirs), "digits of a time"),
        (ours.eq_ignore_ascii_case(theirs), "capitals in base 16, or of a GUID"),
        (ours.replace('\u{fffd}', "_") == theirs, "half a surrogate pair"),
        (without == cleaned, "characters that XML cannot have"),
    ]
    .into_iter()
    .find_map(|(holds, why)| holds.then_some(why))
}

/// The fragments of a log as a server would have sent them, by the number of their record.
fn fragments(log: &Path) -> Option<BTreeMap<u64, Vec<u8>>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/peers/dc-simulator/bin/python");
    if !python.is_file() {
        return None;
    }
    let script = root.join("tests/peers/dc-simulator/transcode.py");
    // A log that is damaged ends where it is.
    let written = run(&python, &[script.as_path(), log]).stdout;
    let (mut rest, mut fragments) = (&written[..], BTreeMap::new());
    while let Some((head, behind)) = rest.split_first_chunk::<12>() {
        let number = u64::from_le_bytes(*head.first_chunk().unwrap());
        let length = u32::from_le_bytes(*head.last_chunk().unwrap()) as usize;
        let Some((fragment, behind)) = behind.split_at_checked(length) else { break };
        fragments.insert(number, fragment.to_vec());
        rest = behind;
    }
    Some(fragments)
}

#[derive(Debug, Default)]
struct Compared {
    records: u64,
    values: u64,
    explained: BTreeMap<&'static str, u64>,
    strange: BTreeSet<String>,
}

impl Compared {
    fn log(&mut self, log: &Path, fragments: &BTreeMap<u64, Vec<u8>>) {
        let mut parser = EvtxParser::from_path(log).unwrap();
        let mut decoder = Decoder::default();
        let file = log.file_name().unwrap().to_string_lossy().into_owned();
        for record in parser.records().flatten() {
            let number = record.event_record_id;
            let Some(fragment) = fragments.get(&number) else { continue };
            self.records += 1;
            match decoder.xml(fragment) {
                Ok(ours) => self.record(&format!("{file} {number}"), &ours, &record.data),
                // All zeros, where a disk was not written: a SID of revision 0 and no authority.
                Err(_) if record.data.contains("<EventID>0</EventID>") => {
                    *self.explained.entry("a record of zeros, which is refused").or_default() += 1;
                }
                Err(why) => drop(self.strange.insert(format!("{file} {number}: {why}"))),
            }
        }
    }

    fn record(&mut self, place: &str, ours: &str, theirs: &str) {
        let (ours, theirs) = (leaves(ours), leaves(theirs));
        let paths =
            |leaves: &[Leaf]| leaves.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        if theirs.starts_with(&ours)
            && paths(&theirs[ours.len()..]).iter().all(|path| is_rendering(path))
        {
            // It reads on behind the end of a fragment, where there is waste; its own earlier
            // versions did not.
            let behind = (theirs.len() - ours.len()) as u64;
            *self.explained.entry("values behind the end of an event").or_default() += behind;
        } else if paths(&ours) != paths(&theirs) {
            let other = ours.iter().zip(&theirs).find(|(one, two)| one.0 != two.0);
            let counts = (ours.len(), theirs.len());
            self.strange.insert(format!("{place}: {counts:?} values, {other:?}"));
            return;
        }
        for ((path, ours), (_, theirs)) in ours.into_iter().zip(theirs) {
            self.values += 1;
            if ours == theirs {
                continue;
            }
            match explained(&ours, &theirs) {
                Some(why) => *self.explained.entry(why).or_default() += 1,
                None => drop(self.strange.insert(format!("{place} {path}: {ours:?}, {theirs:?}"))),
            }
        }
    }
}

fn is_rendering(path: &str) -> bool {
    path.starts_with("Event/RenderingInfo")
}

#[test]
fn every_recorded_event_is_read_as_another_reader_does() {
    let story = "every_recorded_event_is_read_as_another_reader_does";
    let logs = logs();
    if logs.is_empty() {
        return skip(story, "there are no recorded logs beside the repository");
    }
    let mut compared = Compared::default();
    for log in &logs {
        let Some(fragments) = fragments(log) else {
            return skip(story, "the simulator of a domain controller is not installed");
        };
        compared.log(log, &fragments);
    }
    let Compared { records, values, explained, strange } = compared;
    println!("{} logs, {records} records, {values} values; explained: {explained:?}", logs.len());
    assert!(records > 100 && values > 20 * records, "{records} records, {values} values");
    assert!(strange.is_empty(), "{} strange: {strange:#?}", strange.len());
}
