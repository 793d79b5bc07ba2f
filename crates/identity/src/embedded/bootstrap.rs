//! The first start: built-in roles, and an administrator to do the rest.

use super::error::Error;
use super::objects::{self, PROJECTS, ROLES, USERS};
use super::roles::{ADMIN, BUILT_IN};
use super::target::Target;
use super::{Embedded, domain};
use crate::token;
use karez_model::Secret;
use karez_store::{Datum, Error as StoreError, Tx};

/// The administrator that was made at the first start: user and project are both called `admin`,
/// in the domain `Default`.
pub struct FirstAdmin {
    /// The id of the user `admin`.
    pub user_id: String,
    /// The id of the project `admin`.
    pub project_id: String,
    /// His password, of which only the hash is stored.
    pub password: Secret,
}

impl Embedded {
    /// Makes the built-in roles, and, when there is no user yet, the first administrator with
    /// this password or a random one. Gives the administrator if this call made him: it is the
    /// only chance to learn a random password.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away.
    pub async fn bootstrap(&self, password: Option<Secret>) -> Result<Option<FirstAdmin>, Error> {
        let (is_new, has_roles) =
            self.store.read(|tx| Ok::<_, Error>((has_no_user(tx)?, has_roles(tx)?))).await?;
        let now = self.options.clock.now();
        if !has_roles {
            self.change(move |tx| make_roles(tx, now)).await?;
        }
        if !is_new {
            return Ok(None);
        }
        let password = password.or_else(token::generate);
        let password = password.ok_or_else(|| Error::Bug("no randomness for a password".to_owned()))?;
        let hash = self.hasher.hash(password.clone()).await?;
        match self.change(move |tx| make_admin(tx, &hash, now)).await {
            Ok(made) => Ok(made.map(|(user_id, project_id)| FirstAdmin { user_id, project_id, password })),
            // Another replica was faster.
            Err(Error::Conflict(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Embedded {
    /// Whether there is no user yet, so that the next [`Embedded::bootstrap`] makes the first
    /// administrator.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away.
    pub async fn is_new(&self) -> Result<bool, Error> {
        Ok(self.store.read(has_no_user).await?)
    }

    /// Gives the user `admin` a new random password, enables him and gives him back his role, for
    /// an operator who has lost the way in. His tokens end.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such user, [`Error::Unavailable`] when the database is
    /// away.
    pub async fn reset_admin(&self) -> Result<Secret, Error> {
        let password =
            random_password().ok_or_else(|| Error::Bug("no randomness for a password".to_owned()))?;
        let hash = self.hasher.hash(password.clone()).await?;
        let now = self.options.clock.now();
        self.change(move |tx| restore_admin(tx, &hash, now)).await?;
        Ok(password)
    }
}

/// A random password of 43 characters; none when the system has no randomness.
#[must_use]
pub fn random_password() -> Option<Secret> {
    token::generate()
}

fn restore_admin(tx: &mut Tx<'_>, hash: &str, now: i64) -> Result<(), Error> {
    let find = "SELECT id FROM users WHERE name = $1";
    let user = tx.query_opt(find, &[ADMIN.into()])?;
    let user = user.ok_or_else(|| Error::NotFound(format!("There is no user {ADMIN}.")))?.text(0)?.to_owned();
    let update = "UPDATE users SET password_hash = $2, enabled = 1, updated_at = $3 WHERE id = $1";
    tx.execute(update, &[user.as_str().into(), hash.into(), now.into()])?;
    tx.execute("DELETE FROM tokens WHERE user_id = $1", &[user.as_str().into()])?;
    let mut targets = vec![Target::Domain(domain::ID.to_owned()), Target::System];
    let find = "SELECT id FROM projects WHERE name = $1";
    if let Some(project) = tx.query_opt(find, &[ADMIN.into()])? {
        targets.push(Target::Project(project.text(0)?.to_owned()));
    }
    assign_admin(tx, &user, targets)
}

fn has_no_user(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    Ok(tx.query_opt("SELECT id FROM users LIMIT 1", &[])?.is_none())
}

fn has_roles(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let rows = tx.query("SELECT name FROM roles", &[])?;
    let mut names = Vec::with_capacity(rows.len());
    for row in &rows {
        names.push(row.text(0)?);
    }
    Ok(BUILT_IN.iter().all(|name| names.contains(name)))
}

fn make_roles(tx: &mut Tx<'_>, now: i64) -> Result<(), Error> {
    for name in BUILT_IN {
        let params = [token::object_id().into(), Datum::from(name), "".into(), now.into()];
        tx.execute(
            "INSERT INTO roles (id, name, description, created_at, updated_at) VALUES ($1, $2, $3, $4, $4) \
             ON CONFLICT DO NOTHING",
            &params,
        )?;
    }
    Ok(())
}

/// The ids of the user and the project, unless there is a user already.
fn make_admin(tx: &mut Tx<'_>, hash: &str, now: i64) -> Result<Option<(String, String)>, Error> {
    if !has_no_user(tx)? {
        return Ok(None);
    }
    let (user_id, project_id) = (token::object_id(), token::object_id());
    let project = vec![
        ("name", Datum::from(ADMIN)),
        ("description", "The project of the first administrator".into()),
        ("enabled", true.into()),
        ("tags", "".into()),
    ];
    objects::insert(tx, &PROJECTS, &project_id, &project, now)?;
    let user = vec![
        ("name", Datum::from(ADMIN)),
        ("description", "The first administrator".into()),
        ("enabled", true.into()),
        ("default_project_id", project_id.as_str().into()),
        ("password_hash", hash.into()),
    ];
    objects::insert(tx, &USERS, &user_id, &user, now)?;
    let targets =
        vec![Target::Project(project_id.clone()), Target::Domain(domain::ID.to_owned()), Target::System];
    assign_admin(tx, &user_id, targets)?;
    Ok(Some((user_id, project_id)))
}

fn assign_admin(tx: &mut Tx<'_>, user_id: &str, targets: Vec<Target>) -> Result<(), Error> {
    let roles = objects::select(tx, &ROLES, "name = $1", &[ADMIN.into()])?;
    let role_id = roles.first().and_then(|role| role["id"].as_str()).unwrap_or_default();
    for target in targets {
        let [user, kind, target] = target.params_with(user_id);
        tx.execute(
            "INSERT INTO role_assignments (user_id, target_kind, target_id, role_id) VALUES ($1, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
            &[user, kind, target, role_id.into()],
        )?;
    }
    Ok(())
}
