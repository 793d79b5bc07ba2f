//! Case files: conformance cases as data.
//!
//! A file holds `[[case]]` entries. A case has an `id`, a `title` (a sentence), and either the
//! fields of one [`Step`] or several `[[case.step]]`; or `elsewhere`, the reason why it cannot be
//! run over HTTP. `given` names fixtures that must exist before the first step. `each` runs the
//! case once for each row: a list of tables of placeholders, or the name of such a list in the file's
//! `[tables]` or in `tables.toml`.
//!
//! Every string of a step may hold placeholders, `{name}`: see [`super::scene`].

use anyhow::{Context, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Placeholders and what they stand for.
pub type Row = BTreeMap<String, String>;

/// One numbered case.
pub struct Case {
    /// The number of the case; a neighbour of a numbered case adds a word: `I-07-put`.
    pub id: String,
    /// What holds.
    pub title: String,
    /// Why the case cannot be run here.
    pub elsewhere: Option<String>,
    /// Fixtures that are not named in a step but have to exist.
    pub given: Vec<String>,
    /// The case is run once for each.
    pub rows: Vec<Row>,
    /// Steps with their placeholders.
    pub steps: Vec<Table>,
}

/// Steps that make something which cases build upon, and save its id under a name.
pub struct Fixture {
    /// The names that it saves.
    pub names: Vec<String>,
    /// Its steps.
    pub steps: Vec<Table>,
}

/// A request with what is expected of the answer; or statements for the database.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who calls; a member of the case's project when not said.
    #[serde(rename = "as", default = "member")]
    pub caller: String,
    /// Method and path.
    pub request: Option<String>,
    /// Statements to run on the database behind the server's back.
    pub sql: Option<String>,
    /// Placeholders to set.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Further headers of the request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body of the request, as it is sent.
    pub body: Option<String>,
    /// Placeholders to be set to what is at a path of the answer.
    #[serde(default)]
    pub save: BTreeMap<String, String>,
    /// What the answer must be.
    #[serde(flatten)]
    pub expected: Expected,
}

/// What an answer must be. All paths are those of [`super::path`].
#[derive(Debug, Deserialize)]
pub struct Expected {
    /// The status, or those that are accepted.
    pub status: Option<Status>,
    /// The type of a NeutronError.
    #[serde(rename = "type")]
    pub error: Option<String>,
    /// What the message of a NeutronError contains.
    #[serde(default)]
    pub message: Vec<String>,
    /// JSON object: path to the value there.
    pub equals: Option<String>,
    /// JSON object: path to an element of the list or a part of the text there.
    pub contains: Option<String>,
    /// JSON object: path to what is neither an element nor a part there.
    pub lacks: Option<String>,
    /// JSON object: path to the list of values of which one is there.
    pub one_of: Option<String>,
    /// JSON object: path to what every element of the list there is; the list is not empty.
    pub every: Option<String>,
    /// Paths where nothing is.
    #[serde(default)]
    pub absent: Vec<String>,
    /// Path to all keys of the object there, or of every object in the list there, separated by
    /// white space.
    #[serde(default)]
    pub keys: BTreeMap<String, String>,
    /// Path to the number of elements of the list there.
    #[serde(default)]
    pub length: BTreeMap<String, usize>,
    /// Path to the shape of the value there.
    #[serde(default)]
    pub shape: BTreeMap<String, String>,
    /// Paths with the same value.
    #[serde(default)]
    pub same: Vec<(String, String)>,
    /// Header to its value, or to a shape in angle brackets.
    #[serde(default)]
    pub header: BTreeMap<String, String>,
    /// The body as it is.
    pub text: Option<String>,
}

/// Accepted status codes.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Status {
    /// This one.
    One(u16),
    /// Any of these.
    Any(Vec<u16>),
}

impl Status {
    /// Whether a status is accepted.
    pub fn accepts(&self, status: u16) -> bool {
        match self {
            Self::One(one) => *one == status,
            Self::Any(any) => any.contains(&status),
        }
    }
}

fn member() -> String {
    "member".to_owned()
}

