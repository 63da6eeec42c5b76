//! Associations with recorded servers and with a scripted one.

mod server;

use proptest::prelude::*;

use super::*;
use crate::msrpc::pdu::{PduBuilder, Verifier};
use crate::msrpc::{
    BindNakReason, ContextRejection, FaultStatus, SecurityError, Uuid, endpoint_mapper,
};
use server::{TestSecurity, accepting, ack_body, answer, fault, pdu, read_call, sealed};

const EVENTS: Interface =
    Interface::new(Uuid::new(0xf6be_aff7, 0x1e19, 0x4fbb, 0x9f8f_b89e_2018_337c), 1, 0);

/// Responses of Samba 4.17.12 to a bind to its endpoint mapper, to ept_map for MS-EVEN6 (before the
/// stub), and to operation 200.
const BIND_ACK: &[u8] = b"\x05\0\x0c\x03\x10\0\0\0\x3c\0\0\0\x01\0\0\0\xd0\x16\xd0\x16\
    \x99\x0a\0\0\x04\x00135\0\0\0\x01\0\0\0\0\0\0\0\x04\x5d\x88\x8a\xeb\x1c\xc9\x11\x9f\xe8\
    \x08\0\x2b\x10\x48\x60\x02\0\0\0";
const NOT_REGISTERED: &[u8] = b"\x05\0\x02\x03\x10\0\0\0\x40\0\0\0\x02\0\0\0\x28\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\xd6\xa0\xc9\x16";
const OP_RANGE: &[u8] = b"\x05\0\x03\x23\x10\0\0\0\x20\0\0\0\x03\0\0\0\x18\0\0\0\0\0\0\0\
    \x02\0\x01\x1c\0\0\0\0";

fn anonymous() -> Association {
    let (mut association, _) = Association::anonymous(EVENTS, &AssociationOptions::default());
    assert_eq!(association.receive(BIND_ACK), [Action::Ready]);
    association
}

/// A ready association with NTLM, and the server side of its security context.
fn sealed_association(max_receive: u16, token_size: usize) -> (Association, TestSecurity) {
    let (mut association, _) =
        Association::authenticated(EVENTS, &AssociationOptions::default(), AuthType::Ntlm, b"one")
            .unwrap();
    let flags = PduFlags::WHOLE.and(PduFlags::HEADER_SIGN);
    let ack = pdu(PduType::BindAck, flags, 1, ack_body(max_receive));
    let ack = ack.with_token(AuthType::Ntlm, b"two").unwrap();
    assert_eq!(association.receive(&ack), [Action::Authenticate(b"two".to_vec())]);
    let actions = association.authenticate(done(b"three", token_size));
    assert!(matches!(&actions[..], [Action::Send(_), Action::Ready]), "{actions:?}");
    (association, TestSecurity::new(token_size))
}

fn done(token: &[u8], token_size: usize) -> AuthStep {
    AuthStep::Done { token: token.to_vec(), security: Box::new(TestSecurity::new(token_size)) }
}

/// Type, call_id and token of the PDU to send.
fn sent(actions: &[Action]) -> (PduType, u32, Vec<u8>) {
    let Some(Action::Send(bytes)) = actions.first() else { panic!("{actions:?}") };
    let pdu = ReceivedPdu::read(bytes.clone()).unwrap();
    (pdu.header().kind, pdu.header().call_id, pdu.token().to_vec())
}

fn pdu_error(kind: PduType, problem: PduErrorKind) -> AssociationError {
    PduError::of(kind, problem).into()
}

#[test]
fn samba_returns_an_endpoint() {
    let (mut association, bind) =
        Association::anonymous(endpoint_mapper::INTERFACE, &AssociationOptions::default());
    assert_eq!(bind.len(), 72);
    assert_eq!(association.call(3, b""), Err(RpcCallError::NotReady));
    assert_eq!(association.receive(&BIND_ACK[..59]), []);
    assert_eq!(association.receive(&BIND_ACK[59..]), [Action::Ready]);
    assert_eq!(association.group(), 0xa99);
    let stub = endpoint_mapper::map_request(&EVENTS);
    let call = association.call(endpoint_mapper::MAP, &stub).unwrap();
    assert_eq!((call.id, call.bytes.len()), (2, 24 + stub.len()));
    assert_eq!(association.call(3, b""), Err(RpcCallError::Busy));
    let reply = Action::Reply { call_id: 2, stub: NOT_REGISTERED[24..].to_vec() };
    assert_eq!(association.receive(NOT_REGISTERED), [reply]);
    association.call(200, b"").unwrap();
    let fault = Fault { status: FaultStatus::OP_RANGE, did_not_execute: true };
    assert_eq!(association.receive(OP_RANGE), [Action::Fault { call_id: 3, fault }]);
    assert!(association.is_ready());
}

