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

pub use action::{Action, AssociationOptions, AuthStep, Fault, OutgoingCall, RpcCallError};

use super::framing::PduFramer;
use super::pdu::{
    AlterContext, Auth3, AuthType, Bind, BindAck, BindNak, FaultPdu, MUST_RECEIVE, PduErrorKind,
    PduFlags, PduTooLong, PduType, ReceivedPdu, RequestPdu, ResponsePdu, co_cancel, orphaned,
};
use super::reassembly::Reassembly;
use super::{AssociationError, Interface, PduError, SecurityContext};

/// The expected event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The response to a bind or an alter_context.
    Binding,
    /// The next token of the security provider.
    Authenticating,
    /// A call.
    Ready,
    /// The response to a call.
    Calling,
    /// None: the association has ended.
    Closed,
}

/// The authentication of the client.
struct ClientAuth {
    kind: AuthType,
    /// Set when the provider has completed the authentication.
    security: Option<Box<dyn SecurityContext + Send>>,
}

/// An association with a server, on one connection, for one interface.
pub struct Association {
    bind: Bind,
    auth: Option<ClientAuth>,
    framer: PduFramer,
    reassembly: Reassembly,
    state: State,
    /// The ID of the last request.
    call_id: u32,
    /// The range of orphaned calls: after the first ID, up to the second.
    orphaned_range: (u32, u32),
    /// The maximum PDU size that the server accepts.
    max_transmit: usize,
}

impl Association {
    /// Starts an association without authentication. Returns the bind to send.
    pub fn anonymous(interface: Interface, options: &AssociationOptions) -> (Self, Vec<u8>) {
        let association = Self::new(interface, options, None);
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
        options: &AssociationOptions,
        kind: AuthType,
        token: &[u8],
    ) -> Result<(Self, Vec<u8>), PduTooLong> {
        let association = Self::new(interface, options, Some(ClientAuth { kind, security: None }));
        let bind = association.bind.authenticated(association.call_id).with_token(kind, token)?;
        Ok((association, bind))
    }

