//! Binary XML to named fields, held against what the `evtx` crate takes to make JSON of the same
//! records: one thread each, in turn, from memory to memory.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use evtx::{EvtxParser, ParserSettings};
use nix::time::ClockId;
use rollcall_wire::event_log::Decoder;

use super::simulator;

/// How often each log is read by each of them, in turn.
const ROUNDS: usize = 11;

/// How long a log is read in one round: small ones many times over.
const ROUND_NANOSECONDS: f64 = 5e6;

/// A log with fewer records is one on which little can be seen.
pub const LARGE: usize = 1000;

/// One recorded log, and what reading a record of it takes.
#[derive(Debug)]
pub struct Cost {
    /// The name of its file.
    pub log: String,
    /// How many records it has.
    pub records: usize,
    /// Nanoseconds to fields, as Rollcall receives it, by a decoder that has seen such events before,
    /// as that of a subscription has: the median of the rounds.
    pub ours: f64,
    /// The same by a decoder that has seen nothing, so that it reads every template.
    pub cold: f64,
    /// The same as `ours`, and every field's value read besides, which otherwise waits until it is wanted.
    pub read: f64,
    /// Nanoseconds to JSON by the `evtx` crate, from its file.
    pub theirs: f64,
}

/// Recorded logs: those beside the repository, and those in the folder that `ROLLCALL_EVTX` names.
fn logs() -> Vec<PathBuf> {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let beside =
        folders.find_map(|at| Some(at.join("shared/data/windows")).filter(|at| at.is_dir()));
    let named = std::env::var_os("ROLLCALL_EVTX").map(PathBuf::from);
    let entries = [beside, named].into_iter().flatten().filter_map(|at| fs::read_dir(at).ok());
    let files = entries.flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut known = HashSet::new();
    let mut logs: Vec<_> = files
        .filter(|path| path.extension() == Some(OsStr::new("evtx")))
        .filter(|path| known.insert(path.file_name().map(OsStr::to_owned)))
        .collect();
    logs.sort();
    logs
}

/// Which folder of logs was named beside those of the repository.
pub fn named() -> String {
    match std::env::var_os("ROLLCALL_EVTX") {
        None => "ROLLCALL_EVTX is not set".to_owned(),
        Some(folder) => format!("ROLLCALL_EVTX is {}", folder.display()),
    }
}

/// Reads every log that both can read to its end.
///
/// # Errors
/// The simulator of a domain controller is not installed, which writes records as they travel.
pub fn measure() -> io::Result<Vec<Cost>> {
    let mut costs = Vec::new();
    for log in logs() {
        let name = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match Log::read(&log)? {
            Some(read) => costs.push(read.cost(name)?),
            None => eprintln!("    {name}: damaged, and left out"),
        }
    }
    Ok(costs)
}

/// The same records twice.
struct Log {
    /// As in the file.
    file: Vec<u8>,
    /// As a server sends them.
    fragments: Vec<Vec<u8>>,
}

impl Log {
    /// `None` when either of the two cannot read all of it.
    fn read(path: &Path) -> io::Result<Option<Self>> {
        let file = fs::read(path)?;
        let (ours, theirs) = (fragments(path)?, json(&file));
        let mut decoder = Decoder::default();
        let whole = theirs.as_ref().is_some_and(|count| *count == ours.len() && *count > 0)
            && ours.iter().all(|fragment| decoder.record(fragment).is_ok());
        Ok(whole.then_some(Self { file, fragments: ours }))
    }

    fn cost(&self, log: String) -> io::Result<Cost> {
        let (mut ours, mut cold, mut all) = (Vec::new(), Vec::new(), Vec::new());
        let mut theirs = Vec::new();
        let mut decoder = Decoder::default();
        let times = (ROUND_NANOSECONDS / self.fields(&mut decoder)?).clamp(1.0, 1000.0) as usize;
        for _ in 0..ROUNDS {
            ours.push(sum(times, || self.fields(&mut decoder))?);
            cold.push(sum(times, || self.fields(&mut Decoder::default()))?);
            all.push(sum(times, || self.values(&mut decoder))?);
            theirs.push(sum(times, || self.json())?);
        }
        let records = self.fragments.len();
        let each = |mut taken: Vec<f64>| {
            taken.sort_by(f64::total_cmp);
            taken[taken.len() / 2] / (times * records) as f64
        };
        let (ours, cold, read) = (each(ours), each(cold), each(all));
        Ok(Cost { log, records, ours, cold, read, theirs: each(theirs) })
    }

    /// Nanoseconds to read all of it into fields.
    fn fields(&self, decoder: &mut Decoder) -> io::Result<f64> {
        let begin = now()?;
        for fragment in &self.fragments {
            let _ = black_box(decoder.record(black_box(fragment)));
        }
        Ok(now()? - begin)
    }

    /// Nanoseconds to read all of it into fields, and each of them.
    fn values(&self, decoder: &mut Decoder) -> io::Result<f64> {
        let begin = now()?;
        for fragment in &self.fragments {
            if let Ok(record) = decoder.record(black_box(fragment)) {
                for field in &record.fields {
                    black_box(field.value());
                }
            }
        }
        Ok(now()? - begin)
    }

    /// Nanoseconds to make JSON of all of it.
    fn json(&self) -> io::Result<f64> {
        let file = self.file.clone();
        let begin = now()?;
        black_box(parse(file));
        Ok(now()? - begin)
    }
}

fn sum(times: usize, mut taken: impl FnMut() -> io::Result<f64>) -> io::Result<f64> {
    (0..times).map(|_| taken()).sum()
}

/// The processor time of this thread so far, in nanoseconds: other threads are not measured.
fn now() -> io::Result<f64> {
    let time = ClockId::CLOCK_THREAD_CPUTIME_ID.now()?;
    Ok(time.tv_sec() as f64 * 1e9 + time.tv_nsec() as f64)
}

/// How many records there are; `None` when one cannot be read.
fn json(file: &[u8]) -> Option<usize> {
    parse(file.to_vec())
}

/// What does least for the same result: no indentation, no text checked twice.
fn parse(file: Vec<u8>) -> Option<usize> {
    let settings = ParserSettings::new().num_threads(1).indent(false);
    let mut parser = EvtxParser::from_buffer(file).ok()?.with_configuration(settings);
    let mut records = parser.records_json_bytes();
    records.try_fold(0, |count, record| black_box(record).ok().map(|_| count + 1))
}

/// The records of a log as a server sends them.
fn fragments(log: &Path) -> io::Result<Vec<Vec<u8>>> {
    let script = simulator::folder().join("transcode.py");
    let written = Command::new(simulator::python()?).arg(script).arg(log).output()?.stdout;
    let (mut rest, mut fragments) = (&written[..], Vec::new());
    // The number of the record, the length of its fragment, and the fragment.
    while let Some((head, behind)) = rest.split_first_chunk::<12>() {
        let length = head.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
        let Some((fragment, behind)) = behind.split_at_checked(length) else { break };
        fragments.push(fragment.to_vec());
        rest = behind;
    }
    Ok(fragments)
}