#[test]
fn samba_response_in_two_fragments_is_reassembled() {
    // ept_lookup for 500 endpoints, of which there were 53: 6,684 bytes.
    let recorded = include_bytes!("../../../../tests/corpus/msrpc/ept-lookup.bin");
    for size in [1, 16, 1000, 5831, 5832, 5833, 10_000] {
        let mut association = anonymous();
        association.call(2, b"").unwrap();
        let actions: Vec<Action> =
            recorded.chunks(size).flat_map(|piece| association.receive(piece)).collect();
        let [Action::Reply { call_id: 2, stub }] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!((stub.len(), stub[20]), (6684, 53));
    }
}

#[test]
fn ntlm_ends_with_an_auth3() {
    let (mut association, bind) =
        Association::authenticated(EVENTS, &AssociationOptions::default(), AuthType::Ntlm, b"one")
            .unwrap();
    assert_eq!(sent(&[Action::Send(bind)]), (PduType::Bind, 1, b"one".to_vec()));
    let ack = accepting(PduType::BindAck, 1, Some((AuthType::Ntlm, b"two")));
    assert_eq!(association.receive(&ack), [Action::Authenticate(b"two".to_vec())]);
    assert_eq!(association.call(3, b""), Err(RpcCallError::NotReady));
    let actions = association.authenticate(done(b"three", 16));
    assert_eq!(sent(&actions), (PduType::Auth3, 1, b"three".to_vec()));
    assert_eq!(actions[1..], [Action::Ready]);
    // The rpc_auth_3 has no response, unless the account is rejected.
    association.call(3, b"").unwrap();
    let unknown = AssociationError::BindFault(FaultStatus::ACCESS_DENIED);
    assert!(unknown.is_account_denied());
    assert_eq!(association.receive(&fault(1, 5)), [Action::Failed(unknown)]);
}

#[test]
fn samba_challenge_is_passed_on_unchanged() {
    let recorded = include_bytes!("../../../../tests/corpus/msrpc/bind-ack-ntlm.bin");
    let (mut association, _) =
        Association::authenticated(EVENTS, &AssociationOptions::default(), AuthType::Ntlm, b"one")
            .unwrap();
    let [Action::Authenticate(token)] = &association.receive(recorded)[..] else {
        panic!("no token")
    };
    // NTLMSSP, message 2: CHALLENGE_MESSAGE (MS-NLMP section 2.2.1.2).
    assert_eq!((token.len(), &token[..12]), (186, &b"NTLMSSP\0\x02\0\0\0"[..]));
    assert_eq!(association.group(), 0x2f49);
}

#[test]
fn kerberos_ends_with_an_alter_context() {
    let kind = AuthType::Kerberos;
    let (mut association, _) =
        Association::authenticated(EVENTS, &AssociationOptions::default(), kind, b"one").unwrap();
    association.receive(&accepting(PduType::BindAck, 1, Some((kind, b"two"))));
    let actions = association.authenticate(done(b"three", 76));
    assert_eq!(sent(&actions), (PduType::AlterContext, 2, b"three".to_vec()));
    assert_eq!(actions.len(), 1);
    let response = accepting(PduType::AlterContextResp, 2, None);
    assert_eq!(association.receive(&response), [Action::Ready]);
}

#[test]
fn spnego_continues_until_both_sides_are_done() {
    let kind = AuthType::Spnego;
    let (mut association, _) =
        Association::authenticated(EVENTS, &AssociationOptions::default(), kind, b"one").unwrap();
    association.receive(&accepting(PduType::BindAck, 1, Some((kind, b"two"))));
    for call_id in 2..5 {
        let actions = association.authenticate(AuthStep::Continue(b"more".to_vec()));
        assert_eq!(sent(&actions), (PduType::AlterContext, call_id, b"more".to_vec()));
        let response = accepting(PduType::AlterContextResp, call_id, Some((kind, b"MIC")));
        assert_eq!(association.receive(&response), [Action::Authenticate(b"MIC".to_vec())]);
    }
    assert_eq!(association.authenticate(done(b"", 16)), [Action::Ready]);
    assert_eq!(association.call(3, b"").unwrap().id, 5);
}

