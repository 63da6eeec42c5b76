"""A connection as a Windows server keeps it: DCE/RPC over TCP (C706 chapter 12, MS-RPCE), with NTLM
or SPNEGO by pyspnego, everything encrypted and headers signed once it is authenticated."""

import asyncio
import struct
import traceback

import spnego
from spnego.iov import BufferType

REQUEST, RESPONSE, FAULT, BIND, BIND_ACK, BIND_NAK = 0, 2, 3, 11, 12, 13
ALTER, ALTER_RESPONSE, AUTH3, CANCEL, ORPHANED = 14, 15, 16, 18, 19
FIRST, LAST, OBJECT = 0x01, 0x02, 0x80

NDR20 = bytes.fromhex("045d888aeb1cc9119fe808002b104860") + struct.pack("<I", 2)
MAX_FRAGMENT = 5840
PROTOCOLS = {9: "negotiate", 10: "ntlm"}

ACCESS_DENIED = 0x00000005
BAD_STUB = 0x000006F7
OP_RANGE = 0x1C010002
CONTEXT_MISMATCH = 0x1C00001A


class Fault(Exception):
    """A call ends with this status and without an answer."""

    def __init__(self, status):
        super().__init__(f"fault {status:#x}")
        self.status = status


class Gone(Exception):
    """The connection is to be dropped."""


