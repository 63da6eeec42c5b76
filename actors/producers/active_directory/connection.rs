//! A connection on which the account has proven itself, and searches one after another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rollcall_config::{self as config, Bind, DirectoryTransport};
use rollcall_wire::active_directory::{self as wire, Root};
use rollcall_wire::ldap::{
    Body, Control, Entry, Message, NOTICE, Outcome, Search, code, sasl_bind, search, simple_bind,
    start_tls, unbind,
};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Failure;
use super::seal::Seal;
use super::servers::Server;
use super::tls::{Tls, channel_bindings};
use super::wire::{Duplex, Wire};
use crate::proof::{Applicant, Beneath, KERBEROS, Kdc, Mechanism, Proof, explain};

/// The most steps of a proof; Kerberos takes two, NTLM three.
const STEPS: usize = 8;

/// A connection to a server that let the account in.
pub(super) struct Connection {
    line: Line,
    /// Which server.
    pub(super) server: Server,
    /// What it says of itself.
    pub(super) root: Root,
}

/// Messages and their numbers.
struct Line {
    wire: Wire,
    next: u32,
}

/// The answer to a search, once all its entries were looked at.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The value of the control that was asked for.
    pub(super) control: Option<Vec<u8>>,
    /// Servers that could be asked instead, which are not followed.
    pub(super) references: usize,
}

impl Connection {
    /// Connects to `server`, proves who Rollcall is, and hears what the server says of itself.
    pub(super) async fn open(
        settings: &config::ActiveDirectory,
        tls: &Tls,
        server: Server,
    ) -> Result<Self, Failure> {
        let at = server.at(settings.transport);
        let connecting = Self::connect(settings, tls, &server, at);
        let (wire, beneath) = match timeout(settings.limits.connect, connecting).await {
            Ok(connected) => connected?,
            Err(_) => {
                let why = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time");
                return Err(Failure::Connect { server: named(&server, at), why });
            }
        };
        Self::over(settings, wire, beneath, server).await
    }

    /// Proves who Rollcall is on `wire`, which leads to `server`, and hears what it says of itself.
    pub(super) async fn over(
        settings: &config::ActiveDirectory,
        wire: Wire,
        beneath: Beneath,
        server: Server,
    ) -> Result<Self, Failure> {
        let mut opening = Opening { line: Line { wire, next: 1 }, server: &server };
        match settings.bind {
            Bind::Simple => opening.simple(settings).await?,
            _ => opening.prove(settings, beneath).await?,
        }
        // What it says of itself is asked for in the protected connection.
        let mut line = opening.line;
        let root = line.root().await?;
        let connection = Self { line, server, root };
        if !connection.root.domain.eq_ignore_ascii_case(&settings.root()) {
            return Err(Failure::OtherDomain {
                server: connection.server.to_string(),
                found: connection.root.domain,
                wanted: settings.root(),
            });
        }
        Ok(connection)
    }

    async fn connect(
        settings: &config::ActiveDirectory,
        tls: &Tls,
        server: &Server,
        at: SocketAddr,
    ) -> Result<(Wire, Beneath), Failure> {
        let failed = |why| Failure::Connect { server: named(server, at), why };
        let stream = TcpStream::connect(at).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let patience = settings.limits.answer;
        let Some(tls) = tls else { return Ok((Wire::new(stream, patience), Beneath::Clear)) };
        let plain = Wire::new(stream, patience);
        let stream = match settings.transport {
            DirectoryTransport::StartTls => upgrade(plain, server).await?,
            _ => plain.into_stream().expect("nothing was read of it"),
        };
        let failed = |why: String| Failure::Tls { server: named(server, at), why };
        let name =
            ServerName::try_from(server.host.clone()).map_err(|why| failed(why.to_string()))?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
        let stream = stream.map_err(|why| failed(why.to_string()))?;
        let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let bindings = leaf.filter(|_| settings.channel_binding).and_then(channel_bindings);
        Ok((Wire::new(stream, patience), Beneath::Tls(bindings)))
    }

