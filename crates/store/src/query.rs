//! What a list asks for, and the SQL for it.

use crate::Datum;
use crate::tx::Dialect;
use karez_model::{Attribute, Kind, Object, Resource, Type, Value};
use std::fmt::Write as _;

/// Which objects a caller may see at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Every object.
    All,
    /// Those of one project, and, where the kind knows such things, what is shared or external.
    Project(String),
    /// Only what is shared or external.
    Public,
    /// None.
    Nothing,
}

/// An attribute must have one of these values.
#[derive(Clone)]
pub struct Filter {
    /// The attribute.
    pub attribute: &'static Attribute,
    /// The values; none means that nothing matches.
    pub values: Vec<Value>,
}

/// Conditions that are not about one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extra {
    /// Ports with an address on one of these subnets.
    OnSubnet(Vec<String>),
    /// Ports with one of these addresses.
    WithAddress(Vec<String>),
    /// Ports with one of these security groups.
    InGroup(Vec<String>),
    /// Connections whose services are on one of these routers.
    OnRouter(Vec<String>),
    /// Objects with all of these tags.
    AllTags(Vec<String>),
    /// Objects with any of these tags.
    AnyTag(Vec<String>),
    /// Objects that do not have all of these tags.
    NotAllTags(Vec<String>),
    /// Objects with none of these tags.
    NoTag(Vec<String>),
}

/// Up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Greatest first.
    Descending,
}

/// One page of a list.
#[derive(Clone)]
pub struct Page {
    /// How many at most.
    pub limit: u64,
    /// The object that the page begins after, or, going backwards, ends before.
    pub marker: Option<Object>,
    /// Whether to go backwards.
    pub is_reverse: bool,
}

/// A list of objects of one kind.
#[derive(Clone)]
pub struct Query {
    /// The kind.
    pub kind: Kind,
    /// What may be seen.
    pub sight: Sight,
    /// All must hold.
    pub filters: Vec<Filter>,
    /// All must hold.
    pub extras: Vec<Extra>,
    /// First the first, then the second; at last the id.
    pub sort: Vec<(&'static Attribute, Direction)>,
    /// One page only.
    pub page: Option<Page>,
}

impl Query {
    /// Every object of a kind, in the order of creation.
    #[must_use]
    pub fn all(kind: Kind) -> Self {
        Self {
            kind,
            sight: Sight::All,
            filters: Vec::new(),
            extras: Vec::new(),
            sort: Vec::new(),
            page: None,
        }
    }

    /// Adds a filter on one value. Attributes that the kind does not have are a bug.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let attribute = self.kind.resource().attribute(name);
        debug_assert!(attribute.is_some(), "{name} is no attribute");
        if let Some(attribute) = attribute {
            self.filters.push(Filter { attribute, values: vec![value.into()] });
        }
        self
    }

    /// The WHERE, ORDER BY and LIMIT clauses with their parameters.
    pub(crate) fn clauses(&self, dialect: Dialect) -> (String, Vec<Datum>) {
        let mut sql =
            Clauses { text: String::new(), params: Vec::new(), dialect, resource: self.kind.resource() };
        sql.sight(&self.sight);
        for filter in &self.filters {
            sql.filter(filter);
        }
        for extra in &self.extras {
            sql.extra(extra);
        }
        let order = self.order();
        let is_reverse = self.page.as_ref().is_some_and(|page| page.is_reverse);
        if let Some(marker) = self.page.as_ref().and_then(|page| page.marker.as_ref()) {
            sql.past(marker, &order, is_reverse);
        }
        sql.order(&order, is_reverse);
        if let Some(page) = &self.page {
            let _ = write!(sql.text, " LIMIT {}", page.limit);
        }
        (sql.text, sql.params)
    }

