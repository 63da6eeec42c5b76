//! How far a directory has been read, which only the server that said so can go on from.

use rollcall_identity::directory::Guid;
use rollcall_wire::active_directory::Root;

/// How far it has been read, at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// The server's settings (dsServiceName).
    service: String,
    /// Its invocation: another one after it was restored from a backup.
    invocation: Guid,
    /// How far.
    pub(super) mark: Mark,
}

/// A place in what a server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// Everything up to this update sequence number was read.
    Usn(u64),
    /// What DirSync goes on from.
    Cookie(Vec<u8>),
}

impl Position {
    /// At the server that says `root` of itself.
    pub(super) fn new(root: &Root, invocation: Guid, mark: Mark) -> Self {
        Self { service: root.service.clone(), invocation, mark }
    }

    /// Whether the server that says `root` of itself, in the invocation `invocation`, can go on
    /// from here. One whose numbers have gone back was restored without being told so (a virtual
    /// machine set back): what it says from now on would not be heard.
    pub(super) fn continues(&self, root: &Root, invocation: Guid) -> bool {
        let same = self.service == root.service && self.invocation == invocation;
        same && match &self.mark {
            Mark::Usn(usn) => *usn <= root.committed,
            Mark::Cookie(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use rollcall_identity::Name;

    use super::*;

    fn root(service: &str, committed: u64) -> Root {
        Root {
            domain: "DC=x".into(),
            configuration: "CN=Configuration,DC=x".into(),
            service: service.into(),
            host: Name::new("dc1").unwrap(),
            committed,
            clock: None,
            controls: Vec::new(),
        }
    }

    #[test]
    fn only_the_same_life_of_the_same_server_goes_on() {
        let (one, two) = (Guid([1; 16]), Guid([2; 16]));
        let position = Position::new(&root("a", 100), one, Mark::Usn(100));
        assert!(position.continues(&root("a", 100), one));
        assert!(position.continues(&root("a", 200), one));
        assert!(!position.continues(&root("b", 200), one), "another server");
        assert!(!position.continues(&root("a", 200), two), "restored from a backup");
        assert!(!position.continues(&root("a", 99), one), "set back");
    }
}