    /// Asks the server again for what it says of itself: how far it is, what its clock shows.
    pub(super) async fn ask_root(&mut self) -> Result<(), Failure> {
        self.root = self.line.root().await?;
        Ok(())
    }

    /// Searches, and shows `each` entry where it lies. The value of the first of `controls` in the
    /// answer is returned.
    pub(super) async fn search(
        &mut self,
        asked: &Search,
        controls: &[Control],
        each: impl FnMut(&Entry<'_>) -> Result<(), Failure>,
    ) -> Result<Done, Failure> {
        self.line.search(asked, controls, each).await
    }

    /// Begins a search that stays open, whose next entry may let wait for `patience`.
    pub(super) async fn begin(
        &mut self,
        asked: &Search,
        controls: &[Control],
        patience: Duration,
    ) -> Result<(), Failure> {
        self.line.begin(asked, controls).await?;
        self.line.wire.set_patience(patience);
        Ok(())
    }

    /// Waits until the open search `asked` brings an entry.
    pub(super) async fn hear(&mut self, asked: &Search) -> Result<(), Failure> {
        loop {
            match Message::parse(self.line.wire.receive().await?)?.body {
                Body::Entry(_) => return Ok(()),
                Body::Done(outcome) => return Err(refused(asked, outcome)),
                Body::Extended(outcome) => return Err(Failure::Closed(outcome)),
                _ => {}
            }
        }
    }

    /// Says good-bye. Nobody waits for it.
    pub(super) async fn close(mut self) {
        let _ = self.line.wire.send(&unbind(self.line.next)).await;
    }
}

impl Line {
    async fn root(&mut self) -> Result<Root, Failure> {
        let mut root = None;
        let look = |entry: &Entry<'_>| {
            root = Some(Root::read(entry));
            Ok(())
        };
        self.search(&wire::root(), &[], look).await?;
        Ok(root.unwrap_or(Err(wire::BadRoot("rootDSE")))?)
    }

    async fn search(
        &mut self,
        asked: &Search,
        controls: &[Control],
        mut each: impl FnMut(&Entry<'_>) -> Result<(), Failure>,
    ) -> Result<Done, Failure> {
        let id = self.begin(asked, controls).await?;
        let mut done = Done::default();
        loop {
            let message = Message::parse(self.wire.receive().await?)?;
            let answered = controls.first().and_then(|first| message.control(first.oid));
            match message.body {
                Body::Extended(outcome) if message.id == NOTICE => {
                    return Err(Failure::Closed(outcome));
                }
                Body::Entry(entry) if message.id == id => each(&entry)?,
                Body::Reference if message.id == id => done.references += 1,
                Body::Done(outcome) if message.id == id => {
                    if outcome.code != code::SUCCESS {
                        return Err(refused(asked, outcome));
                    }
                    done.control = answered.map(<[u8]>::to_vec);
                    return Ok(done);
                }
                // The rest of a search that was given up.
                _ if message.id < id => {}
                _ => return Err(rollcall_wire::ldap::BadBer::Tag.into()),
            }
        }
    }

    /// Sends a search, and returns its number.
    async fn begin(&mut self, asked: &Search, controls: &[Control]) -> Result<u32, Failure> {
        let id = self.next;
        self.next += 1;
        self.wire.send(&search(id, asked, controls)).await?;
        Ok(id)
    }
}

fn named(server: &Server, at: SocketAddr) -> String {
    format!("{server} port {}", at.port())
}

fn refused(asked: &Search, outcome: Outcome) -> Failure {
    let search = format!("{} below {:?}", asked.filter, asked.base);
    Failure::Search { search, outcome }
}

/// Asks the server to go on over TLS.
async fn upgrade(
    mut plain: Wire,
    server: &Server,
) -> Result<std::pin::Pin<Box<dyn Duplex>>, Failure> {
    plain.send(&start_tls(1)).await?;
    let message = Message::parse(plain.receive().await?)?;
    let failed = |why: String| Failure::Tls { server: server.to_string(), why };
    match message.body {
        Body::Extended(outcome) if outcome.code == code::SUCCESS => {}
        Body::Extended(Outcome { code, diagnostic }) => {
            return Err(failed(format!("it refuses StartTLS (result {code}: {diagnostic})")));
        }
        _ => return Err(failed("it answers StartTLS with something else".to_owned())),
    }
    plain.into_stream().ok_or_else(|| failed("it says more in clear than was asked".to_owned()))
}

/// A connection before the account has proven itself.
struct Opening<'a> {
    line: Line,
    server: &'a Server,
}