#[test]
fn failed_negotiation_ends_the_association() {
    let no_signing = pdu(PduType::BindAck, PduFlags::WHOLE, 1, ack_body(5840));
    let small =
        pdu(PduType::BindAck, no_signing.flags.and(PduFlags::HEADER_SIGN), 1, ack_body(1431));
    let mut rejection = ack_body(5840);
    rejection[20] = 2;
    rejection[22] = 1;
    let rejected = pdu(PduType::BindAck, small.flags, 1, rejection);
    let nak = pdu(PduType::BindNak, PduFlags::WHOLE, 1, vec![8, 0, 0, 0]);
    let part = pdu(PduType::BindAck, PduFlags::FIRST.and(PduFlags::HEADER_SIGN), 1, ack_body(5840));
    let token = |builder: PduBuilder| builder.with_token(AuthType::Ntlm, b"two").unwrap();
    for (bytes, wanted) in [
        (token(no_signing), AssociationError::HeaderSigning),
        (token(small), AssociationError::MaxReceive(1431)),
        (token(rejected), AssociationError::Rejected(ContextRejection::Provider(1))),
        (nak.plain().unwrap(), AssociationError::BindNak(BindNakReason(8))),
        (fault(1, 5), AssociationError::BindFault(FaultStatus::ACCESS_DENIED)),
        (accepting(PduType::BindAck, 1, None), AssociationError::NoToken),
        (
            accepting(PduType::BindAck, 1, Some((AuthType::Spnego, b"two"))),
            pdu_error(PduType::BindAck, PduErrorKind::Verifier),
        ),
        (
            accepting(PduType::BindAck, 2, Some((AuthType::Ntlm, b"two"))),
            pdu_error(PduType::BindAck, PduErrorKind::CallId),
        ),
        (
            accepting(PduType::AlterContextResp, 1, Some((AuthType::Ntlm, b"two"))),
            pdu_error(PduType::AlterContextResp, PduErrorKind::Unexpected),
        ),
        (token(part), pdu_error(PduType::BindAck, PduErrorKind::Order)),
        (answer(1, b"", 8, None).concat(), pdu_error(PduType::Response, PduErrorKind::Unexpected)),
        (
            pdu(PduType::Shutdown, PduFlags::WHOLE, 0, Vec::new()).plain().unwrap(),
            AssociationError::Shutdown,
        ),
    ] {
        let (mut association, _) = Association::authenticated(
            EVENTS,
            &AssociationOptions::default(),
            AuthType::Ntlm,
            b"one",
        )
        .unwrap();
        assert_eq!(association.receive(&bytes), [Action::Failed(wanted)]);
        let good = accepting(PduType::BindAck, 1, Some((AuthType::Ntlm, b"two")));
        assert_eq!(association.receive(&good), [], "something is taken after the end");
        assert_eq!(association.call(3, b""), Err(RpcCallError::NotReady));
    }
}

#[test]
fn empty_provider_token_ends_the_association() {
    let (mut association, _) = Association::authenticated(
        EVENTS,
        &AssociationOptions::default(),
        AuthType::Spnego,
        b"one",
    )
    .unwrap();
    association.receive(&accepting(PduType::BindAck, 1, Some((AuthType::Spnego, b"two"))));
    let stuck = association.authenticate(AuthStep::Continue(Vec::new()));
    assert_eq!(stuck, [Action::Failed(AssociationError::NoProviderToken)]);
    assert_eq!(association.authenticate(AuthStep::Continue(b"late".to_vec())), []);
}

#[test]
fn only_sealed_responses_are_accepted() {
    let good =
        |server: &mut TestSecurity| answer(2, b"stub", 8, Some((AuthType::Ntlm, server))).concat();
    let (mut association, mut server) = sealed_association(5840, 16);
    association.call(3, b"").unwrap();
    let reply = Action::Reply { call_id: 2, stub: b"stub".to_vec() };
    let bytes = good(&mut server);
    assert_eq!(association.receive(&bytes), [reply]);
    // A replay: the sequence number does not match.
    association.call(3, b"").unwrap();
    let changed = AssociationError::Security(SecurityError("changed on its way".to_owned()));
    assert_eq!(association.receive(&bytes), [Action::Failed(changed)]);

    let (mut association, _) = sealed_association(5840, 16);
    association.call(3, b"").unwrap();
    let plain = answer(2, b"stub", 8, None).concat();
    let unsealed = pdu_error(PduType::Response, PduErrorKind::Unsealed);
    assert_eq!(association.receive(&plain), [Action::Failed(unsealed)]);

    let (mut association, mut server) = sealed_association(5840, 16);
    association.call(3, b"").unwrap();
    let other = answer(2, b"stub", 8, Some((AuthType::Kerberos, &mut server))).concat();
    let verifier = pdu_error(PduType::Response, PduErrorKind::Verifier);
    assert_eq!(association.receive(&other), [Action::Failed(verifier)]);
}