    /// Without a page the order of creation is the natural one. With pages it is that of the
    /// ids, which stays put while objects come and go.
    fn order(&self) -> Vec<Key> {
        let mut order: Vec<Key> = Vec::with_capacity(self.sort.len() + 1);
        for (at, (attribute, direction)) in self.sort.iter().enumerate() {
            // Rows that are equal in a key once are so the second time.
            if !self.sort[..at].iter().any(|(earlier, _)| earlier.name == attribute.name) {
                order.push(Key::Attribute(attribute, *direction));
            }
        }
        if order.is_empty() && self.page.is_none() {
            order.push(Key::Created);
        }
        if !self.sort.iter().any(|(attribute, _)| attribute.name == "id") {
            order.push(Key::Id);
        }
        order
    }
}

enum Key {
    Attribute(&'static Attribute, Direction),
    Created,
    Id,
}

struct Clauses {
    text: String,
    params: Vec<Datum>,
    dialect: Dialect,
    resource: &'static Resource,
}

impl Clauses {
    fn and(&mut self, condition: &str) {
        self.text.push_str(if self.text.is_empty() { " WHERE " } else { " AND " });
        self.text.push_str(condition);
    }

    fn param(&mut self, value: impl Into<Datum>) -> String {
        self.params.push(value.into());
        format!("${}", self.params.len())
    }

    fn params(&mut self, values: impl IntoIterator<Item = Datum>) -> String {
        let names: Vec<String> = values.into_iter().map(|value| self.param(value)).collect();
        names.join(", ")
    }

    fn sight(&mut self, sight: &Sight) {
        if !self.resource.is_owned() {
            if *sight == Sight::Nothing {
                self.and("1 = 0");
            }
            return;
        }
        let public = match self.resource.kind {
            Kind::Network => Some("shared = 1 OR router_external = 1"),
            Kind::Subnet => {
                Some("network_id IN (SELECT id FROM networks WHERE shared = 1 OR router_external = 1)")
            }
            _ => None,
        };
        match (sight, public) {
            (Sight::All, _) => {}
            (Sight::Project(project), None) => {
                let project = self.param(project.as_str());
                self.and(&format!("project_id = {project}"));
            }
            (Sight::Project(project), Some(public)) => {
                let project = self.param(project.as_str());
                self.and(&format!("(project_id = {project} OR {public})"));
            }
            (Sight::Public, Some(public)) => self.and(&format!("({public})")),
            (Sight::Public, None) | (Sight::Nothing, _) => self.and("1 = 0"),
        }
    }

    fn filter(&mut self, filter: &Filter) {
        // A sealed value cannot be compared here; the list is searched once it is open.
        if matches!(filter.attribute.ty, Type::Secret(..)) {
            return;
        }
        if filter.values.is_empty() {
            self.and("1 = 0");
            return;
        }
        let values = self.params(filter.values.iter().map(scalar));
        self.and(&format!("{} IN ({values})", filter.attribute.column));
    }

    fn extra(&mut self, extra: &Extra) {
        match extra {
            Extra::OnSubnet(ids) => {
                let ids = self.params(ids.iter().map(|id| Datum::from(id.as_str())));
                self.and(&format!("id IN (SELECT port_id FROM ip_allocations WHERE subnet_id IN ({ids}))"));
            }
            Extra::WithAddress(ips) => {
                let ips = self.params(ips.iter().map(|ip| Datum::from(ip.as_str())));
                self.and(&format!("id IN (SELECT port_id FROM ip_allocations WHERE ip_address IN ({ips}))"));
            }
            Extra::InGroup(ids) => {
                let ids = self.params(ids.iter().map(|id| Datum::from(id.as_str())));
                self.and(&format!(
                    "id IN (SELECT port_id FROM port_security_groups WHERE security_group_id IN ({ids}))"
                ));
            }
            Extra::OnRouter(ids) => {
                let ids = self.params(ids.iter().map(|id| Datum::from(id.as_str())));
                self.and(&format!(
                    "vpnservice_id IN (SELECT id FROM vpnservices WHERE router_id IN ({ids}))"
                ));
            }
            Extra::AllTags(tags) => self.tags("", tags, " AND "),
            Extra::AnyTag(tags) => self.tags("", tags, " OR "),
            Extra::NotAllTags(tags) => self.tags("NOT ", tags, " AND "),
            Extra::NoTag(tags) => self.tags("NOT ", tags, " OR "),
        }
    }

