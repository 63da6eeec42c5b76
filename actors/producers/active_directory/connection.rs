//! A connection on which the account has proven itself, and searches one after another, spoken by
//! the `ldap3` library.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::FutureExt;
use ldap3::controls::RawControl;
use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult as Ldap3Result, SearchStream,
    StdStream,
};
use rollcall_config::{self as config, BindMethod};
use rollcall_wire::active_directory::{self as wire, RootDse};
use rollcall_wire::ldap::{
    Control, LdapResult, SearchRequest, SearchResultEntry, SearchScope, code,
};
use tokio::time::timeout;

use super::DirectoryError;
use super::entry::entry;
use super::handshake::{prove, reach, refused};
use super::relay::Relay;
use super::server::DirectoryServer;
use super::tls::Tls;
use super::transport::Transport;
use crate::windows::sspi::Beneath;
use rollcall_runtime::clock::Clock;

/// The most references to other servers in the answer to one search. A forest has one for each of
/// its domains and partitions.
const REFERENCES: usize = 10_000;

/// A connection to a server that let the account in.
pub(super) struct LdapConnection {
    library: Ldap,
    line: Line,
    /// How many searches were asked, pages counted one by one.
    searches: u64,
    /// Which server.
    pub(super) server: DirectoryServer,
    /// What it says of itself.
    pub(super) root: RootDse,
}

/// What must run while an answer is waited for.
struct Line {
    /// The side of the library that reads and writes, until it fails.
    driver: Pin<Box<dyn Future<Output = io::Error>>>,
    relay: Relay,
}

/// The answer to a search, once all its entries were looked at.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The value of the control that was asked for.
    pub(super) control: Option<Vec<u8>>,
}

/// A search to which answers come.
pub(super) struct Open<'a> {
    asked: &'a SearchRequest,
    stream: SearchStream<'a, &'a str, Vec<&'a str>>,
}

impl LdapConnection {
    /// Connects to `server`, proves who Rollcall is, and hears what the server says of itself.
    pub(super) async fn open(
        settings: &config::ActiveDirectory,
        tls: &Tls,
        server: DirectoryServer,
    ) -> Result<Self, DirectoryError> {
        let began = Clock::instant();
        let reached = reach(settings, tls, &server).await?;
        let left = settings.limits.connect.saturating_sub(began.elapsed());
        Self::over(settings, reached, server, left).await
    }

    /// Proves who Rollcall is on the wire that leads to `server`, and hears what it says of itself;
    /// all of that in `patience`, however busily the server answers.
    pub(super) async fn over(
        settings: &config::ActiveDirectory,
        reached: (Transport, Beneath),
        server: DirectoryServer,
        patience: Duration,
    ) -> Result<Self, DirectoryError> {
        let (named, account) = (server.to_string(), settings.account.name.clone());
        let entering = timeout(patience, Self::enter(settings, reached, server)).await;
        entering.unwrap_or(Err(DirectoryError::Slow {
            server: named,
            account,
            patience: settings.limits.connect,
        }))
    }

    async fn enter(
        settings: &config::ActiveDirectory,
        (mut wire, beneath): (Transport, Beneath),
        server: DirectoryServer,
    ) -> Result<Self, DirectoryError> {
        if settings.bind != BindMethod::Simple {
            prove(settings, &server, &mut wire, beneath).await?;
        }
        let (mut library, mut line) = Line::over(wire).await?;
        if settings.bind == BindMethod::Simple {
            let outcome = line.bind(&mut library, settings).await?;
            if outcome.code != code::SUCCESS {
                return Err(refused(settings, &server, outcome));
            }
        }
        // What it says of itself is asked for in the protected connection.
        let root = line.root(&mut library).await?;
        if !root.domain.eq_ignore_ascii_case(&settings.root()) {
            return Err(DirectoryError::OtherDomain {
                server: server.to_string(),
                found: root.domain,
                wanted: settings.root(),
            });
        }
        Ok(Self { library, line, searches: 1, server, root })
    }

    /// Asks the server again for what it says of itself: how far it is, what its clock shows.
    pub(super) async fn ask_root(&mut self) -> Result<(), DirectoryError> {
        self.searches += 1;
        self.root = self.line.root(&mut self.library).await?;
        Ok(())
    }

    /// Searches, and shows `each` entry where it lies. The value of the first of `controls` in the
    /// answer is returned.
    pub(super) async fn search(
        &mut self,
        asked: &SearchRequest,
        controls: &[Control],
        each: impl FnMut(&SearchResultEntry<'_>) -> Result<(), DirectoryError>,
    ) -> Result<Done, DirectoryError> {
        self.searches += 1;
        self.line.search(&mut self.library, asked, controls, each).await
    }

    /// How many searches were asked since this was called last.
    pub(super) fn take_searches(&mut self) -> u64 {
        std::mem::take(&mut self.searches)
    }

    /// Begins a search that stays open, whose next entry may let wait for `patience`.
    pub(super) async fn begin<'a>(
        &mut self,
        asked: &'a SearchRequest,
        controls: &[Control],
        patience: Duration,
    ) -> Result<Open<'a>, DirectoryError> {
        let open = self.line.begin(&mut self.library, asked, controls).await?;
        self.line.relay.set_patience(patience);
        Ok(open)
    }

    /// Waits until the search `open` brings an entry.
    pub(super) async fn hear(&mut self, open: &mut Open<'_>) -> Result<(), DirectoryError> {
        while let Some(found) = self.line.turn(open.stream.next()).await? {
            if !found.is_ref() {
                return Ok(());
            }
        }
        Err(failed(open.asked, &open.stream.finish().await))
    }

    /// Says good-bye. Nobody waits for an answer.
    pub(super) async fn close(mut self) {
        if self.line.turn(self.library.unbind()).await.is_ok() {
            // Until the library has ended its side, and everything of it is on its way.
            while self.line.relay.step().await.is_ok() {}
        }
    }
}