#[test]
fn fault_is_accepted_signed_or_unsigned() {
    let (mut association, mut server) = sealed_association(5840, 16);
    let denied = |call_id| Action::Fault {
        call_id,
        fault: Fault { status: FaultStatus::ACCESS_DENIED, did_not_execute: false },
    };
    association.call(3, b"").unwrap();
    let mut body = vec![0; 8];
    body.extend([5, 0, 0, 0, 0, 0, 0, 0]);
    let plain = pdu(PduType::Fault, PduFlags::WHOLE, 2, body.clone()).plain().unwrap();
    assert_eq!(association.receive(&plain), [denied(2)]);
    // A signed fault advances the sequence number for the next response.
    association.call(3, b"").unwrap();
    let mut signed = pdu(PduType::Fault, PduFlags::WHOLE, 3, body);
    signed.body.extend(Verifier::ours(AuthType::Ntlm, 0).write());
    let mut signed = signed.with_room(16, 16).unwrap();
    let token = server.seal(&signed[..32], &mut [], &signed[32..]).unwrap();
    signed.extend(token);
    assert_eq!(association.receive(&signed), [denied(3)]);
    association.call(3, b"").unwrap();
    let answer = answer(4, b"a", 8, Some((AuthType::Ntlm, &mut server))).concat();
    let reply = Action::Reply { call_id: 4, stub: b"a".to_vec() };
    assert_eq!(association.receive(&answer), [reply]);
}

#[test]
fn response_must_match_the_pending_call() {
    for (call_id, outcome) in [(1, None), (2, Some(())), (3, None), (0, None)] {
        let mut association = anonymous();
        association.call(3, b"").unwrap();
        let actions = association.receive(&answer(call_id, b"", 8, None).concat());
        let failure = pdu_error(PduType::Response, PduErrorKind::CallId);
        let wanted = match outcome {
            Some(()) => Action::Reply { call_id, stub: Vec::new() },
            None => Action::Failed(failure),
        };
        assert_eq!(actions, [wanted]);
    }
    let mut association = anonymous();
    let unasked = association.receive(&answer(2, b"", 8, None).concat());
    assert_eq!(unasked, [Action::Failed(pdu_error(PduType::Response, PduErrorKind::CallId))]);
    let mut association = anonymous();
    association.call(3, b"").unwrap();
    let mut other = answer(2, b"", 8, None).concat();
    other[20] = 1;
    let context = pdu_error(PduType::Response, PduErrorKind::Context);
    assert_eq!(association.receive(&other), [Action::Failed(context)]);
}

#[test]
fn call_can_be_orphaned() {
    let (mut association, mut server) = sealed_association(5840, 16);
    assert_eq!((association.cancel(), association.orphan()), (None, None));
    association.call(3, b"").unwrap();
    assert_eq!(association.cancel().unwrap()[..3], [5, 0, 18]);
    let late = answer(2, b"0123456789abcdef!", 16, Some((AuthType::Ntlm, &mut server)));
    assert_eq!(association.receive(&late[0]), []);
    assert_eq!(association.orphan().unwrap()[..3], [5, 0, 19]);
    assert_eq!(association.call(3, b"").unwrap().id, 3);
    // The rest of the first response is decrypted, because it is numbered, and dropped.
    assert_eq!(association.receive(&late[1]), []);
    assert_eq!(association.receive(&fault(2, 0x1c00_000d)), []);
    let second = answer(3, b"now", 8, Some((AuthType::Ntlm, &mut server))).concat();
    let reply = Action::Reply { call_id: 3, stub: b"now".to_vec() };
    assert_eq!(association.receive(&second), [reply]);
    assert_eq!(association.orphan(), None);
}

#[test]
fn response_size_is_limited() {
    let options = AssociationOptions { max_reply: 10, ..AssociationOptions::default() };
    let (mut association, _) = Association::anonymous(EVENTS, &options);
    association.receive(BIND_ACK);
    association.call(3, b"").unwrap();
    let long = answer(2, b"01234567890", 4, None).concat();
    assert_eq!(association.receive(&long), [Action::Failed(AssociationError::ReplyTooLong(10))]);
}

