//! Files of the state that are damaged, missing or another's: found, and the state read anew from its changelog; never answered
//! from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::QueryState;
use super::lab::Lab;
use crate::log::simulated::{SimulatedLog, SimulationOptions};
use crate::operators::materialized;
use crate::plan::QueryPlan;
use crate::state::rocks::Family;
use crate::state::{StateDb, StateLimits};
use crate::types::{Value, codec};

const KEYS: usize = 3_000;
const STREAM: &str = "CREATE STREAM S (ID STRING KEY, V STRING) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');";
const QUERY: &str = "CREATE TABLE C AS SELECT ID, COUNT(*) AS N, LATEST_BY_OFFSET(V) AS V FROM S GROUP BY ID;";

type Rows = BTreeMap<String, String>;

/// A folder of state, the log that it belongs to, and what its query's table holds.
struct Template {
    folder: tempfile::TempDir,
    log: SimulatedLog,
    plan: Arc<QueryPlan>,
    rows: Rows,
}

impl Template {
    fn new() -> Self {
        let log = SimulatedLog::new(SimulationOptions { atomic: false, ..SimulationOptions::default() });
        let folder = tempfile::tempdir().unwrap();
        let state = StateDb::open(folder.path(), StateLimits::default()).unwrap();
        let mut lab = Lab::over(log.clone(), state.clone());
        ["s", "C"].iter().for_each(|topic| lab.topic(topic));
        lab.world.run(STREAM).unwrap();
        let plan = lab.plan(QUERY);
        let handle = lab.start(&plan);
        let append = |lab: &Lab, keys: usize, word: &str| {
            for key in 0..keys {
                let text: String =
                    (0..8_u32).map(|part| format!("{:x}", (key as u32).wrapping_mul(2_654_435_761).rotate_left(part * 3))).collect();
                lab.append("s", &format!("k{key}"), &format!(r#"{{"V": "{word}{text}"}}"#));
            }
        };
        // Files of sorted entries, and behind them a write-ahead log.
        append(&lab, KEYS, "a");
        lab.work_until(|lab| lab.committed(&handle.id, "s") == Some(KEYS as i64));
        state.rocks().unwrap().compact(Family::State).unwrap();
        append(&lab, KEYS / 4, "b");
        lab.work_until(|lab| lab.committed(&handle.id, "s") == Some((KEYS + KEYS / 4) as i64));
        let rows = rows(&lab, &plan).unwrap();
        assert_eq!(rows.len(), KEYS);
        drop((lab, handle));
        Template { folder, log, plan, rows }
    }

    fn files(&self) -> Vec<String> {
        let files = std::fs::read_dir(store(self.folder.path())).unwrap();
        let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn copy(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        std::fs::create_dir(store(copy.path())).unwrap();
        for name in self.files() {
            std::fs::copy(store(self.folder.path()).join(&name), store(copy.path()).join(&name)).unwrap();
        }
        copy
    }

    /// Starts on a folder; what the table then holds.
    fn start(&self, folder: &Path) -> Result<Rows, String> {
        let state = StateDb::open_or_begin_anew(folder, StateLimits::default()).map_err(|error| error.to_string())?;
        let mut lab = Lab::over(self.log.clone(), state);
        let handle = lab.runtime.start_query(super::lab::start(&self.plan, None)).map_err(|error| error.to_string())?;
        lab.work();
        if let QueryState::Failed(failure) = handle.state() {
            return Err(failure.reason);
        }
        rows(&lab, &self.plan)
    }
}

fn store(folder: &Path) -> PathBuf {
    folder.join("store")
}

/// All rows of the table, each looked up by its key as well.
fn rows(lab: &Lab, plan: &QueryPlan) -> Result<Rows, String> {
    let reader = materialized::reader(plan).unwrap();
    let mut rows = Rows::new();
    for partition in lab.runtime.partition_readers(&plan.query_id, reader.stores()).unwrap() {
        let read = reader.scan(0, &[], None, &partition, &mut |_, row| {
            if let Some(Value::String(key)) = row.values.first() {
                rows.insert(key.to_string(), format!("{:?}", row.values));
            }
            true
        });
        read.map_err(|error| error.to_string())?;
        for key in 0..KEYS {
            let key = format!("k{key}");
            let mut bytes = Vec::new();
            codec::encode_key(&[Value::String(key.as_str().into())], &mut bytes);
            let found = reader.get(&bytes, &partition).map_err(|error| error.to_string())?;
            let found = found.map(|row| format!("{:?}", row.values));
            if found.as_ref() != rows.get(&key) {
                let difference = format!("{found:?}, and by a scan {:?}", rows.get(&key));
                return Ok(Rows::from([(key, difference)]));
            }
        }
    }
    Ok(rows)
}

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// The byte at so many thousandths of its length is another.
    Flip(usize),
    /// It ends at so many thousandths of its length.
    Truncate(usize),
    Delete,
    /// Something else stands there.
    Foreign,
}

impl Damage {
    fn inflict(self, file: &Path) {
        let mut bytes = std::fs::read(file).unwrap();
        let at = |thousandths: usize| bytes.len() * thousandths / 1000;
        match self {
            Damage::Flip(thousandths) => {
                let at = at(thousandths).min(bytes.len().saturating_sub(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 0x55;
                }
            }
            Damage::Truncate(thousandths) => bytes.truncate(at(thousandths)),
            Damage::Delete => return std::fs::remove_file(file).unwrap(),
            Damage::Foreign => bytes = b"this is not what it should be\n".repeat(40),
        }
        std::fs::write(file, bytes).unwrap();
    }
}

#[test]
fn damaged_files_are_found_and_never_answered_from() {
    let template = Template::new();
    let files = template.files();
    let kind = |name: &str| match name {
        _ if name.ends_with(".sst") => "sst",
        _ if name.ends_with(".log") => "wal",
        _ if name.starts_with("MANIFEST") => "manifest",
        _ if name.starts_with("OPTIONS") => "options",
        _ => "other",
    };
    let damages = |name: &str| -> Vec<Damage> {
        let (flips, cuts): (&[usize], &[usize]) = match kind(name) {
            "sst" => (&[0, 20, 100, 250, 400, 550, 700, 850, 930, 960, 975, 985, 992, 997, 1000], &[0, 300, 900, 999]),
            "wal" => (&[0, 10, 250, 500, 750, 999], &[0, 100, 500, 900, 999]),
            "manifest" => (&[0, 200, 400, 600, 800, 999], &[0, 300, 600, 900, 999]),
            _ => (&[0, 500, 999], &[0, 500]),
        };
        let flips = flips.iter().map(|at| Damage::Flip(*at));
        flips.chain(cuts.iter().map(|at| Damage::Truncate(*at))).chain([Damage::Delete, Damage::Foreign]).collect()
    };
    for kinds in ["sst", "wal", "manifest", "options"] {
        assert!(files.iter().any(|name| kind(name) == kinds), "no {kinds} in {files:?}");
    }
    assert_eq!(template.start(template.copy().path()), Ok(template.rows.clone()), "nothing is damaged");
    let (mut cases, mut set_aside, mut refused) = (0, 0, 0);
    for name in &files {
        for damage in damages(name) {
            let copy = template.copy();
            damage.inflict(&store(copy.path()).join(name));
            cases += 1;
            let rows = match template.start(copy.path()) {
                Ok(rows) => rows,
                Err(reason) => {
                    assert!(reason.contains("are damaged"), "{name} {damage:?}: {reason}");
                    refused += 1;
                    template.start(copy.path()).unwrap_or_else(|reason| panic!("{name} {damage:?}, started again: {reason}"))
                }
            };
            set_aside += usize::from(copy.path().join("store.damaged-1").exists());
            let odd: Vec<_> = rows.iter().filter(|(key, row)| template.rows.get(*key) != Some(*row)).take(3).collect();
            assert!(odd.is_empty() && rows.len() == KEYS, "{name} {damage:?}: {} rows, {odd:?}", rows.len());
        }
    }
    println!("{cases} cases, {set_aside} times the state was set aside, {refused} times an answer was refused");
    assert!(cases >= 50 && set_aside >= 15 && refused >= 3, "{cases} cases, {set_aside} set aside, {refused} refused");
}