class Association:
    """One connection to `service`, which has an `interface`, the `port` it listens on, whether it
    `needs_authentication`, `faults` (how it shall misbehave) and `call(opnum, stub, association)`."""

    def __init__(self, service, reader, writer):
        self.service, self.reader, self.writer = service, reader, writer
        self.security = None
        self.authentication = None
        self.fragment = MAX_FRAGMENT
        self.stubs = {}
        self.calls = set()
        self.sending = asyncio.Lock()

    async def run(self):
        """Until either side goes."""
        try:
            while True:
                await self.receive()
        except (asyncio.IncompleteReadError, ConnectionError, Gone):
            pass
        finally:
            for call in self.calls:
                call.cancel()
            self.writer.close()

    async def receive(self):
        header = await self.reader.readexactly(16)
        kind, flags = header[2], header[3]
        length, token_length, call = struct.unpack_from("<HHI", header, 8)
        if header[:2] != b"\x05\x00" or header[4] != 0x10 or length < 16:
            raise Gone("not a PDU of version 5 in little endian")
        body = await self.reader.readexactly(length - 16)
        trailer, token = b"", b""
        if token_length:
            at = len(body) - token_length - 8
            trailer, token, body = body[at:at + 8], body[at + 8:], body[:at]
        if kind in (BIND, ALTER):
            await self.bind(kind, flags, call, body, (trailer, token))
        elif kind == AUTH3:
            self.step(token)
        elif kind == REQUEST:
            await self.request(header, body, (trailer, token))
        elif kind not in (CANCEL, ORPHANED):
            raise Gone(f"a server has no use for a PDU of type {kind}")

    async def bind(self, kind, flags, call, body, security):
        trailer, token = security
        self.fragment = min(MAX_FRAGMENT, struct.unpack_from("<H", body, 2)[0])
        results = b""
        count, at = body[8], 12
        for _ in range(count):
            transfers = body[at + 2]
            abstract = body[at + 4:at + 24]
            offered = [body[at + 24 + 20 * i:at + 44 + 20 * i] for i in range(transfers)]
            at += 24 + 20 * transfers
            if abstract != self.service.interface:
                results += struct.pack("<HH", 2, 1) + bytes(20)
            elif NDR20 not in offered:
                results += struct.pack("<HH", 2, 2) + bytes(20)
            else:
                results += struct.pack("<HH", 0, 0) + NDR20
        port = str(self.service.port).encode() + b"\0" if kind == BIND else b""
        answer = struct.pack("<HHI", self.fragment, self.fragment, 0x1234)
        answer += struct.pack("<H", len(port)) + port
        answer += bytes(-len(answer) % 4) + struct.pack("<BBH", count, 0, 0) + results
        reply, out = (BIND_ACK if kind == BIND else ALTER_RESPONSE), b""
        if trailer:
            protocol = PROTOCOLS.get(trailer[0])
            if protocol is None or trailer[1] != 6:
                return await self.refuse(call)
            if self.security is None:
                self.security = spnego.server(protocol=protocol)
                self.authentication = trailer
            try:
                out = self.step(token)
            except Gone:
                return await self.refuse(call)
        if out:
            pad = bytes(-len(answer) % 4)
            trailer = bytes([trailer[0], trailer[1], len(pad), 0]) + trailer[4:]
            answer += pad + trailer + out
        await self.send(self.header(reply, flags, len(answer), len(out), call) + answer)

    def step(self, token):
        """The next leg; what the client is to hear."""
        try:
            return self.security.step(token) or b""
        except Exception as refused:  # pyspnego has a class for each status of SSPI
            print(f"not authenticated: {refused}", flush=True)
            raise Gone("not authenticated") from refused

    async def refuse(self, call):
        """invalid_authentication_type or a wrong password: the status that Windows sends."""
        fault = struct.pack("<IHBBII", 0, 0, 0, 0, ACCESS_DENIED, 0)
        await self.send(self.header(FAULT, FIRST | LAST, len(fault), 0, call) + fault)
        raise Gone("refused")

    async def request(self, header, body, security):
        trailer, token = security
        flags, call = header[3], struct.unpack_from("<I", header, 12)[0]
        head = 24 if flags & OBJECT else 8
        opnum = struct.unpack_from("<H", body, 6)[0]
        stub = body[head:]
        if token:
            opened = self.security.unwrap_iov([
                (BufferType.header, token), (BufferType.sign_only, header + body[:head]), stub,
                (BufferType.sign_only, trailer)])
            stub = opened.buffers[2].data
            stub = stub[:len(stub) - trailer[2]]
        elif self.security is not None:
            raise Gone("plain text on an authenticated connection")
        stub = self.stubs.pop(call, b"") + stub
        if not flags & LAST:
            self.stubs[call] = stub
            return
        # A call may wait, and the connection still be heard.
        task = asyncio.ensure_future(self.answer(call, opnum, stub))
        self.calls.add(task)
        task.add_done_callback(self.calls.discard)

    async def answer(self, call, opnum, stub):
        try:
            denied = self.service.needs_authentication and not self.authenticated()
            if denied:
                raise Fault(ACCESS_DENIED)
            stub = await self.service.call(opnum, stub, self)
        except Fault as fault:
            body = struct.pack("<IHBBII", 0, 0, 0, 0, fault.status, 0)
            return await self.send(self.header(FAULT, FIRST | LAST, len(body), 0, call) + body)
        except Gone:
            return self.writer.close()
        except Exception:  # whatever impacket says of a stub that it cannot read
            traceback.print_exc()
            body = struct.pack("<IHBBII", 0, 0, 0, 0, BAD_STUB, 0)
            return await self.send(self.header(FAULT, FIRST | LAST, len(body), 0, call) + body)
        try:
            async with self.sending:
                for fragment in self.fragments(call, stub):
                    await self.send(fragment)
        except (Gone, ConnectionError):
            self.writer.close()

    def authenticated(self):
        return self.security is not None and self.security.complete

    def fragments(self, call, stub):
        """The answer in as many PDUs as it takes, each sealed by itself and in order."""
        token_length = 16 if self.security else 0
        room = self.fragment - 24 - (8 + token_length if self.security else 0)
        room -= room % 16
        for at in range(0, max(len(stub), 1), room):
            part = stub[at:at + room]
            flags = (FIRST if at == 0 else 0) | (LAST if at + room >= len(stub) else 0)
            head = struct.pack("<IHBB", len(stub) - at, 0, 0, 0)
            if not self.security:
                yield self.header(RESPONSE, flags, 8 + len(part), 0, call) + head + part
                continue
            pad = bytes(-len(part) % 16)
            kind, level = self.authentication[:2]
            trailer = bytes([kind, level, len(pad), 0]) + self.authentication[4:]
            length = 8 + len(part) + len(pad) + 8 + token_length
            header = self.header(RESPONSE, flags, length, token_length, call)
            sealed = self.security.wrap_iov([
                BufferType.header, (BufferType.sign_only, header + head), part + pad,
                (BufferType.sign_only, trailer)])
            yield header + head + sealed.buffers[2].data + trailer + sealed.buffers[0].data

    @staticmethod
    def header(kind, flags, length, token_length, call):
        return struct.pack("<BBBBIHHI", 5, 0, kind, flags, 0x10, 16 + length, token_length, call)

    async def send(self, pdu):
        cut = self.service.faults.cut(len(pdu))
        self.writer.write(pdu[:cut])
        await self.writer.drain()
        if cut is not None:
            self.writer.close()
            raise Gone("cut off, as told")