#[test]
fn token_of_another_size_is_never_sent() {
    #[derive(Debug)]
    struct Liar;
    impl SecurityContext for Liar {
        fn token_size(&self) -> usize {
            16
        }
        fn seal(&mut self, _: &[u8], _: &mut [u8], _: &[u8]) -> Result<Vec<u8>, SecurityError> {
            Ok(vec![0; 15])
        }
        fn open(
            &mut self,
            _: &[u8],
            _: &mut [u8],
            _: &[u8],
            _: &[u8],
        ) -> Result<(), SecurityError> {
            Ok(())
        }
    }
    let (mut association, _) =
        Association::authenticated(EVENTS, &AssociationOptions::default(), AuthType::Ntlm, b"one")
            .unwrap();
    association.receive(&accepting(PduType::BindAck, 1, Some((AuthType::Ntlm, b"two"))));
    association.authenticate(AuthStep::Done { token: b"three".to_vec(), security: Box::new(Liar) });
    let error = association.call(3, b"").unwrap_err();
    assert_eq!(error.to_string(), "security: a token has 15 bytes, not the 16 announced");
    assert_eq!(association.call(3, b""), Err(RpcCallError::NotReady));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn calls_and_responses_round_trip(
        calls in proptest::collection::vec(
            (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..4000),
             proptest::collection::vec(any::<u8>(), 0..4000)), 1..4),
        max_receive in 1432_u16..6000,
        token_size in 1_usize..80,
        size in 1_usize..5000,
        piece in 1_usize..3000,
    ) {
        let (mut association, mut server) = sealed_association(max_receive, token_size);
        let limit = usize::from(max_receive.min(5840));
        for (opnum, question, stub) in calls {
            let call = association.call(opnum, &question).unwrap();
            let read = read_call(&call.bytes, limit, Some(&mut server));
            prop_assert_eq!(read, (opnum, question));
            let fragments = answer(call.id, &stub, size, Some((AuthType::Ntlm, &mut server)));
            let actions: Vec<Action> = fragments
                .concat()
                .chunks(piece)
                .flat_map(|piece| association.receive(piece))
                .collect();
            prop_assert_eq!(actions, [Action::Reply { call_id: call.id, stub }]);
        }
    }

    #[test]
    fn plain_calls_are_fragmented_and_reassembled(
        question in proptest::collection::vec(any::<u8>(), 0..9000),
        max_receive in 1432_u16..6000,
    ) {
        let (mut association, _) = Association::anonymous(EVENTS, &AssociationOptions::default());
        let ack = pdu(PduType::BindAck, PduFlags::WHOLE, 1, ack_body(max_receive)).plain().unwrap();
        prop_assert_eq!(association.receive(&ack), [Action::Ready]);
        let call = association.call(7, &question).unwrap();
        let limit = usize::from(max_receive.min(5840));
        prop_assert_eq!(read_call(&call.bytes, limit, None), (7, question));
    }

    #[test]
    fn any_changed_bit_is_detected(at in 0_usize..1000, bit in 0_u8..8) {
        let (mut association, mut server) = sealed_association(5840, 16);
        association.call(3, b"").unwrap();
        let builder = pdu(PduType::Response, PduFlags::WHOLE, 2, b"\0\0\0\0\0\0\0\0answer".to_vec());
        let mut bytes = sealed(builder, AuthType::Ntlm, &mut server);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let actions = association.receive(&bytes);
        // The PDU became longer, so that more bytes are awaited.
        let harmless = match &actions[..] {
            [Action::Failed(_)] => true,
            [] => at == 8 || at == 9,
            _ => false,
        };
        prop_assert!(harmless, "{:?}", actions);
    }

    #[test]
    fn any_bytes_are_handled_in_any_state(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        kind in prop_oneof![Just(2_u8), Just(3), 11_u8..20],
        call_id in 0_u8..4,
        auth_length in prop_oneof![Just(0_u8), Just(16), 0_u8..64],
        piece in 1_usize..100,
    ) {
        let length = u16::try_from(16 + bytes.len()).unwrap().to_le_bytes();
        let mut framed = vec![5, 0, kind, 7, 16, 0, 0, 0, length[0], length[1], auth_length, 0];
        framed.extend([call_id, 0, 0, 0]);
        framed.extend_from_slice(&bytes);
        let (binding, _) =
            Association::authenticated(EVENTS, &AssociationOptions::default(), AuthType::Ntlm, b"").unwrap();
        let (mut calling, _) = sealed_association(5840, 16);
        calling.call(3, b"").unwrap();
        let mut plain = anonymous();
        plain.call(3, b"").unwrap();
        for mut association in [binding, calling, plain] {
            for bytes in [&framed, &bytes] {
                for piece in bytes.chunks(piece) {
                    for action in association.receive(piece) {
                        let size = match &action {
                            Action::Reply { stub, .. } => stub.len(),
                            Action::Authenticate(token) => token.len(),
                            _ => 0,
                        };
                        prop_assert!(size <= framed.len() + bytes.len());
                    }
                }
            }
        }
    }
}
