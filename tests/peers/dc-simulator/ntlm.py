"""NTLM by pyspnego, made to take every client: it checks a response over what it packs anew of the
client's blob (MS-NLMP 2.2.2.7), which is not always what the client had signed. Windows checks the
bytes that came, and so does this."""

import hashlib
import hmac

import spnego._ntlm as server
from spnego._ntlm_raw.messages import NTClientChallengeV2

_unpack, _compute = NTClientChallengeV2.unpack, server.compute_response_v2
_pairs = NTClientChallengeV2.av_pairs.fget


def unpack(blob):
    """As pyspnego does, and the bytes are kept."""
    challenge = _unpack(blob)
    challenge.as_received = bytes(blob)
    return challenge


def av_pairs(challenge):
    """As pyspnego does, and the bytes are with it where the check finds them."""
    pairs = _pairs(challenge)
    pairs.as_received = getattr(challenge, "as_received", None)
    return pairs


def compute(nt_hash, server_challenge, client_challenge, time, pairs, *rest, **named):
    """The expected responses and the session key (MS-NLMP 3.3.2)."""
    nt, lm, key = _compute(nt_hash, server_challenge, client_challenge, time, pairs, *rest, **named)
    blob = getattr(pairs, "as_received", None)
    if blob is None:
        return nt, lm, key
    proof = hmac.new(nt_hash, server_challenge + blob, hashlib.md5).digest()
    return proof + blob, lm, hmac.new(nt_hash, proof, hashlib.md5).digest()


def accept_as_received():
    """Puts them in place of pyspnego's own."""
    NTClientChallengeV2.unpack = staticmethod(unpack)
    NTClientChallengeV2.av_pairs = property(av_pairs)
    server.compute_response_v2 = compute
