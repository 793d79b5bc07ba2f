//! Where the way to a cloud is written down: in variables `OS_*`, or in a `clouds.yaml`. Reads no file itself.

use super::yaml::Node;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The environment, as far as it matters: `OS_*`, `HOME`, `XDG_CONFIG_HOME`.
#[derive(Default)]
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Of all variables, those that matter. Empty is the same as not set.
    pub(super) fn of(all: impl IntoIterator<Item = (String, String)>) -> Self {
        let matters = |name: &str| name.starts_with("OS_") || matches!(name, "HOME" | "XDG_CONFIG_HOME");
        Self(all.into_iter().filter(|(name, value)| matters(name) && !value.is_empty()).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The cloud that is meant: the one of the option, else that of `OS_CLOUD`.
    pub(super) fn cloud<'a>(&'a self, option: Option<&'a str>) -> Option<&'a str> {
        option.filter(|name| !name.is_empty()).or_else(|| self.get("OS_CLOUD"))
    }

    /// Whether they are themselves the way to a cloud, as after `source openrc`.
    pub(super) fn lead_somewhere(&self) -> bool {
        ["OS_AUTH_URL", "OS_USERNAME", "OS_USER_ID", "OS_TOKEN", "OS_APPLICATION_CREDENTIAL_ID"]
            .iter()
            .any(|name| self.get(name).is_some())
    }
}

/// Where a file is looked for, in this order. `kind` is `clouds` or `secure`; a file that a variable names is the only one.
pub(super) fn places(kind: &str, variables: &Variables, here: &Path) -> Vec<PathBuf> {
    let chosen = match kind {
        "clouds" => variables.get("OS_CLIENT_CONFIG_FILE"),
        _ => variables.get("OS_CLIENT_SECURE_FILE"),
    };
    if let Some(chosen) = chosen {
        return vec![here.join(home(chosen, variables))];
    }
    let own = match (variables.get("XDG_CONFIG_HOME"), variables.get("HOME")) {
        (Some(configuration), _) => Some(Path::new(configuration).join("openstack")),
        (None, Some(home)) => Some(Path::new(home).join(".config/openstack")),
        (None, None) => None,
    };
    let folders = [Some(here.to_owned()), own, Some(PathBuf::from("/etc/openstack"))];
    let names = ["yaml", "yml", "json"].map(|ending| format!("{kind}.{ending}"));
    folders.into_iter().flatten().flat_map(|folder| names.each_ref().map(|name| folder.join(name))).collect()
}

/// A path in which `~/` is the home directory.
pub(super) fn home(path: &str, variables: &Variables) -> PathBuf {
    match (path.strip_prefix("~/"), variables.get("HOME")) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        (Some(_) | None, _) => PathBuf::from(path),
    }
}

/// A file that was found.
pub(super) struct File {
    pub path: PathBuf,
    pub text: String,
}

/// What a search for files gave.
#[derive(Default)]
pub(super) struct Files {
    pub clouds: Option<File>,
    /// Secrets of the same clouds, kept apart.
    pub secure: Option<File>,
    /// Where `clouds` was looked for.
    pub looked: Vec<PathBuf>,
}

/// The way to one cloud, as it is written down.
pub(super) enum Settings<'a> {
    Variables(&'a Variables),
    Cloud(Cloud<'a>),
}

/// A cloud of a file.
pub(super) struct Cloud<'a> {
    name: String,
    path: PathBuf,
    entry: Rc<Node>,
    secrets: Option<Rc<Node>>,
    variables: &'a Variables,
}

/// What a cloud takes from the variables when its file does not say it. Who one is, is never mixed.
const FILLED_IN: [&str; 8] = [
    "password",
    "application_credential_secret",
    "region_name",
    "interface",
    "cacert",
    "insecure",
    "network_endpoint_override",
    "endpoint_type",
];

