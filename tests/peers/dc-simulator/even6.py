"""MS-EVEN6 as a domain controller serves it: subscriptions (pull, and push by waiting calls), queries,
bookmarks, handles. Stubs in by impacket's NDR; out by hand, for impacket cannot write them all."""

import asyncio
import itertools
import re
import struct
import uuid
import xml.etree.ElementTree as ElementTree

from impacket.dcerpc.v5 import even6
from impacket.uuid import uuidtup_to_bin

from association import CONTEXT_MISMATCH, OP_RANGE, Fault

SUCCESS, DENIED, INVALID = 0, 0x5, 0x57
NO_MORE_ITEMS, CANCELLED, INVALID_OPERATION = 0x103, 0x4C7, 0x10DD
TOO_SMALL = 0x7A
INVALID_CHANNEL, INVALID_QUERY, STALE = 0x3A98, 0x3A99, 0x3AA3

FUTURE, OLDEST, AFTER_BOOKMARK = 1, 2, 3
STRICT, PULL = 0x10000, 0x10000000

# The most that one answer holds (MS-EVEN6 appendix A: MAX_RPC_BATCH_SIZE).
BATCH = 2 << 20
NULL_HANDLE = bytes(20)
CHANNEL = "Security"

# EvtLogNumberOfLogRecords, EvtLogOldestRecordNumber; BinXmlVarUint64 and the size of its structure.
RECORDS, OLDEST_RECORD = 5, 6
UINT64, VARIANT = 0xA, 16


class Stream:
    """A subscription or a query: which events are wanted, and after which record; whether they are
    pulled."""

    def __init__(self, wanted, position, pulled=True):
        self.wanted, self.position, self.pulled = wanted, position, pulled
        self.cancelled = asyncio.Event()


class Opened:
    """The log itself, opened to be asked about."""


