//! A server that sends what it likes, to a client that has bound, proves itself, or calls: the
//! association takes it or ends, and nothing comes out of it that did not go in.
//! The first byte of the input chooses the association, the second the pieces.

use rollcall_wire::msrpc::{
    Action, Association, AssociationOptions, AuthStep, AuthType, Interface, SecurityContext,
    SecurityError, Uuid, endpoint_mapper,
};

const EVENTS: Interface =
    Interface::new(Uuid::new(0xf6be_aff7, 0x1e19, 0x4fbb, 0x9f8f_b89e_2018_337c), 1, 0);

/// The longest answer that is taken.
const MAX_REPLY: usize = 20_000;

/// Believes everything, so that the fuzzer need not forge signatures.
struct Gullible;

impl SecurityContext for Gullible {
    fn token_size(&self) -> usize {
        16
    }

    fn seal(&mut self, _: &[u8], _: &mut [u8], _: &[u8]) -> Result<Vec<u8>, SecurityError> {
        Ok(vec![0; 16])
    }

    fn open(&mut self, _: &[u8], _: &mut [u8], _: &[u8], _: &[u8]) -> Result<(), SecurityError> {
        Ok(())
    }
}

fn association(choice: u8) -> Association {
    let terms = AssociationOptions { max_reply: MAX_REPLY, ..AssociationOptions::default() };
    let kind = match choice % 4 {
        0 => return Association::anonymous(EVENTS, &terms).0,
        1 => AuthType::Ntlm,
        2 => AuthType::Kerberos,
        _ => AuthType::Spnego,
    };
    let bound = Association::authenticated(EVENTS, &terms, kind, b"token");
    bound.expect("five bytes fit into a PDU").0
}

/// The next leg: a last one without a token, a last one with a token, or not the last one.
fn leg(choice: u8) -> AuthStep {
    match choice / 4 % 3 {
        0 => AuthStep::Done { token: Vec::new(), security: Box::new(Gullible) },
        1 => AuthStep::Done { token: b"last".to_vec(), security: Box::new(Gullible) },
        _ => AuthStep::Continue(b"next".to_vec()),
    }
}

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let [choice, pieces, bytes @ ..] = data else { return };
    let mut association = association(*choice);
    let (mut over, mut replied) = (false, 0);
    for piece in bytes.chunks(1 + usize::from(*pieces) * 32) {
        let mut actions = association.receive(piece);
        assert!(!over || actions.is_empty(), "something came after the end");
        while !actions.is_empty() {
            match actions.remove(0) {
                Action::Authenticate(token) => {
                    assert!(token.len() <= bytes.len(), "bytes from nowhere");
                    actions.splice(0..0, association.authenticate(leg(*choice)));
                }
                Action::Reply { stub, .. } => {
                    replied += stub.len();
                    assert!(
                        stub.len() <= MAX_REPLY && replied <= bytes.len(),
                        "bytes from nowhere"
                    );
                    let _ = endpoint_mapper::map_response(&stub, &EVENTS);
                }
                Action::Failed(failure) => {
                    assert!(!failure.to_string().is_empty());
                    assert!(actions.is_empty(), "something came after the end");
                    over = true;
                }
                Action::Send(_) | Action::Ready | Action::Fault { .. } => {}
            }
        }
        if association.is_ready() {
            association.call(3, &[0; 40]).expect("it is ready");
        }
    }
}