    /// Tags stand in their column as a JSON list. REPLACE finds a text as it is, in both databases;
    /// LIKE ignores case in one of them and bounds the length of its pattern.
    fn tags(&mut self, not: &str, tags: &[String], join: &str) {
        let conditions: Vec<String> = tags
            .iter()
            .map(|tag| {
                let quoted = serde_json::Value::from(tag.as_str()).to_string();
                format!("REPLACE(tags, {}, '') <> tags", self.param(quoted))
            })
            .collect();
        self.and(&format!("{not}({})", conditions.join(join)));
    }

    /// Rows after the marker in the given order: greater in the first key, or equal in it and
    /// greater in the second, and so on.
    fn past(&mut self, marker: &Object, order: &[Key], is_reverse: bool) {
        let mut alternatives = Vec::with_capacity(order.len());
        let mut equal = String::new();
        for key in order {
            let column = self.column(key);
            let value = self.param(key.value_of(marker));
            let sign = if key.descends() == is_reverse { '>' } else { '<' };
            alternatives.push(format!("({equal}{column} {sign} {value})"));
            let _ = write!(equal, "{column} = {value} AND ");
        }
        self.and(&format!("({})", alternatives.join(" OR ")));
    }

    fn order(&mut self, order: &[Key], is_reverse: bool) {
        let keys: Vec<String> = order
            .iter()
            .map(|key| {
                let direction = if key.descends() == is_reverse { "" } else { " DESC" };
                format!("{}{direction}", self.column(key))
            })
            .collect();
        let _ = write!(self.text, " ORDER BY {}", keys.join(", "));
    }

    /// NULL sorts differently in the two databases, so it counts as the smallest value.
    fn column(&self, key: &Key) -> String {
        match key {
            Key::Id => format!("id{}", self.dialect.collate),
            Key::Created => "created_at".into(),
            Key::Attribute(attribute, _) if is_number(attribute) => match attribute.nullable {
                true => format!("COALESCE({}, -1)", attribute.column),
                false => attribute.column.into(),
            },
            Key::Attribute(attribute, _) => match attribute.nullable {
                true => format!("COALESCE({}, ''){}", attribute.column, self.dialect.collate),
                false => format!("{}{}", attribute.column, self.dialect.collate),
            },
        }
    }
}

impl Key {
    fn descends(&self) -> bool {
        matches!(self, Self::Attribute(_, Direction::Descending))
    }

    fn value_of(&self, object: &Object) -> Datum {
        match self {
            Self::Id => Datum::from(object.id()),
            Self::Created => Datum::from(object.meta.created_at),
            Self::Attribute(attribute, _) => match (scalar(object.get(attribute.name)), is_number(attribute))
            {
                (Datum::Null, true) => Datum::from(-1),
                (Datum::Null, false) => Datum::from(""),
                (value, _) => value,
            },
        }
    }
}

fn is_number(attribute: &Attribute) -> bool {
    matches!(attribute.ty, Type::Int(..) | Type::Bool | Type::Time)
}

/// A value as its column holds it; structures become JSON text. Secrets never come here.
pub(crate) fn scalar(value: &Value) -> Datum {
    match value {
        Value::Null | Value::Secret(_) => Datum::Null,
        Value::Bool(value) => Datum::from(*value),
        Value::Int(value) => Datum::from(*value),
        Value::Text(value) => Datum::from(value.as_str()),
        Value::Json(value) => Datum::from(value.to_string()),
    }
}