impl Line {
    /// Puts the library on `wire`.
    async fn over(wire: Transport) -> Result<(Ldap, Self), DirectoryError> {
        let (relay, end) = Relay::new(wire)?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(end));
        // The stream is open already: the address only says of which kind it is.
        let opened = LdapConnAsync::with_settings(settings, "ldapi:///").await;
        let (driver, library) = opened.map_err(io::Error::from)?;
        let driver = driver.drive().map(|ended| match ended {
            Ok(()) => io::ErrorKind::UnexpectedEof.into(),
            Err(why) => why.into(),
        });
        Ok((library, Self { driver: Box::pin(driver.fuse()), relay }))
    }

    /// Waits for what was `asked` of the library, and meanwhile lets it speak.
    ///
    /// The library keeps what it has read without a bound. So the order matters: it reads on only
    /// when everything that it has read was taken from it, and finds at most what the system keeps
    /// in a pair of sockets (about 200 KiB), or one message that is longer.
    async fn turn<T>(
        &mut self,
        asked: impl Future<Output = Result<T, LdapError>>,
    ) -> Result<T, DirectoryError> {
        let mut asked = pin!(asked);
        loop {
            tokio::select! {
                biased;
                answer = &mut asked => return answer.map_err(|why| DirectoryError::Broken(why.into())),
                why = &mut self.driver => return Err(why.into()),
                carried = self.relay.step() => carried?,
            }
        }
    }

    /// Asks to be known by name and password. A password that is empty would be granted as
    /// "unauthenticated" (RFC 4513 section 5.1.2): the configuration refuses it.
    async fn bind(
        &mut self,
        library: &mut Ldap,
        settings: &config::ActiveDirectory,
    ) -> Result<LdapResult, DirectoryError> {
        let config::ActiveDirectory { account, domain, .. } = settings;
        let name = match account.is_distinguished() {
            true => account.name.as_str().into(),
            false => account.within(domain),
        };
        let bind = library.simple_bind(&name, account.secret.expose());
        self.turn(bind).await.map(|result| outcome(&result))
    }

    async fn root(&mut self, library: &mut Ldap) -> Result<RootDse, DirectoryError> {
        let mut root = None;
        let look = |entry: &SearchResultEntry<'_>| {
            root = Some(RootDse::read(entry));
            Ok(())
        };
        self.search(library, &wire::root_dse(), &[], look).await?;
        Ok(root.unwrap_or(Err(wire::RootDseError("rootDSE")))?)
    }

    async fn search(
        &mut self,
        library: &mut Ldap,
        asked: &SearchRequest,
        controls: &[Control],
        mut each: impl FnMut(&SearchResultEntry<'_>) -> Result<(), DirectoryError>,
    ) -> Result<Done, DirectoryError> {
        let Open { mut stream, .. } = self.begin(library, asked, controls).await?;
        // Servers that could be asked instead, which are not followed.
        let mut references = 0;
        while let Some(found) = self.turn(stream.next()).await? {
            if !found.is_ref() {
                each(&entry(&found.0)?)?;
                continue;
            }
            references += 1;
            if references > REFERENCES {
                return Err(DirectoryError::Endless(format!("{REFERENCES} references")));
            }
        }
        let result = stream.finish().await;
        if result.rc != code::SUCCESS {
            return Err(failed(asked, &result));
        }
        let first = controls.first();
        let control = result.ctrls.into_iter().map(|control| control.1);
        let mut control = control.filter(|control| first.is_some_and(|c| c.oid == control.ctype));
        Ok(Done { control: control.next().and_then(|control| control.val) })
    }

    /// Sends a search. Aliases are not followed, and there is no limit of the server's: what is
    /// read is bounded where it is read.
    async fn begin<'a>(
        &mut self,
        library: &mut Ldap,
        asked: &'a SearchRequest,
        controls: &[Control],
    ) -> Result<Open<'a>, DirectoryError> {
        let control = |control: &Control| RawControl {
            ctype: control.oid.to_owned(),
            crit: true,
            val: control.value.clone(),
        };
        if !controls.is_empty() {
            library.with_controls(controls.iter().map(control).collect::<Vec<_>>());
        }
        let scope = match asked.scope {
            SearchScope::Base => ldap3::Scope::Base,
            SearchScope::Children => ldap3::Scope::OneLevel,
            SearchScope::Subtree => ldap3::Scope::Subtree,
        };
        let attributes: Vec<&str> = asked.attributes.iter().map(String::as_str).collect();
        let filter = asked.filter.to_string();
        let begun = library.streaming_search(&asked.base, scope, &filter, attributes);
        Ok(Open { asked, stream: self.turn(begun).await? })
    }
}

/// How a request ended, as the library tells it.
fn outcome(result: &Ldap3Result) -> LdapResult {
    LdapResult::new(result.rc, &result.text)
}

fn failed(asked: &SearchRequest, result: &Ldap3Result) -> DirectoryError {
    let search = format!("{} below {:?}", asked.filter, asked.base);
    DirectoryError::Search { search, outcome: outcome(result) }
}
