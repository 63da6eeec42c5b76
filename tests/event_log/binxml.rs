//! Compares the binary XML decoder with the `evtx` crate: every record of recorded logs, value by
//! value. Known differences are listed here with their cause; any other difference fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use evtx::EvtxParser;
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use rollcall_wire::event_log::{Decoder, EventField, EventRecord, EventSection, FieldPath};

use crate::harness::{run, skip};

/// The folder of recorded logs: `ROLLCALL_DATA`, or `shared/data` beside the repository.
fn data() -> Option<PathBuf> {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let named = std::env::var_os("ROLLCALL_DATA").map(PathBuf::from);
    named.or_else(|| folders.find_map(|at| Some(at.join("shared/data")).filter(|at| at.is_dir())))
}

/// The path of a recorded log; `None` if it does not exist.
pub(super) fn recorded(file: &str) -> Option<PathBuf> {
    Some(data()?.join("windows").join(file)).filter(|path| path.is_file())
}

/// The first bytes of every log. Placeholder files for logs that are stored elsewhere do not have
/// them.
const MAGIC: &[u8] = b"ElfFile\0";

/// The logs in a folder.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_log = |path: &PathBuf| {
        let mut magic = [0; MAGIC.len()];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
        read.is_ok() && magic == MAGIC
    };
    let mut logs: Vec<_> = files.filter(|path| path.is_file()).filter(is_log).collect();
    logs.sort();
    logs
}

/// The folder of the sample logs of the crate. `tests/run` installs the packaged one;
/// `ROLLCALL_EVTX` can name a folder with all samples of the repository.
fn samples() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/evtx");
    std::env::var_os("ROLLCALL_EVTX").map_or(installed, PathBuf::from)
}

/// The path of a value (`Event/EventData/Data[LogonType]`, `Event/System/Provider@Name`), and its
/// text.
type Leaf = (String, String);

/// The values of an event, in their order. Surrounding white space is indentation and is removed.
fn leaves(xml: &str) -> Vec<Leaf> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let (mut path, mut text, mut leaves) = (Vec::new(), String::new(), Vec::new());
    loop {
        match reader.read_event().unwrap_or_else(|why| panic!("{why}: {xml}")) {
            Event::Start(element) => {
                path.push(open_element(&element, &path, &mut leaves));
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

/// The name of an element, for a `Data` element with its `Name`. Other attributes are added to
/// `leaves`.
fn open_element(element: &BytesStart<'_>, path: &[String], leaves: &mut Vec<Leaf>) -> String {
    let mut label = element.name().as_ref().to_owned();
    let mut others = Vec::new();
    for attribute in element.attributes() {
        let attribute = attribute.unwrap();
        let (key, value) = (attribute.key.as_ref(), unescape(&attribute.value).unwrap());
        match key {
            "Name" if label == "Data" => label = format!("Data[{value}]"),
            _ if key.starts_with("xmlns") || value.is_empty() => {}
            _ => others.push((key.to_owned(), value.into_owned())),
        }
    }
    let path = [path.join("/"), label.clone()].join("/");
    leaves.extend(others.into_iter().map(|(key, value)| (format!("{path}@{key}"), value)));
    label
}

/// The known cause of a difference between the two decoders.
fn explained(ours: &str, theirs: &str) -> Option<&'static str> {
    let number = theirs.parse().is_ok_and(|number: u64| number > 1);
    let is_invalid = |char: char| char.is_control() || char == '\u{fffd}';
    [
        // Every BOOL other than 0 is true, and some providers write 8 or 65536.
        (ours == "true" && number, "a BOOL that is neither 0 nor 1"),
        // A password policy has a number as one character of that code.
        (
            ours.replace(is_invalid, "_") == theirs,
            "a character that is invalid in XML, or an unpaired surrogate",
        ),
    ]
    .into_iter()
    .find_map(|(holds, why)| holds.then_some(why))
}

/// The fragments of a log as a server sends them, by record number.
fn fragments(log: &Path) -> Option<BTreeMap<u64, Vec<u8>>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/peers/dc-simulator/bin/python");
    if !python.is_file() {
        return None;
    }
    let script = root.join("tests/peers/dc-simulator/transcode.py");
    // The output for a damaged log ends at the damage.
    let output = run(&python, &[script.as_path(), log]).stdout;
    let (mut rest, mut fragments) = (&output[..], BTreeMap::new());
    while let Some((head, tail)) = rest.split_first_chunk::<12>() {
        let number = u64::from_le_bytes(*head.first_chunk().unwrap());
        let length = u32::from_le_bytes(*head.last_chunk().unwrap()) as usize;
        let Some((fragment, tail)) = tail.split_at_checked(length) else { break };
        fragments.insert(number, fragment.to_vec());
        rest = tail;
    }
    Some(fragments)
}

#[derive(Debug, Default)]
struct Compared {
    records: u64,
    values: u64,
    explained: BTreeMap<&'static str, u64>,
    unexplained: BTreeSet<String>,
}

impl Compared {
    fn log(&mut self, log: &Path, fragments: &BTreeMap<u64, Vec<u8>>) {
        let mut parser = EvtxParser::from_path(log).unwrap();
        let mut decoder = Decoder::default();
        let file = log.file_name().unwrap().to_string_lossy().into_owned();
        for record in parser.records() {
            let Ok(record) = record else {
                self.explain("a record that the crate cannot read");
                continue;
            };
            let number = record.event_record_id;
            let Some(fragment) = fragments.get(&number) else {
                self.explain("a damaged record that cannot be replayed");
                continue;
            };
            self.records += 1;
            let place = format!("{file} {number}");
            let fields = decoder.record(fragment).map(|record| data_of(&record));
            match decoder.xml(fragment).and_then(|xml| Ok((xml, fields?))) {
                Ok((xml, fields)) => {
                    let theirs = leaves(&record.data);
                    let data = theirs.iter().filter(|(path, _)| is_data(path)).cloned();
                    self.values(&format!("{place}, field"), fields, data.collect());
                    self.record(&place, leaves(&xml), theirs);
                }
                // All bytes are zero because the disk was not written: a SID of revision 0 without
                // authority.
                Err(_) if record.data.contains("<EventID>0</EventID>") => {
                    self.explain("a record of zeros, which is rejected");
                }
                Err(why) => drop(self.unexplained.insert(format!("{place}: {why}"))),
            }
        }
    }

    fn explain(&mut self, why: &'static str) {
        *self.explained.entry(why).or_default() += 1;
    }

    /// Compares a complete event.
    fn record(&mut self, place: &str, ours: Vec<Leaf>, mut theirs: Vec<Leaf>) {
        if theirs.starts_with(&ours)
            && theirs[ours.len()..].iter().all(|(path, _)| is_rendering(path))
        {
            // The crate reads past the end of a fragment, where data is undefined; its earlier
            // versions did not.
            for _ in theirs.split_off(ours.len()) {
                self.explain("a value after the end of an event");
            }
        }
        self.values(place, ours, theirs);
    }

    /// Compares values, which must be equal and have equal paths.
    fn values(&mut self, place: &str, ours: Vec<Leaf>, theirs: Vec<Leaf>) {
        if !ours.iter().map(|(path, _)| path).eq(theirs.iter().map(|(path, _)| path)) {
            let other = ours.iter().zip(&theirs).find(|(one, two)| one.0 != two.0);
            let counts = (ours.len(), theirs.len());
            self.unexplained.insert(format!("{place}: {counts:?} values, {other:?}"));
            return;
        }
        for ((path, ours), (_, theirs)) in ours.into_iter().zip(theirs) {
            self.values += 1;
            if ours == theirs {
                continue;
            }
            match explained(&ours, &theirs) {
                Some(why) => self.explain(why),
                None => {
                    self.unexplained.insert(format!("{place} {path}: {ours:?}, {theirs:?}"));
                }
            }
        }
    }
}

/// The data fields of an event as the logon rules read them: by name.
fn data_of(record: &EventRecord<'_>) -> Vec<Leaf> {
    let leaf = |field: &EventField<'_>| {
        let FieldPath { element, attribute, name, .. } = field.place();
        let text = field.value().into_text().trim().to_owned();
        let path = match name {
            Some(name) => format!("Event/EventData/Data[{name}]"),
            None => "Event/EventData/Data".to_owned(),
        };
        let is_there = element == "Data" && attribute.is_none() && !text.is_empty();
        is_there.then_some((path, text))
    };
    let data =
        record.fields.iter().filter(|field| field.place().section == EventSection::EventData);
    data.filter_map(leaf).collect()
}

