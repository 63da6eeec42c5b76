//! The state machine of an association: one connection, one interface, from the bind to the last
//! response.
//!
//! It takes received bytes and returns [`Action`]s; the caller has the connection, the clock and
//! the deadlines. C706 chapter 9, MS-RPCE section 3.3.1. The message flow depends on the security
//! provider:
//!
//! | provider | messages |
//! | --- | --- |
//! | none | bind, bind_ack |
//! | NTLM | bind, bind_ack, rpc_auth_3 (no response) |
//! | Kerberos | bind, bind_ack, alter_context, alter_context_resp |
//! | SPNEGO | bind, bind_ack, then alter_context and alter_context_resp until both sides are done |

mod action;
mod sealing;
#[cfg(test)]
mod tests;

use std::fmt;

pub use action::{Action, Call, CannotCall, Fault, Leg, Terms};

use super::framing::Framer;
use super::pdu::{
    AlterContext, Auth3, AuthType, Bind, BindAck, BindNak, FaultPdu, Flags, Kind, MUST_RECEIVE,
    PduProblem, Received, Request, Response, TooLong, co_cancel, orphaned,
};
use super::reassembly::Reassembly;
use super::{BadPdu, Failure, Interface, Security};

/// The expected event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The response to a bind or an alter_context.
    Binding,
    /// The next token of the security provider.
    Proving,
    /// A call.
    Ready,
    /// The response to a call.
    Calling,
    /// None: the association has ended.
    Over,
}

/// The authentication of the client.
struct Auth {
    kind: AuthType,
    /// Set when the provider has completed the authentication.
    security: Option<Box<dyn Security + Send>>,
}

/// An association with a server, on one connection, for one interface.
pub struct Association {
    bind: Bind,
    auth: Option<Auth>,
    framer: Framer,
    reassembly: Reassembly,
    stage: Stage,
    /// The ID of the last request.
    call_id: u32,
    /// The range of orphaned calls: after the first ID, up to the second.
    given_up: (u32, u32),
    /// The maximum PDU size that the server accepts.
    max_transmit: usize,
}

impl Association {
    /// Starts an association without authentication. Returns the bind to send.
    pub fn anonymous(interface: Interface, terms: &Terms) -> (Self, Vec<u8>) {
        let association = Self::new(interface, terms, None);
        let bind = association.bind.anonymous(association.call_id).plain();
        (association, bind.expect("a bind without a token has 72 bytes"))
    }

    /// Starts an association with sealed calls. Returns the bind to send. `token` is the first
    /// token of the provider.
    ///
    /// # Errors
    /// The token does not fit into a PDU.
    pub fn authenticated(
        interface: Interface,
        terms: &Terms,
        kind: AuthType,
        token: &[u8],
    ) -> Result<(Self, Vec<u8>), TooLong> {
        let association = Self::new(interface, terms, Some(Auth { kind, security: None }));
        let bind = association.bind.authenticated(association.call_id).proving(kind, token)?;
        Ok((association, bind))
    }

    fn new(interface: Interface, terms: &Terms, auth: Option<Auth>) -> Self {
        let max_fragment = terms.max_fragment.max(MUST_RECEIVE);
        Self {
            bind: Bind { interface, max_fragment, group: terms.group },
            auth,
            framer: Framer::new(max_fragment.into()),
            reassembly: Reassembly::new(terms.max_reply),
            stage: Stage::Binding,
            call_id: 1,
            given_up: (1, 1),
            max_transmit: max_fragment.into(),
        }
    }

    /// The association group of the server, for the [`AssociationOptions`] of another association
    /// that uses the same context handles. 0 before the bind_ack.
    pub const fn group(&self) -> u32 {
        self.bind.group
    }

