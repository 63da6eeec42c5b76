#!/usr/bin/env python3
"""Reads events of the simulator with impacket's own client: endpoint mapper, NTLM, subscription, query,
bookmark, refusals, close. Says what it checked; fails at the first thing that is not so. Recordings
(EVTX) that are named are loaded, too."""

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import uuid

from impacket.dcerpc.v5 import epm, even6, transport
from impacket.dcerpc.v5.rpcrt import RPC_C_AUTHN_LEVEL_PKT_PRIVACY, DCERPCException

HERE = os.path.dirname(os.path.abspath(__file__))
EVEN6 = ("f6beaff7-1e19-4fbb-9f8f-b89e2018337c", "1.0")
PASSWORD = "canary-of-the-simulator"
QUERY = "*[System[(EventID=4768 or EventID=4624)]]\0"
PULL = 0x10000000
NEXT_ASYNC, WAIT, CANCEL, OPEN_LOG, LOG_INFO = 1, 3, 14, 17, 18


class Peer:
    """The simulator, started for this check."""

    def __init__(self, folder, *arguments):
        self.control = os.path.join(folder, "control")
        users = os.path.join(folder, "users")
        with open(users, "w", encoding="utf-8") as file:
            file.write(f"CORP:reader:{PASSWORD}\n")
        command = [sys.executable, os.path.join(HERE, "simulator.py"), "--mapper-port", "0",
                   "--control", self.control, "--users", users, *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith('{"ready"'):
                break
        self.ports = json.loads(line)["ready"]

    def tell(self, **said):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.control)
            client.sendall(json.dumps(said).encode() + b"\n")
            answer = json.loads(client.makefile().readline())
        assert answer["ok"], answer
        return answer


def connect(peer, address, password=PASSWORD):
    """A sealed connection to the event log of one controller, found by its endpoint mapper."""
    mapper = transport.DCERPCTransportFactory(
        f"ncacn_ip_tcp:{address}[{peer.ports[address]['mapper']}]").get_dce_rpc()
    mapper.connect()
    mapper.bind(epm.MSRPC_UUID_PORTMAP)
    found = epm.hept_map(address, (uuid.UUID(EVEN6[0]).bytes_le + b"\1\0\0\0"),
                         protocol="ncacn_ip_tcp", dce=mapper)
    mapper.disconnect()
    assert found.endswith(f"[{peer.ports[address]['even6']}]"), found
    way = transport.DCERPCTransportFactory(found)
    way.set_credentials("reader", password, "CORP")
    client = way.get_dce_rpc()
    client.set_auth_level(RPC_C_AUTHN_LEVEL_PKT_PRIVACY)
    client.connect()
    client.bind(even6.MSRPC_UUID_EVEN6)
    return client


def subscribe(client, flags, bookmark=None):
    request = even6.EvtRpcRegisterRemoteSubscription()
    request["channelPath"] = "Security\0"
    request["query"] = QUERY
    request["bookmarkXml"] = even6.NULL if bookmark is None else bookmark + "\0"
    request["Flags"] = flags | PULL
    answer = client.request(request)
    return answer["Handle"], answer["OpControl"]


def following(client, handle, timeout=100):
    """The result sets that a pull gives; the error when it gives none."""
    request = even6.EvtRpcRemoteSubscriptionNext()
    request["Handle"] = handle
    request["NumRequestedRecords"] = 100
    request["TimeOut"] = timeout
    request["Flags"] = 0
    answer = client.request(request)
    buffer = b"".join(answer["ResultBuffer"])
    starts, sizes = ([number["Data"] for number in answer[array]]
                     for array in ("EventDataIndices", "EventDataSizes"))
    return [buffer[at:at + size] for at, size in zip(starts, sizes)]


def refused(expected, action):
    """An action ends with this error: a number, or what impacket calls it."""
    try:
        action()
    except DCERPCException as fault:
        came = fault.get_error_code() or str(fault).strip()
        assert came == expected, f"{came}, expected {expected}"
    else:
        raise AssertionError(f"no error, expected {expected}")


def call(client, opnum, handle):
    """A call that impacket does not know: it takes a handle and answers with a status."""
    client.call(opnum, handle.getData())
    return lambda: int.from_bytes(client.recv()[-4:], "little")


def said(what):
    print(f"ok: {what}", flush=True)