    fn new(interface: Interface, options: &AssociationOptions, auth: Option<ClientAuth>) -> Self {
        let max_fragment = options.max_fragment.max(MUST_RECEIVE);
        Self {
            bind: Bind { interface, max_fragment, group: options.group },
            auth,
            framer: PduFramer::new(max_fragment.into()),
            reassembly: Reassembly::new(options.max_reply),
            state: State::Binding,
            call_id: 1,
            orphaned_range: (1, 1),
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
        self.state == State::Ready
    }

    /// Processes received bytes. After [`Action::Failed`] all input is ignored.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.state == State::Closed {
            return actions;
        }
        self.framer.feed(bytes);
        loop {
            let pdu = match self.framer.next_pdu() {
                Ok(None) => return actions,
                Ok(Some(bytes)) => ReceivedPdu::read(bytes),
                Err(bad) => Err(bad),
            };
            match pdu.map_err(AssociationError::from).and_then(|pdu| self.take(pdu)) {
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
    pub fn authenticate(&mut self, step: AuthStep) -> Vec<Action> {
        if self.state != State::Authenticating {
            return Vec::new();
        }
        self.next_step(step).unwrap_or_else(|failure| vec![self.fail(failure)])
    }

    /// Encodes a call of the operation `opnum` with the parameters `stub`. It ends with an
    /// [`Action::Reply`] or an [`Action::Fault`] with the same ID. The caller is responsible for
    /// the timeout.
    ///
    /// # Errors
    /// The association is not ready, has a pending call, or the security provider failed.
    pub fn call(&mut self, opnum: u16, stub: &[u8]) -> Result<OutgoingCall, RpcCallError> {
        match self.state {
            State::Ready => {}
            State::Calling => return Err(RpcCallError::Busy),
            State::Binding | State::Authenticating | State::Closed => {
                return Err(RpcCallError::NotReady);
            }
        }
        self.call_id = self.call_id.wrapping_add(1);
        let request = RequestPdu { call_id: self.call_id, opnum };
        let security = self.auth.as_mut().and_then(|auth| auth.sealer());
        let written = match security {
            None => {
                sealing::plain(request, stub, self.max_transmit).map_err(AssociationError::from)
            }
            Some((kind, security)) => {
                sealing::seal(request, stub, self.max_transmit, (kind, security))
            }
        };
        let bytes = written.map_err(|failure| {
            self.state = State::Closed;
            RpcCallError::Failed(failure)
        })?;
        self.state = State::Calling;
        Ok(OutgoingCall { id: self.call_id, bytes })
    }

    /// The PDU that asks the server to cancel the call, which is still answered. `None` without a
    /// call. Samba 4.17 ignores it, so a deadline is still needed.
    pub fn cancel(&self) -> Option<Vec<u8>> {
        (self.state == State::Calling).then(|| header_only(co_cancel(self.call_id).plain()))
    }

    /// Abandons the call. Returns the PDU that tells the server; `None` without a call. A late
    /// response is dropped, and the next call can be made at once.
    pub fn orphan(&mut self) -> Option<Vec<u8>> {
        let pdu = (self.state == State::Calling).then(|| orphaned(self.call_id).plain())?;
        self.reassembly.clear();
        self.orphaned_range.1 = self.call_id;
        self.state = State::Ready;
        Some(header_only(pdu))
    }

    fn fail(&mut self, failure: AssociationError) -> Action {
        self.state = State::Closed;
        Action::Failed(failure)
    }

    fn take(&mut self, pdu: ReceivedPdu) -> Result<Option<Action>, AssociationError> {
        let kind = pdu.header().kind;
        match (self.state, kind) {
            (_, PduType::Shutdown) => Err(AssociationError::Shutdown),
            (State::Binding, PduType::BindAck | PduType::AlterContextResp) => {
                self.acknowledged(&pdu)
            }
            (State::Binding, PduType::BindNak) => {
                Err(AssociationError::BindNak(BindNak::read(&pdu)?.reason))
            }
            (State::Binding, PduType::Fault) => {
                Err(AssociationError::BindFault(FaultPdu::read(&pdu)?.status))
            }
            (State::Ready | State::Calling, PduType::Response) => self.response(pdu),
            (State::Ready | State::Calling, PduType::Fault) => self.fault(pdu),
            _ => Err(PduError::of(kind, PduErrorKind::Unexpected).into()),
        }
    }

    /// Handles a bind_ack or alter_context_resp, which may still reject the interface.
    fn acknowledged(&mut self, pdu: &ReceivedPdu) -> Result<Option<Action>, AssociationError> {
        let header = pdu.header();
        let bad = |problem| AssociationError::from(PduError::of(header.kind, problem));
        let first = self.awaits_bind_ack();
        if (header.kind == PduType::BindAck) != first {
            return Err(bad(PduErrorKind::Unexpected));
        }
        if header.call_id != self.call_id {
            return Err(bad(PduErrorKind::CallId));
        }
        if !header.flags.has(PduFlags::WHOLE) {
            return Err(bad(PduErrorKind::Order));
        }
        let ack = BindAck::read(pdu)?;
        ack.verdict?;
        if first {
            self.negotiate(&ack, header.flags)?;
        }
        let Some(ClientAuth { kind, security: None }) = &self.auth else {
            // The server may send a last token, which the provider did not need.
            return Ok(Some(self.ready()));
        };
        match pdu.verifier() {
            None => Err(AssociationError::NoToken),
            Some(verifier) if !verifier.belongs_to(*kind) => Err(bad(PduErrorKind::Verifier)),
            Some(_) => {
                self.state = State::Authenticating;
                Ok(Some(Action::Authenticate(pdu.token().to_vec())))
            }
        }
    }

    /// Stores the parameters that a bind_ack negotiates.
    fn negotiate(&mut self, ack: &BindAck, flags: PduFlags) -> Result<(), AssociationError> {
        if ack.max_receive < MUST_RECEIVE {
            return Err(AssociationError::MaxReceive(ack.max_receive));
        }
        if self.auth.is_some() && !flags.has(PduFlags::HEADER_SIGN) {
            return Err(AssociationError::HeaderSigning);
        }
        self.max_transmit = self.max_transmit.min(ack.max_receive.into());
        self.bind.group = ack.group;
        Ok(())
    }

    /// Whether the pending response is that to the bind, not to an alter_context.
    const fn awaits_bind_ack(&self) -> bool {
        self.call_id == 1
    }

    fn ready(&mut self) -> Action {
        self.state = State::Ready;
        self.orphaned_range = (self.call_id, self.call_id);
        Action::Ready
    }

    fn next_step(&mut self, step: AuthStep) -> Result<Vec<Action>, AssociationError> {
        let Some(auth) = &mut self.auth else { return Ok(Vec::new()) };
        let kind = auth.kind;
        let (token, done) = match step {
            AuthStep::Continue(token) if token.is_empty() => {
                return Err(AssociationError::NoProviderToken);
            }
            AuthStep::Continue(token) => (token, false),
            AuthStep::Done { token, security } => {
                auth.security = Some(security);
                (token, true)
            }
        };
        if token.is_empty() {
            return Ok(vec![self.ready()]);
        }
        if done && kind == AuthType::Ntlm {
            let auth3 = Auth3.builder(self.call_id).with_token(kind, &token)?;
            return Ok(vec![Action::Send(auth3), self.ready()]);
        }
        self.call_id = self.call_id.wrapping_add(1);
        let alter_context =
            AlterContext(self.bind).builder(self.call_id).with_token(kind, &token)?;
        self.state = State::Binding;
        Ok(vec![Action::Send(alter_context)])
    }

    fn response(&mut self, mut pdu: ReceivedPdu) -> Result<Option<Action>, AssociationError> {
        if let Some(sealer) = self.auth.as_mut().and_then(ClientAuth::sealer) {
            sealing::open(&mut pdu, ResponsePdu::CLEAR, sealer)?;
        }
        if !self.is_awaited(&pdu)? {
            return Ok(None);
        }
        let response = ResponsePdu::read(&pdu)?;
        let stub = self.reassembly.add(pdu.header().flags, response.stub)?;
        Ok(stub.map(|stub| {
            self.state = State::Ready;
            Action::Reply { call_id: self.call_id, stub }
        }))
    }

    /// Faults are accepted unsigned, because servers send them unsigned. A forged fault has no more
    /// effect than a closed connection.
    fn fault(&mut self, mut pdu: ReceivedPdu) -> Result<Option<Action>, AssociationError> {
        let sealer = self.auth.as_mut().and_then(ClientAuth::sealer);
        if let (Some(sealer), Some(_)) = (sealer, pdu.verifier()) {
            sealing::open(&mut pdu, FaultPdu::CLEAR, sealer)?;
        }
        let status = FaultPdu::read(&pdu)?.status;
        if pdu.header().call_id == self.orphaned_range.0 {
            // A response to an rpc_auth_3, which is sent only on failure.
            return Err(AssociationError::BindFault(status));
        }
        if !self.is_awaited(&pdu)? {
            return Ok(None);
        }
        let did_not_execute = pdu.header().flags.has(PduFlags::DID_NOT_EXECUTE);
        self.reassembly.clear();
        self.state = State::Ready;
        let fault = Fault { status, did_not_execute };
        Ok(Some(Action::Fault { call_id: self.call_id, fault }))
    }

    /// Whether a response belongs to the pending call; if not, it must belong to an orphaned one.
    fn is_awaited(&self, pdu: &ReceivedPdu) -> Result<bool, PduError> {
        let header = pdu.header();
        if self.state == State::Calling && header.call_id == self.call_id {
            return Ok(true);
        }
        let (after, up_to) = self.orphaned_range;
        if header.call_id > after && header.call_id <= up_to {
            return Ok(false);
        }
        Err(PduError::of(header.kind, PduErrorKind::CallId))
    }
}

impl ClientAuth {
    /// The security context, when the authentication is complete.
    fn sealer(&mut self) -> Option<sealing::Sealer<'_>> {
        let kind = self.kind;
        self.security.as_mut().map(|security| (kind, security.as_mut() as _))
    }
}

fn header_only(pdu: Result<Vec<u8>, PduTooLong>) -> Vec<u8> {
    pdu.expect("a header is short")
}

impl fmt::Debug for Association {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `auth` has the keys of the provider; other fields have response data.
        let interface = self.bind.interface;
        let mut shown = f.debug_struct("Association");
        shown.field("interface", &interface).field("state", &self.state).finish_non_exhaustive()
    }
}
