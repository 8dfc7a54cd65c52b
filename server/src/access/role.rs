//! Roles: each includes those before it.

use std::fmt;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look: lists, descriptions, queries.
    Read,
    /// Change streams, tables, queries and rows.
    Write,
    /// End the service, change the server, hand secrets to connectors.
    Admin,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Read, Role::Write, Role::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Write => "write",
            Role::Admin => "admin",
        }
    }

    fn named(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who is let in, of those that are known: `authentication.roles`.
pub struct Entrance {
    /// `None`: everybody.
    roles: Option<Vec<String>>,
}

impl Entrance {
    /// `*` and `**` let everybody in.
    pub fn new(roles: &str) -> Self {
        let roles: Vec<String> = roles.split(',').map(|role| role.trim().to_owned()).filter(|role| !role.is_empty()).collect();
        let everybody = roles.is_empty() || roles.iter().any(|role| role == "*" || role == "**");
        Entrance { roles: (!everybody).then_some(roles) }
    }

    /// The role of a user by the names of the roles that it has. A role of another name that `authentication.roles` lists is
    /// what it is in ksqlDB: one that may do everything.
    ///
    /// # Errors
    /// It is not let in; what is to be said.
    pub fn role_of(&self, user: &str, roles: &[String]) -> Result<Role, String> {
        let named = roles.iter().filter_map(|role| Role::named(role)).max();
        let Some(listed) = &self.roles else {
            return named.ok_or_else(|| {
                format!(
                    "Forbidden: user '{user}' has none of the roles read, write and admin. A role of another name lets in where \
                     authentication.roles lists it"
                )
            });
        };
        let lets_in: Vec<&String> = roles.iter().filter(|role| listed.contains(role)).collect();
        if lets_in.is_empty() {
            return Err(format!("Forbidden: user '{user}' has none of the roles that authentication.roles lists"));
        }
        if lets_in.iter().any(|role| Role::named(role).is_none()) {
            return Ok(Role::Admin);
        }
        named.ok_or_else(|| format!("Forbidden: user '{user}' has no role"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_those_of_the_file_and_of_the_property() {
        for (listed, roles, expected) in [
            ("*", &["read"][..], Some(Role::Read)),
            ("**", &["read", "write"], Some(Role::Write)),
            ("*", &["ADMIN"], Some(Role::Admin)),
            ("*", &["ksql-user"], None),
            ("*", &[], None),
            ("ksql-user", &["ksql-user"], Some(Role::Admin)),
            ("ksql-user, developer", &["developer"], Some(Role::Admin)),
            ("ksql-user", &["read", "admin"], None),
            ("read,write", &["read"], Some(Role::Read)),
            ("read,write", &["write"], Some(Role::Write)),
            ("admin", &["write"], None),
        ] {
            let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
            assert_eq!(Entrance::new(listed).role_of("u", &roles).ok(), expected, "{listed}: {roles:?}");
        }
    }
}