fn is_data(path: &str) -> bool {
    let rest = path.strip_prefix("Event/EventData/Data");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('[') && rest.ends_with(']'))
}

fn is_rendering(path: &str) -> bool {
    path.starts_with("Event/RenderingInfo")
}

/// Compares all records of `logs`, of which there must be at least `least`. Skips the test without
/// the simulator.
#[track_caller]
fn decodes_as_the_crate(story: &str, logs: &[PathBuf], least: u64) {
    let mut compared = Compared::default();
    for log in logs {
        let Some(fragments) = fragments(log) else {
            return skip(story, "the simulator of a domain controller is not installed");
        };
        compared.log(log, &fragments);
    }
    let Compared { records, values, explained, unexplained } = compared;
    println!("{} logs, {records} records, {values} values; explained: {explained:#?}", logs.len());
    assert!(records >= least && values > 10 * records, "{records} records, {values} values");
    assert!(unexplained.is_empty(), "{} unexplained: {unexplained:#?}", unexplained.len());
}

#[test]
fn every_recorded_event_decodes_as_in_the_evtx_crate() {
    let story = "every_recorded_event_decodes_as_in_the_evtx_crate";
    let logs = data().map(|data| logs(&data.join("windows"))).unwrap_or_default();
    if logs.is_empty() {
        return skip(story, "there are no recorded logs beside the repository");
    }
    decodes_as_the_crate(story, &logs, 100);
}

#[test]
fn every_sample_of_the_evtx_crate_decodes_as_in_that_crate() {
    let story = "every_sample_of_the_evtx_crate_decodes_as_in_that_crate";
    let logs = logs(&samples());
    if logs.is_empty() {
        let why = format!(
            "the sample logs of the evtx crate are not in {}; ROLLCALL_EVTX may name their folder",
            samples().display()
        );
        return skip(story, &why);
    }
    decodes_as_the_crate(story, &logs, 1);
}
