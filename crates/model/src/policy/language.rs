//! The rule language: the part of oslo.policy's that rules about these resources use.

/// A rule as a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    Always,
    Never,
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
    Check(Check),
}

/// One thing that a rule can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Role(String),
    Rule(String),
    OwnProject,
    SystemScope,
    User(String),
    Project(String),
    Shared,
    External,
}

impl Expression {
    /// The rules that this one refers to.
    pub(super) fn references(&self) -> Vec<&str> {
        match self {
            Self::Check(Check::Rule(name)) => vec![name],
            Self::Not(inner) => inner.references(),
            Self::And(inner) | Self::Or(inner) => inner.iter().flat_map(Self::references).collect(),
            Self::Always | Self::Never | Self::Check(_) => Vec::new(),
        }
    }
}

/// Reads a rule: checks joined by `and`, `or`, `not` and parentheses. An empty rule and `@` are
/// always true, `!` never.
pub(super) fn parse(rule: &str) -> Result<Expression, String> {
    let spaced = rule.replace('(', " ( ").replace(')', " ) ").replace("% ( ", "%(").replace(" ) s", ")s");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    if tokens.is_empty() {
        return Ok(Expression::Always);
    }
    let mut rest = tokens.as_slice();
    let expression = any(&mut rest, 0)?;
    match rest.first() {
        None => Ok(expression),
        Some(token) => Err(format!("'{token}' is not expected here")),
    }
}

/// Deeper parentheses than this are a mistake, and would cost stack.
const MAX_DEPTH: usize = 32;

fn any(rest: &mut &[&str], depth: usize) -> Result<Expression, String> {
    let mut alternatives = vec![all(rest, depth)?];
    while take(rest, "or") {
        alternatives.push(all(rest, depth)?);
    }
    Ok(if alternatives.len() == 1 { alternatives.remove(0) } else { Expression::Or(alternatives) })
}

fn all(rest: &mut &[&str], depth: usize) -> Result<Expression, String> {
    let mut conditions = vec![term(rest, depth)?];
    while take(rest, "and") {
        conditions.push(term(rest, depth)?);
    }
    Ok(if conditions.len() == 1 { conditions.remove(0) } else { Expression::And(conditions) })
}

fn term(rest: &mut &[&str], depth: usize) -> Result<Expression, String> {
    if depth > MAX_DEPTH {
        return Err("too many parentheses".into());
    }
    if take(rest, "not") {
        return Ok(Expression::Not(Box::new(term(rest, depth + 1)?)));
    }
    if take(rest, "(") {
        let inner = any(rest, depth + 1)?;
        return if take(rest, ")") { Ok(inner) } else { Err("a closing parenthesis is missing".into()) };
    }
    let Some((first, others)) = rest.split_first() else {
        return Err("something is missing at the end".into());
    };
    *rest = others;
    check(first)
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    let found = rest.first().is_some_and(|token| token.eq_ignore_ascii_case(word));
    if found {
        *rest = &rest[1..];
    }
    found
}

fn check(token: &str) -> Result<Expression, String> {
    let check = match token {
        "@" => return Ok(Expression::Always),
        "!" => return Ok(Expression::Never),
        "is_admin:True" => Check::Role("admin".into()),
        "system_scope:all" => Check::SystemScope,
        "field:networks:shared=True" | "field:subnets:shared=True" => Check::Shared,
        "field:networks:router:external=True" | "field:subnets:router:external=True" => Check::External,
        "project_id:%(project_id)s"
        | "tenant_id:%(tenant_id)s"
        | "tenant_id:%(project_id)s"
        | "project_id:%(tenant_id)s" => Check::OwnProject,
        _ => match token.split_once(':') {
            Some(("role", name)) if !name.is_empty() => Check::Role(name.to_ascii_lowercase()),
            Some(("rule", name)) if !name.is_empty() => Check::Rule(name.to_owned()),
            Some(("user_id", id)) if !id.contains('%') => Check::User(id.to_owned()),
            Some(("project_id" | "tenant_id", id)) if !id.contains('%') => Check::Project(id.to_owned()),
            Some(_) | None => {
                return Err(format!(
                    "'{token}' is not a check; known are @, !, role:NAME, rule:NAME, user_id:ID, project_id:ID, \
                     project_id:%(project_id)s, system_scope:all, is_admin:True, field:networks:shared=True and \
                     field:networks:router:external=True"
                ));
            }
        },
    };
    Ok(Expression::Check(check))
}