def check(peer, address):
    client = connect(peer, address)
    said("endpoint mapper, NTLM, sealed bind")
    handle, _ = subscribe(client, 2)
    refused(0x5B4, lambda: following(client, handle))
    said("nothing happened: ERROR_TIMEOUT")
    peer.tell(id=4768, user="alice", ip="10.0.0.7", controller=address)
    peer.tell(id=4625, user="mallory", controller=address)
    events = following(client, handle)
    assert len(events) == 1 and "alice".encode("utf-16le") in events[0], events
    said("one event of the two is in the query")
    peer.tell(id=4624, user="bob", ip="10.0.0.8", count=200, controller=address)
    assert [len(following(client, handle)) for _ in range(2)] == [100, 100]
    said("200 events, in answers of many fragments")
    bookmark = "<BookmarkList><Bookmark Channel='Security' RecordId='{}' IsCurrent='True'/></BookmarkList>"
    again, control = subscribe(client, 3, bookmark.format(200))
    assert len(following(client, again)) == 2
    said("a bookmark is where it goes on")
    for status in (0x5BF, 0x103):
        peer.tell(do="empty", status=status, controller=address)
        refused(status, lambda: following(client, again))
    said("a pull that finds nothing ends as told")
    waiting = call(client, WAIT, again)
    assert call(connect(peer, address), CANCEL, control)() == 0
    assert waiting() == 0x4C7
    said("a waiting call is cancelled from another connection")
    again, _ = subscribe(client, 3, bookmark.format(200))
    assert call(client, WAIT, again)() == 0
    peer.tell(do="silent", **{"is": True}, controller=address)
    refused(0x103, lambda: following(client, again))
    peer.tell(do="silent", **{"is": False}, controller=address)
    said("a source falls silent while events wait, and speaks again")
    refused(0x3AA3, lambda: subscribe(client, 3, bookmark.format(900)))
    peer.tell(do="roll", keep=50, controller=address)
    refused(0x3AA3, lambda: subscribe(client, 3, bookmark.format(100)))
    peer.tell(do="clear", controller=address)
    refused(0x3AA3, lambda: subscribe(client, 3, bookmark.format(200)))
    said("a bookmark into a log that rolled over or was cleared is stale")
    for status in (0x5, 0x3A98):
        peer.tell(do="fail", call="subscribe", status=status, controller=address)
        refused(status, lambda: subscribe(client, 2))
    said("refusals as told: access denied, invalid channel")
    about_the_log(client, peer, address)
    pushed(client, peer, address)
    query = even6.EvtRpcRegisterLogQuery()
    query["Path"], query["Query"], query["Flags"] = "Security\0", QUERY, 0x101
    assert client.request(query)["Error"]["Error"] == 0
    said("a query of what is in the log")
    for file in sys.argv[1:]:
        peer.tell(do="load", file=file, controller=address)
        loaded = peer.tell(do="state", controller=address)["records"]
        recorded = even6.EvtRpcRegisterRemoteSubscription()
        recorded["channelPath"], recorded["query"] = "Security\0", "*\0"
        recorded["bookmarkXml"], recorded["Flags"] = even6.NULL, 2 | PULL
        assert len(following(client, client.request(recorded)["Handle"])) == loaded
        said(f"{loaded} recorded events of {file}")
    closing = even6.EvtRpcClose()
    closing["Handle"] = handle
    client.request(closing)
    refused("nca_s_fault_context_mismatch", lambda: following(client, handle))
    said("a closed handle is worth nothing")
    peer.tell(id=4768, user="carol", controller=address)
    peer.tell(do="cut", after=700, controller=address)
    refused("Connection closed by remote host", lambda: following(client, again, 1000))
    said("cut off in mid-fragment")
    client = connect(peer, address)
    peer.tell(do="reboot", controller=address)
    assert peer.tell(do="state", controller=address)["handles"] == 0
    said("a reboot forgets all handles")


def about_the_log(client, peer, address):
    """The number of the oldest record, by calls that impacket does not know."""
    name = "Security\0".encode("utf-16le")
    client.call(OPEN_LOG, struct.pack("<III", 9, 0, 9) + name + b"\0\0" + struct.pack("<I", 1))
    opened = client.recv()
    assert opened[-4:] == bytes(4)
    first = peer.tell(id=4768, user="erin", controller=address)["record"]
    peer.tell(do="roll", keep=1, controller=address)
    client.call(LOG_INFO, opened[:20] + struct.pack("<II", 6, 16))
    answer = client.recv()
    assert struct.unpack_from("<I", answer)[0] == 16 and answer[-8:] == struct.pack("<II", 16, 0)
    assert struct.unpack_from("<Q", answer, 4)[0] == first, answer
    said("the log says with which record it begins")


def pushed(client, peer, address):
    """A subscription without pulls is answered when something happens, and cannot be pulled."""
    request = even6.EvtRpcRegisterRemoteSubscription()
    request["channelPath"], request["query"] = "Security\0", QUERY
    request["bookmarkXml"], request["Flags"] = even6.NULL, 1
    handle = client.request(request)["Handle"]
    refused(0x10DD, lambda: following(client, handle))
    client.call(NEXT_ASYNC, handle.getData() + struct.pack("<II", 10, 0))
    peer.tell(id=4768, user="frank", controller=address)
    answer = client.recv()
    assert answer[-4:] == bytes(4) and "frank".encode("utf-16le") in answer
    said("an event is pushed")


def main():
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(folder, "--controllers", "100")
        try:
            check(peer, "127.0.40.1")
            clients = [connect(peer, address) for address in list(peer.ports)[1:]]
            handles = [subscribe(client, 1)[0] for client in clients]
            peer.tell(id=4768, user="dave")
            for client, handle in zip(clients, handles):
                assert len(following(client, handle)) == 1
            said("99 controllers more, an event each")
            # NTLM's last leg has no answer: it is the first call that ends.
            stranger = connect(peer, "127.0.40.1", "wrong")
            refused("Connection closed by remote host", lambda: subscribe(stranger, 2))
            said("a wrong password is refused")
        finally:
            peer.process.terminate()


if __name__ == "__main__":
    main()