class Even6:
    """The interface of one controller."""

    interface = uuidtup_to_bin(("f6beaff7-1e19-4fbb-9f8f-b89e2018337c", "1.0"))
    needs_authentication = True

    def __init__(self, controller, port):
        self.controller, self.port = controller, port
        self.faults = controller.faults
        self.operations = {
            0: ("subscribe", self.subscribe),
            1: ("next_async", self.next_async),
            2: ("next", self.next),
            3: ("wait", self.wait),
            5: ("query", self.query),
            11: ("query_next", self.query_next),
            13: ("close", self.close),
            14: ("cancel", self.cancel),
            17: ("open_log", self.open_log),
            18: ("log_info", self.log_info),
        }

    async def call(self, opnum, stub, _association):
        if opnum not in self.operations:
            raise Fault(OP_RANGE)
        name, operation = self.operations[opnum]
        calls = self.controller.calls
        calls[name] = calls.get(name, 0) + 1
        if self.faults.seconds:
            await asyncio.sleep(self.faults.seconds)
        return await operation(stub, self.faults.status(name))

    async def subscribe(self, stub, status):
        asked = even6.EvtRpcRegisterRemoteSubscription(stub)
        channel, query = string(asked["channelPath"]), string(asked["query"])
        print(f"{self.controller.address}: subscription {channel} {query} {asked['Flags']:#x}", flush=True)
        status = status or named_channel(channel, query)
        position = 0
        if not status:
            bookmark = string(asked["bookmarkXml"])
            status, position = self.begin(asked["Flags"], bookmark)
        stream = Stream(wanted(query), position, bool(asked["Flags"] & PULL))
        return self.opened(status, stream)

    def begin(self, flags, bookmark):
        """Where a subscription begins: a status, and the record before the first one."""
        log = self.controller.log
        if flags & 3 == FUTURE:
            return SUCCESS, log.next - 1
        if flags & 3 == OLDEST:
            return SUCCESS, 0
        if flags & 3 != AFTER_BOOKMARK:
            return INVALID, 0
        try:
            marked = ElementTree.fromstring(bookmark).find("Bookmark")
            record = int(marked.attrib["RecordId"])
        except (ElementTree.ParseError, AttributeError, KeyError, TypeError, ValueError):
            return INVALID, 0
        # The record itself may be the last before the oldest: nothing is missing then.
        if record + 1 < log.first or record >= log.next:
            return STALE, 0
        return SUCCESS, record

    async def query(self, stub, status):
        asked = even6.EvtRpcRegisterLogQuery(stub)
        path, query = string(asked["Path"]), string(asked["Query"])
        print(f"{self.controller.address}: query {path} {query} {asked['Flags']:#x}", flush=True)
        status = status or named_channel(path, query)
        return self.opened(status, Stream(wanted(query), 0))

    def opened(self, status, stream):
        """Two handles, one channel that is as it should be, and no error in the query."""
        if status:
            handles = NULL_HANDLE * 2
        else:
            handles = self.handle(stream) + self.handle(stream)
        name = (CHANNEL + "\0").encode("utf-16le")
        count = len(CHANNEL) + 1
        info = struct.pack("<IIIIIIII", 1, 0x20000, 1, 0x20004, status, count, 0, count) + name
        info += bytes(-len(info) % 4)
        return handles + info + bytes(12) + struct.pack("<I", status)

    def handle(self, of):
        """A new handle of a subscription, a query or a log."""
        handle = struct.pack("<I", 0) + uuid.uuid4().bytes_le
        self.controller.handles[handle] = of
        return handle

    def stream(self, stub, kind=Stream):
        found = self.controller.handles.get(bytes(stub[:20]))
        if not isinstance(found, kind):
            raise Fault(CONTEXT_MISMATCH)
        return found

    async def open_log(self, stub, status):
        count, = struct.unpack_from("<I", stub)
        channel = bytes(stub[12:12 + 2 * count]).decode("utf-16le").rstrip("\0")
        status = status or named_channel(channel, None)
        handle = NULL_HANDLE if status else self.handle(Opened())
        return handle + bytes(12) + struct.pack("<I", status)

    async def log_info(self, stub, status):
        self.stream(stub, Opened)
        asked, size = struct.unpack_from("<II", stub, 20)
        log = self.controller.log
        numbers = {RECORDS: len(log.records), OLDEST_RECORD: log.first}
        status = status or (INVALID if asked not in numbers else TOO_SMALL if size < VARIANT else 0)
        value = bytes(size)
        if not status:
            value = struct.pack("<QII", numbers[asked], 1, UINT64) + bytes(size - VARIANT)
        padded = value + bytes(-len(value) % 4)
        return struct.pack("<I", size) + padded + struct.pack("<II", VARIANT, status)

    async def grown(self, stream, seconds):
        """Waits until there may be events; whether there are."""
        deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
        while not stream.cancelled.is_set():
            if not self.faults.silent and self.found(stream, 1):
                return True
            left = None if deadline is None else deadline - asyncio.get_running_loop().time()
            if left is not None and left <= 0:
                return False
            waits = [asyncio.ensure_future(event.wait())
                     for event in (self.controller.log.grown, stream.cancelled)]
            try:
                await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for waiting in waits:
                    waiting.cancel()
        return False

    def found(self, stream, count):
        return self.controller.log.after(stream.position, stream.wanted, count)

    async def next(self, stub, status):
        stream = self.stream(stub)
        count, timeout = struct.unpack_from("<II", stub, 20)
        status = status or way(stream.pulled)
        if status:
            return batch([], status)
        seconds = None if timeout == 0xFFFFFFFF else timeout / 1000
        if not await self.grown(stream, seconds):
            return batch([], CANCELLED if stream.cancelled.is_set() else self.faults.empty)
        return self.taken(stream, count)

    async def next_async(self, stub, status):
        stream = self.stream(stub)
        count, = struct.unpack_from("<I", stub, 20)
        status = status or way(not stream.pulled)
        if not status and not await self.grown(stream, None):
            status = CANCELLED
        return batch([], status) if status else self.taken(stream, count)

    async def wait(self, stub, status):
        stream = self.stream(stub)
        status = status or way(stream.pulled)
        if not status and not await self.grown(stream, None):
            status = CANCELLED
        return struct.pack("<I", status)

    async def query_next(self, stub, status):
        stream = self.stream(stub)
        count, = struct.unpack_from("<I", stub, 20)
        if status or not self.found(stream, 1):
            return batch([], status or NO_MORE_ITEMS)
        return self.taken(stream, count)

    def taken(self, stream, count):
        """The next records of the stream, no more than fit, which it will not give again."""
        results, size = [], 0
        for record, _, result in self.found(stream, min(count, 1024)):
            if size + len(result) > BATCH:
                break
            results.append(result)
            size += len(result)
            stream.position = record
        return batch(results, SUCCESS)

    async def close(self, stub, status):
        self.stream(stub, (Stream, Opened))
        if status:
            return bytes(stub[:20]) + struct.pack("<I", status)
        del self.controller.handles[bytes(stub[:20])]
        return NULL_HANDLE + struct.pack("<I", SUCCESS)

    async def cancel(self, stub, status):
        stream = self.stream(stub)
        if not status:
            stream.cancelled.set()
        return struct.pack("<I", status)


def way(fits):
    """Whether a call is one for this kind of subscription: a status."""
    return SUCCESS if fits else INVALID_OPERATION


def string(value):
    """A string of NDR without its end; None where there is none."""
    return value.rstrip("\0") if isinstance(value, str) else None


def wanted(query):
    """The event ids that a query selects; none named means all. Nothing else of XPath is looked at."""
    return {int(number) for number in re.findall(r"EventID\s*=\s*(\d+)", query or "")}


def named_channel(channel, query):
    """Whether the one channel there is, is meant: a status."""
    if query and query.lstrip().startswith("<"):
        try:
            selected = ElementTree.fromstring(query).iter("Select")
        except ElementTree.ParseError:
            return INVALID_QUERY
        paths = [select.attrib.get("Path", channel) for select in selected]
    else:
        paths = [channel]
    known = [path is not None and path.lower() == CHANNEL.lower() for path in paths]
    return SUCCESS if known and all(known) else INVALID_CHANNEL


def batch(results, status):
    """The answer of all calls that give out events."""
    buffer = b"".join(results)
    starts = list(itertools.accumulate(map(len, results), initial=0))[:-1]
    out = struct.pack("<I", len(results))
    for referent, numbers in ((0x20000, starts), (0x20004, [len(result) for result in results])):
        if numbers:
            out += struct.pack("<II", referent, len(numbers)) + struct.pack(f"<{len(numbers)}I", *numbers)
        else:
            out += struct.pack("<I", 0)
    out += struct.pack("<I", len(buffer))
    if buffer:
        out += struct.pack("<II", 0x20008, len(buffer)) + buffer + bytes(-len(buffer) % 4)
    else:
        out += struct.pack("<I", 0)
    return out + struct.pack("<I", status)