/// The directory of the case files.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// The cases of a file.
pub fn cases(name: &str) -> anyhow::Result<Vec<Case>> {
    let mut file = read(name)?;
    let mut tables = read("tables")?;
    tables.extend(take::<Table>(&mut file, "tables")?.unwrap_or_default());
    let cases = entries(&mut file, "case")?.into_iter().map(|entry| case(entry, &tables));
    let cases = cases.collect::<anyhow::Result<_>>().with_context(|| name.to_owned())?;
    ensure!(file.is_empty(), "{name}: unknown keys in {file}");
    Ok(cases)
}

/// The fixtures.
pub fn fixtures() -> anyhow::Result<Vec<Fixture>> {
    let mut file = read("fixtures")?;
    entries(&mut file, "fixture")?.into_iter().map(fixture).collect()
}

fn read(name: &str) -> anyhow::Result<Table> {
    let path = directory().join(name).with_extension("toml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

fn case(mut entry: Table, tables: &Table) -> anyhow::Result<Case> {
    let id: String = take(&mut entry, "id")?.context("a case without id")?;
    let read = |mut entry: Table| {
        Ok(Case {
            id: id.clone(),
            title: take(&mut entry, "title")?.context("no title")?,
            elsewhere: take(&mut entry, "elsewhere")?,
            given: take::<String>(&mut entry, "given")?
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            rows: rows(entry.remove("each"), tables)?,
            steps: steps(entry)?,
        })
    };
    read(entry).and_then(complete).with_context(|| id.clone())
}

fn complete(case: Case) -> anyhow::Result<Case> {
    ensure!(case.elsewhere.is_some() == case.steps.is_empty(), "either steps or a reason why there are none");
    Ok(case)
}

fn fixture(entry: Table) -> anyhow::Result<Fixture> {
    let steps = steps(entry)?;
    let parsed = steps.iter().map(|step| parse(step.clone())).collect::<anyhow::Result<Vec<_>>>()?;
    let names = parsed.iter().flat_map(|step| step.save.keys().chain(step.set.keys())).cloned().collect();
    Ok(Fixture { names, steps })
}

/// The steps of a case: those listed, or the one that the remaining keys are.
fn steps(mut entry: Table) -> anyhow::Result<Vec<Table>> {
    let mut steps = entries(&mut entry, "step")?;
    if !entry.is_empty() {
        ensure!(steps.is_empty(), "this does not belong beside steps: {entry}");
        steps.push(entry);
    }
    for step in &steps {
        parse(step.clone())?;
    }
    Ok(steps)
}

/// A step as a typed value, with its placeholders or with what they stand for.
pub fn parse(step: Table) -> anyhow::Result<Step> {
    let shown = step.to_string();
    let step: Step = step.try_into().with_context(|| shown.clone())?;
    ensure!(
        step.request.is_some() || step.sql.is_some() || !step.set.is_empty(),
        "a step that does nothing: {shown}"
    );
    ensure!(step.request.is_some() == step.expected.status.is_some(), "a request needs a status: {shown}");
    Ok(step)
}

fn rows(each: Option<Value>, tables: &Table) -> anyhow::Result<Vec<Row>> {
    match each {
        None => Ok(vec![Row::new()]),
        Some(Value::String(name)) => {
            rows(Some(tables.get(&name).with_context(|| format!("no table {name}"))?.clone()), tables)
        }
        Some(rows) => Ok(rows.try_into()?),
    }
}

fn entries(table: &mut Table, key: &str) -> anyhow::Result<Vec<Table>> {
    Ok(take(table, key)?.unwrap_or_default())
}

fn take<'de, T: Deserialize<'de>>(table: &mut Table, key: &str) -> anyhow::Result<Option<T>> {
    table.remove(key).map(|value| value.try_into().with_context(|| key.to_owned())).transpose()
}

#[test]
fn a_misspelt_key_is_refused() -> anyhow::Result<()> {
    let step = "request = 'GET /'\nstatus = 200";
    assert!(parse(toml::from_str(step)?).is_ok());
    assert!(parse(toml::from_str(&format!("{step}\nequal = '{{}}'"))?).is_err());
    Ok(())
}
