//! An authenticated LDAP connection for one search at a time, over the `ldap3` library.

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
use rollcall_identity::Name;
use rollcall_wire::active_directory::{self as wire, RootDse};
use rollcall_wire::ldap::{
    Control, LdapResult, SearchRequest, SearchResultEntry, SearchScope, code,
};
use tokio::time::timeout;

use super::DirectoryError;
use super::entry::entry;
use super::handshake::{rejected, sasl_authenticate};
use super::relay::Relay;
use super::server::DirectoryServer;
use super::transport::Transport;
use crate::remote::AuthAttempt;
use crate::windows::sspi::Channel;

/// The maximum number of referrals in the response to one search. A forest has one for each of its
/// domains and partitions.
const MAX_REFERRALS: usize = 10_000;

/// An authenticated connection to a domain controller.
pub(super) struct LdapConnection {
    library: Ldap,
    line: Line,
    /// The number of searches, each page counted.
    searches: u64,
    /// The server.
    pub(super) server: DirectoryServer,
    /// Its root DSE.
    pub(super) root: RootDse,
}

/// The connection below the library, which must run while a response is awaited.
struct Line {
    /// The I/O task of the library, until it fails.
    driver: Pin<Box<dyn Future<Output = io::Error>>>,
    relay: Relay,
}

/// The result of a search after all its entries.
#[derive(Debug, Default)]
pub(super) struct SearchDone {
    /// The value of the first requested control.
    pub(super) control: Option<Vec<u8>>,
}

/// A search in progress.
pub(super) struct OpenSearch<'a> {
    request: &'a SearchRequest,
    stream: SearchStream<'a, &'a str, Vec<&'a str>>,
}

impl LdapConnection {
    /// Authenticates on a connection to `server` and reads the root DSE, all within `limit`.
    pub(super) async fn open(
        settings: &config::ActiveDirectory,
        attempt: &AuthAttempt,
        connected: (Transport, Channel),
        server: DirectoryServer,
        limit: Duration,
    ) -> Result<Self, DirectoryError> {
        let (named, account) = (server.to_string(), settings.account.name.clone());
        let opening = timeout(limit, Self::authenticate(settings, attempt, connected, server));
        opening.await.unwrap_or(Err(DirectoryError::AuthTimeout {
            server: named,
            account,
            limit: settings.limits.connect_timeout,
        }))
    }

    async fn authenticate(
        settings: &config::ActiveDirectory,
        attempt: &AuthAttempt,
        (mut transport, channel): (Transport, Channel),
        server: DirectoryServer,
    ) -> Result<Self, DirectoryError> {
        if settings.bind != BindMethod::Simple {
            sasl_authenticate(settings, attempt, &server, (&mut transport, channel)).await?;
        }
        let (mut library, mut line) = Line::over(transport).await?;
        if settings.bind == BindMethod::Simple {
            let outcome = line.bind(&mut library, &settings.domain, attempt).await?;
            if outcome.code != code::SUCCESS {
                return Err(rejected(settings, &server, outcome, false));
            }
        }
        // The root DSE is read on the protected connection.
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

    /// Reads the root DSE again, for the update sequence number and the clock of the server.
    pub(super) async fn refresh_root(&mut self) -> Result<(), DirectoryError> {
        self.searches += 1;
        self.root = self.line.root(&mut self.library).await?;
        Ok(())
    }

    /// Searches, and calls `each` with every entry. Returns the value of the first of `controls` in the
    /// response.
    pub(super) async fn search(
        &mut self,
        request: &SearchRequest,
        controls: &[Control],
        each: impl FnMut(&SearchResultEntry<'_>) -> Result<(), DirectoryError>,
    ) -> Result<SearchDone, DirectoryError> {
        self.searches += 1;
        self.line.search(&mut self.library, request, controls, each).await
    }

    /// The number of searches since the last call.
    pub(super) fn take_searches(&mut self) -> u64 {
        std::mem::take(&mut self.searches)
    }

    /// Begins a search that stays open. Its next entry must arrive within `limit`.
    pub(super) async fn begin<'a>(
        &mut self,
        request: &'a SearchRequest,
        controls: &[Control],
        limit: Duration,
    ) -> Result<OpenSearch<'a>, DirectoryError> {
        let open = self.line.begin(&mut self.library, request, controls).await?;
        self.line.relay.set_timeout(limit);
        Ok(open)
    }

    /// Waits for an entry of the search `open`.
    pub(super) async fn next_entry(
        &mut self,
        open: &mut OpenSearch<'_>,
    ) -> Result<(), DirectoryError> {
        while let Some(found) = self.line.run(open.stream.next()).await? {
            if !found.is_ref() {
                return Ok(());
            }
        }
        Err(failed(open.request, &open.stream.finish().await))
    }