    /// Whether a call can be made now.
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// Processes received bytes. After [`Action::Failed`] all input is ignored.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.stage == Stage::Over {
            return actions;
        }
        self.framer.feed(bytes);
        loop {
            let pdu = match self.framer.next_pdu() {
                Ok(None) => return actions,
                Ok(Some(bytes)) => Received::read(bytes),
                Err(bad) => Err(bad),
            };
            match pdu.map_err(Failure::from).and_then(|pdu| self.take(pdu)) {
                Ok(action) => actions.extend(action),
                Err(failure) => {
                    actions.push(self.fail(failure));
                    return actions;
                }
            }
        }
    }

    /// Processes the output of the security provider for [`Action::Authenticate`]. Returns what to
    /// send, and [`Action::Ready`] when the authentication is complete. Empty when no token was
    /// requested.
    pub fn prove(&mut self, leg: Leg) -> Vec<Action> {
        if self.stage != Stage::Proving {
            return Vec::new();
        }
        self.next_leg(leg).unwrap_or_else(|failure| vec![self.fail(failure)])
    }

    /// Encodes a call of the operation `opnum` with the parameters `stub`. It ends with an
    /// [`Action::Reply`] or an [`Action::Fault`] with the same ID. The caller is responsible for
    /// the timeout.
    ///
    /// # Errors
    /// The association is not ready, has a pending call, or the security provider failed.
    pub fn call(&mut self, opnum: u16, stub: &[u8]) -> Result<Call, CannotCall> {
        match self.stage {
            Stage::Ready => {}
            Stage::Calling => return Err(CannotCall::Busy),
            Stage::Binding | Stage::Proving | Stage::Over => return Err(CannotCall::NotReady),
        }
        self.call_id = self.call_id.wrapping_add(1);
        let request = Request { call_id: self.call_id, opnum };
        let security = self.auth.as_mut().and_then(|auth| auth.sealer());
        let written = match security {
            None => sealing::plain(request, stub, self.max_transmit).map_err(Failure::from),
            Some((kind, security)) => {
                sealing::seal(request, stub, self.max_transmit, (kind, security))
            }
        };
        let bytes = written.map_err(|failure| {
            self.stage = Stage::Over;
            CannotCall::Failed(failure)
        })?;
        self.stage = Stage::Calling;
        Ok(Call { id: self.call_id, bytes })
    }

    /// The PDU that asks the server to cancel the call, which is still answered. `None` without a
    /// call. Samba 4.17 ignores it, so a deadline is still needed.
    pub fn cancel(&self) -> Option<Vec<u8>> {
        (self.stage == Stage::Calling).then(|| header_only(co_cancel(self.call_id).plain()))
    }

    /// Abandons the call. Returns the PDU that tells the server; `None` without a call. A late
    /// response is dropped, and the next call can be made at once.
    pub fn orphan(&mut self) -> Option<Vec<u8>> {
        let pdu = (self.stage == Stage::Calling).then(|| orphaned(self.call_id).plain())?;
        self.reassembly.clear();
        self.given_up.1 = self.call_id;
        self.stage = Stage::Ready;
        Some(header_only(pdu))
    }

    fn fail(&mut self, failure: Failure) -> Action {
        self.stage = Stage::Over;
        Action::Failed(failure)
    }

    fn take(&mut self, pdu: Received) -> Result<Option<Action>, Failure> {
        let kind = pdu.header().kind;
        match (self.stage, kind) {
            (_, Kind::Shutdown) => Err(Failure::Shutdown),
            (Stage::Binding, Kind::BindAck | Kind::AlterContextResp) => self.acknowledged(&pdu),
            (Stage::Binding, Kind::BindNak) => Err(Failure::Refused(BindNak::read(&pdu)?.reason)),
            (Stage::Binding, Kind::Fault) => Err(Failure::BindFault(FaultPdu::read(&pdu)?.status)),
            (Stage::Ready | Stage::Calling, Kind::Response) => self.response(pdu),
            (Stage::Ready | Stage::Calling, Kind::Fault) => self.fault(pdu),
            _ => Err(BadPdu::of(kind, PduProblem::Unexpected).into()),
        }
    }

    /// Handles a bind_ack or alter_context_resp, which may still reject the interface.
    fn acknowledged(&mut self, pdu: &Received) -> Result<Option<Action>, Failure> {
        let header = pdu.header();
        let bad = |problem| Failure::from(BadPdu::of(header.kind, problem));
        let first = self.bind_is_asked();
        if (header.kind == Kind::BindAck) != first {
            return Err(bad(PduProblem::Unexpected));
        }
        if header.call_id != self.call_id {
            return Err(bad(PduProblem::CallId));
        }
        if !header.flags.has(Flags::WHOLE) {
            return Err(bad(PduProblem::Order));
        }
        let ack = BindAck::read(pdu)?;
        ack.verdict?;
        if first {
            self.agree(&ack, header.flags)?;
        }
        let Some(Auth { kind, security: None }) = &self.auth else {
            // The server may send a last token, which the provider did not need.
            return Ok(Some(self.ready()));
        };
        match pdu.verifier() {
            None => Err(Failure::NoToken),
            Some(verifier) if !verifier.belongs_to(*kind) => Err(bad(PduProblem::Verifier)),
            Some(_) => {
                self.stage = Stage::Proving;
                Ok(Some(Action::Prove(pdu.token().to_vec())))
            }
        }
    }

    /// Stores the parameters that a bind_ack negotiates.
    fn agree(&mut self, ack: &BindAck, flags: Flags) -> Result<(), Failure> {
        if ack.max_receive < MUST_RECEIVE {
            return Err(Failure::MaxReceive(ack.max_receive));
        }
        if self.auth.is_some() && !flags.has(Flags::HEADER_SIGN) {
            return Err(Failure::HeaderSigning);
        }
        self.max_transmit = self.max_transmit.min(ack.max_receive.into());
        self.bind.group = ack.group;
        Ok(())
    }

    /// Whether the pending response is that to the bind, not to an alter_context.
    const fn bind_is_asked(&self) -> bool {
        self.call_id == 1
    }

    fn ready(&mut self) -> Action {
        self.stage = Stage::Ready;
        self.given_up = (self.call_id, self.call_id);
        Action::Ready
    }

    fn next_leg(&mut self, leg: Leg) -> Result<Vec<Action>, Failure> {
        let Some(auth) = &mut self.auth else { return Ok(Vec::new()) };
        let kind = auth.kind;
        let (token, done) = match leg {
            Leg::Continue(token) if token.is_empty() => return Err(Failure::Stuck),
            Leg::Continue(token) => (token, false),
            Leg::Done { token, security } => {
                auth.security = Some(security);
                (token, true)
            }
        };
        if token.is_empty() {
            return Ok(vec![self.ready()]);
        }
        if done && kind == AuthType::Ntlm {
            let auth3 = Auth3.draft(self.call_id).proving(kind, &token)?;
            return Ok(vec![Action::Send(auth3), self.ready()]);
        }
        self.call_id = self.call_id.wrapping_add(1);
        let alter_context = AlterContext(self.bind).draft(self.call_id).proving(kind, &token)?;
        self.stage = Stage::Binding;
        Ok(vec![Action::Send(alter_context)])
    }

    fn response(&mut self, mut pdu: Received) -> Result<Option<Action>, Failure> {
        if let Some(sealer) = self.auth.as_mut().and_then(Auth::sealer) {
            sealing::open(&mut pdu, Response::CLEAR, sealer)?;
        }
        if !self.is_awaited(&pdu)? {
            return Ok(None);
        }
        let response = Response::read(&pdu)?;
        let stub = self.reassembly.add(pdu.header().flags, response.stub)?;
        Ok(stub.map(|stub| {
            self.stage = Stage::Ready;
            Action::Reply { call_id: self.call_id, stub }
        }))
    }

    /// Faults are accepted unsigned, because servers send them unsigned. A forged fault has no more
    /// effect than a closed connection.
    fn fault(&mut self, mut pdu: Received) -> Result<Option<Action>, Failure> {
        let sealer = self.auth.as_mut().and_then(Auth::sealer);
        if let (Some(sealer), Some(_)) = (sealer, pdu.verifier()) {
            sealing::open(&mut pdu, FaultPdu::CLEAR, sealer)?;
        }
        let status = FaultPdu::read(&pdu)?.status;
        if pdu.header().call_id == self.given_up.0 {
            // A response to an rpc_auth_3, which is sent only on failure.
            return Err(Failure::BindFault(status));
        }
        if !self.is_awaited(&pdu)? {
            return Ok(None);
        }
        let did_not_execute = pdu.header().flags.has(Flags::DID_NOT_EXECUTE);
        self.reassembly.clear();
        self.stage = Stage::Ready;
        let fault = Fault { status, did_not_execute };
        Ok(Some(Action::Fault { call_id: self.call_id, fault }))
    }

    /// Whether a response belongs to the pending call; if not, it must belong to an orphaned one.
    fn is_awaited(&self, pdu: &Received) -> Result<bool, BadPdu> {
        let header = pdu.header();
        if self.stage == Stage::Calling && header.call_id == self.call_id {
            return Ok(true);
        }
        let (after, up_to) = self.given_up;
        if header.call_id > after && header.call_id <= up_to {
            return Ok(false);
        }
        Err(BadPdu::of(header.kind, PduProblem::CallId))
    }
}

impl Auth {
    /// The security context, when the authentication is complete.
    fn sealer(&mut self) -> Option<sealing::Sealer<'_>> {
        let kind = self.kind;
        self.security.as_mut().map(|security| (kind, security.as_mut() as _))
    }
}

fn header_only(pdu: Result<Vec<u8>, TooLong>) -> Vec<u8> {
    pdu.expect("a header is short")
}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `auth` has the keys of the provider; other fields have response data.
        let interface = self.bind.interface;
        let mut shown = f.debug_struct("Association");
        shown.field("interface", &interface).field("stage", &self.stage).finish_non_exhaustive()
    }
}