impl Opening<'_> {
    async fn simple(&mut self, settings: &config::ActiveDirectory) -> Result<(), Failure> {
        let account = match settings.account.contains(['@', '\\', '=']) {
            true => settings.account.clone(),
            false => format!("{}@{}", settings.account, settings.domain),
        };
        let bind = simple_bind(self.line.next, &account, settings.secret.expose());
        let (outcome, _) = self.ask(&bind).await?;
        match outcome.code {
            code::SUCCESS => Ok(()),
            _ => Err(self.refuses(settings, outcome)),
        }
    }

    async fn prove(
        &mut self,
        settings: &config::ActiveDirectory,
        beneath: Beneath,
    ) -> Result<(), Failure> {
        let server = self.server;
        let failed = |why: sspi::Error| Failure::Proof {
            server: server.to_string(),
            account: settings.account.clone(),
            why: explain(&why),
        };
        let encrypted = matches!(beneath, Beneath::Tls(_));
        let mut proof = begin(settings, server, beneath).map_err(failed)?;
        let mut token = Vec::new();
        for _ in 0..STEPS {
            let step = proof.step(token).await.map_err(failed)?;
            if step.done && step.token.is_empty() {
                break;
            }
            let bind = sasl_bind(self.line.next, "GSS-SPNEGO", &step.token);
            let (outcome, answered) = self.ask(&bind).await?;
            match outcome.code {
                // Over TLS the server has proven itself, and nothing will be sealed.
                code::SUCCESS if encrypted || answered.is_empty() || step.done => break,
                code::SUCCESS | code::BIND_IN_PROGRESS => token = answered,
                _ => return Err(self.refuses(settings, outcome)),
            }
        }
        if let Some(context) = proof.into_context() {
            self.line.wire.seal(Seal(context));
        }
        Ok(())
    }

    async fn ask(&mut self, bind: &[u8]) -> Result<(Outcome, Vec<u8>), Failure> {
        self.line.next += 1;
        self.line.wire.send(bind).await?;
        match Message::parse(self.line.wire.receive().await?)?.body {
            Body::Bound(outcome, token) => Ok((outcome, token.unwrap_or_default().to_vec())),
            Body::Extended(outcome) => Err(Failure::Closed(outcome)),
            _ => Err(rollcall_wire::ldap::BadBer::Tag.into()),
        }
    }

    fn refuses(&self, settings: &config::ActiveDirectory, outcome: Outcome) -> Failure {
        let (server, account) = (self.server.to_string(), settings.account.clone());
        Failure::Refused { server, account, outcome }
    }
}

/// The proof of the configured account to `server`, which is its own KDC.
fn begin(
    settings: &config::ActiveDirectory,
    server: &Server,
    beneath: Beneath,
) -> Result<Proof, sspi::Error> {
    let account = match settings.account.contains(['@', '\\']) {
        true => settings.account.clone(),
        false => format!("{}@{}", settings.account, settings.domain),
    };
    let mechanism = match settings.bind {
        Bind::Ntlm => Mechanism::Ntlm,
        Bind::Kerberos => Mechanism::Kerberos,
        Bind::Simple | Bind::Spnego => Mechanism::Either,
    };
    let applicant = Applicant { account: &account, secret: &settings.secret, mechanism };
    let at = SocketAddr::new(server.address, KERBEROS);
    let kdc = Kdc { at, patience: settings.limits.connect };
    Proof::new(applicant, format!("ldap/{}", server.host), beneath, kdc)
}
