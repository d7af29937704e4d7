//! Accounts of this machine.

use super::check::Checker;
use super::file::Maybe;
use super::types::User;
use nix::unistd;

/// The account without any permissions.
const NOBODY: &str = "nobody";

impl Checker {
    /// The user that runs the programs of health checks; `None` if none is named and the machine has no `nobody`.
    pub fn script_user(&mut self, written: &Maybe<String>) -> Option<User> {
        let Some(name) = written else { return user(NOBODY) };
        let found = user(name.as_ref());
        match &found {
            Some(User { uid: 0, .. }) => {
                let hint = "name a user that may do nothing else, such as \"nobody\"";
                self.fault(name.span(), "programs of health checks don't run as root", hint);
            }
            Some(_) => {}
            None => {
                let what = format!("there is no user `{}` on this machine", name.as_ref());
                self.fault(name.span(), what, "name one of `getent passwd`, such as \"nobody\"");
            }
        }
        found
    }
}

fn user(name: &str) -> Option<User> {
    let found = unistd::User::from_name(name).ok().flatten()?;
    Some(User { uid: found.uid.as_raw(), gid: found.gid.as_raw() })
}