impl<'a> Settings<'a> {
    /// The cloud that is meant: the one that is named, else what the variables lead to, else the only one of the file.
    ///
    /// # Errors
    /// Says what is missing, what there is, and where was looked.
    pub(super) fn choose(variables: &'a Variables, option: Option<&str>, files: &Files) -> Result<Self> {
        let named = variables.cloud(option);
        if named.is_none() && variables.lead_somewhere() {
            return Ok(Self::Variables(variables));
        }
        let Some(file) = &files.clouds else {
            let looked: Vec<String> = files.looked.iter().map(|path| path.display().to_string()).collect();
            let looked = looked.join(", ");
            match named {
                Some(name) => {
                    bail!("the cloud {name:?} is asked for, and there is no clouds.yaml: looked for {looked}")
                }
                None => bail!(
                    "no cloud is known: OS_AUTH_URL is not set (source an openrc), and neither --os-cloud nor OS_CLOUD \
                     names one of a clouds.yaml; looked for {looked}"
                ),
            }
        };
        let clouds = clouds(file)?;
        let Node::Map(entries) = &*clouds else {
            bail!("{}: clouds must be a mapping of names to clouds", file.path.display())
        };
        let known = || entries.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let (name, entry) = match (named, entries.as_slice()) {
            (Some(named), entries) => match entries.iter().find(|(name, _)| name == named) {
                Some(found) => found,
                None => bail!("{} has no cloud {named:?}; it has: {}", file.path.display(), known()),
            },
            (None, [only]) => only,
            (None, _) => bail!(
                "OS_AUTH_URL is not set, and {} has several clouds: name one of {} with --os-cloud or OS_CLOUD",
                file.path.display(),
                known()
            ),
        };
        let secrets = match &files.secure {
            Some(file) => clouds_of(file)?.get(name).map(Rc::clone),
            None => None,
        };
        let (name, entry) = (name.clone(), Rc::clone(entry));
        Ok(Self::Cloud(Cloud { name, path: file.path.clone(), entry, secrets, variables }))
    }

    /// The first of these keys that is set. Keys are those of `clouds.yaml`; `OS_USERNAME` is `username`.
    pub(super) fn get(&self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| match self {
            Self::Variables(variables) => variables.get(&variable(key)).map(str::to_owned),
            Self::Cloud(cloud) => cloud.get(key),
        })
    }

    /// As [`Settings::get`]; what is missing is an error that names the key.
    pub(super) fn need(&self, keys: &[&str]) -> Result<String> {
        self.get(keys).with_context(|| format!("{} is missing in {}", self.names(keys), self.place()))
    }

    /// How keys are called there.
    pub(super) fn names(&self, keys: &[&str]) -> String {
        let name = |key: &&str| match self {
            Self::Variables(_) => variable(key),
            Self::Cloud(_) => (*key).to_owned(),
        };
        keys.iter().map(name).collect::<Vec<_>>().join(" or ")
    }

    /// Where it is written down, for people.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Variables(_) => "the environment (variables OS_*)".to_owned(),
            Self::Cloud(cloud) => format!("the cloud {:?} of {}", cloud.name, cloud.path.display()),
        }
    }

    pub(super) fn variables(&self) -> &Variables {
        match self {
            Self::Variables(variables) => variables,
            Self::Cloud(cloud) => cloud.variables,
        }
    }
}

impl Cloud<'_> {
    fn get(&self, key: &str) -> Option<String> {
        let within = |node: &Node| {
            let in_auth = node.get("auth").and_then(|auth| auth.text(key).map(str::to_owned));
            in_auth.or_else(|| node.text(key).map(str::to_owned)).or_else(|| first_region(node, key))
        };
        let in_files = self.secrets.as_deref().and_then(within).or_else(|| within(&self.entry));
        let filled_in = || FILLED_IN.contains(&key).then(|| self.variables.get(&variable(key))).flatten();
        in_files.or_else(|| filled_in().map(str::to_owned))
    }
}

/// A cloud may have a list of regions in place of one; the first is meant then.
fn first_region(node: &Node, key: &str) -> Option<String> {
    if key != "region_name" {
        return None;
    }
    let Node::List(regions) = &**node.get("regions")? else { return None };
    match &**regions.first()? {
        Node::Text(name) => Some(name.clone()),
        region => region.text("name").map(str::to_owned),
    }
}

fn clouds(file: &File) -> Result<Rc<Node>> {
    let found = clouds_of(file)?;
    match *found {
        Node::Null => bail!("{}: clouds is missing", file.path.display()),
        _ => Ok(found),
    }
}

fn clouds_of(file: &File) -> Result<Rc<Node>> {
    let root = Node::read(&file.text).with_context(|| file.path.display().to_string())?;
    Ok(root.get("clouds").map_or_else(|| Rc::new(Node::Null), Rc::clone))
}

fn variable(key: &str) -> String {
    format!("OS_{}", key.to_ascii_uppercase())
}