    /// Sends an unbind request, which has no response.
    pub(super) async fn close(mut self) {
        if self.line.run(self.library.unbind()).await.is_ok() {
            // Until the library has closed its side and all its data is sent.
            while self.line.relay.step().await.is_ok() {}
        }
    }
}

impl Line {
    /// The library on `transport`.
    async fn over(transport: Transport) -> Result<(Ldap, Self), DirectoryError> {
        let (relay, end) = Relay::new(transport)?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(end));
        // The stream is open already. The address only selects its type.
        let opened = LdapConnAsync::with_settings(settings, "ldapi:///").await;
        let (driver, library) = opened.map_err(io::Error::from)?;
        let driver = driver.drive().map(|ended| match ended {
            Ok(()) => io::ErrorKind::UnexpectedEof.into(),
            Err(why) => why.into(),
        });
        Ok((library, Self { driver: Box::pin(driver.fuse()), relay }))
    }

    /// Waits for the `request` to the library, and runs the connection meanwhile.
    ///
    /// The library buffers what it has read without a bound, so the order matters: it reads on only
    /// after everything that it has read was taken from it. Its buffer then holds at most the content
    /// of the socket pair (about 200 KiB), or one longer message.
    async fn run<T>(
        &mut self,
        request: impl Future<Output = Result<T, LdapError>>,
    ) -> Result<T, DirectoryError> {
        let mut request = pin!(request);
        loop {
            tokio::select! {
                biased;
                answer = &mut request => return answer.map_err(|why| DirectoryError::Broken(why.into())),
                why = &mut self.driver => return Err(why.into()),
                carried = self.relay.step() => carried?,
            }
        }
    }

    /// Binds with name and password. The configuration rejects an empty password, which servers accept
    /// as an unauthenticated bind (RFC 4513 section 5.1.2).
    async fn bind(
        &mut self,
        library: &mut Ldap,
        domain: &Name,
        attempt: &AuthAttempt,
    ) -> Result<LdapResult, DirectoryError> {
        let account = attempt.account();
        let name = match account.is_distinguished() {
            true => account.name.as_str().into(),
            false => account.within(domain),
        };
        let bind = library.simple_bind(&name, attempt.secret().expose());
        self.run(bind).await.map(|result| outcome(&result))
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
        request: &SearchRequest,
        controls: &[Control],
        mut each: impl FnMut(&SearchResultEntry<'_>) -> Result<(), DirectoryError>,
    ) -> Result<SearchDone, DirectoryError> {
        let OpenSearch { mut stream, .. } = self.begin(library, request, controls).await?;
        // Referrals are not followed.
        let mut referrals = 0;
        while let Some(found) = self.run(stream.next()).await? {
            if !found.is_ref() {
                each(&entry(&found.0)?)?;
                continue;
            }
            referrals += 1;
            if referrals > MAX_REFERRALS {
                return Err(DirectoryError::Endless(format!("{MAX_REFERRALS} referrals")));
            }
        }
        let result = stream.finish().await;
        if result.rc != code::SUCCESS {
            return Err(failed(request, &result));
        }
        let first = controls.first();
        let control = result.ctrls.into_iter().map(|control| control.1);
        let mut control = control.filter(|control| first.is_some_and(|c| c.oid == control.ctype));
        Ok(SearchDone { control: control.next().and_then(|control| control.val) })
    }

    /// Sends a search. Aliases are not followed. No limit is requested from the server, because the
    /// reader has its own.
    async fn begin<'a>(
        &mut self,
        library: &mut Ldap,
        request: &'a SearchRequest,
        controls: &[Control],
    ) -> Result<OpenSearch<'a>, DirectoryError> {
        let control = |control: &Control| RawControl {
            ctype: control.oid.to_owned(),
            crit: true,
            val: control.value.clone(),
        };
        if !controls.is_empty() {
            library.with_controls(controls.iter().map(control).collect::<Vec<_>>());
        }
        let scope = match request.scope {
            SearchScope::Base => ldap3::Scope::Base,
            SearchScope::Children => ldap3::Scope::OneLevel,
            SearchScope::Subtree => ldap3::Scope::Subtree,
        };
        let attributes: Vec<&str> = request.attributes.iter().map(String::as_str).collect();
        let filter = request.filter.to_string();
        let begun = library.streaming_search(&request.base, scope, &filter, attributes);
        Ok(OpenSearch { request, stream: self.run(begun).await? })
    }
}

/// The result of a request.
fn outcome(result: &Ldap3Result) -> LdapResult {
    LdapResult::new(result.rc, &result.text)
}

fn failed(request: &SearchRequest, result: &Ldap3Result) -> DirectoryError {
    let search = format!("{} below {:?}", request.filter, request.base);
    DirectoryError::Search { search, outcome: outcome(result) }
}
