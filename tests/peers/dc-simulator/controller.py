"""A domain controller: its security log, who follows it, and how it shall misbehave."""

import asyncio
import bisect
import ipaddress
import itertools
from datetime import datetime, timezone

import binxml
import manifest


class Log:
    """The security log: (record id, event id, result set), the oldest first."""

    def __init__(self):
        self.records = []
        self.next = 1
        # Records from before this one are gone: the log was cleared, or rolled over.
        self.first = 1
        self.grown = asyncio.Event()

    def append(self, record, number, result_set):
        """One more, with the record id that is in it. They only grow."""
        if record < self.next:
            raise ValueError(f"record {record} after record {self.next - 1}")
        self.records.append((record, number, result_set))
        self.next = record + 1
        self.wake()

    def replace(self, records):
        """These are the whole log, as recorded."""
        self.records, self.first, self.next = [], records[0][0], records[0][0]
        for record in records:
            self.append(*record)

    def extend(self, records):
        """The same for many at once, whose record ids follow one another."""
        self.records.extend(records)
        self.next = self.records[-1][0] + 1
        self.wake()

    def wake(self):
        """Everybody who waits for events looks again."""
        self.grown.set()
        self.grown = asyncio.Event()

    def keep(self, count):
        """Only the newest `count` records are left."""
        self.records = self.records[len(self.records) - count:] if count else []
        self.first = self.records[0][0] if self.records else self.next

    def after(self, record, wanted, count):
        """At most `count` records after `record` whose event id is wanted."""
        begin = bisect.bisect_right(self.records, record, key=lambda kept: kept[0])
        rest = (self.records[at] for at in range(begin, len(self.records)))
        return list(itertools.islice((kept for kept in rest if not wanted or kept[1] in wanted), count))


class Faults:
    """What goes wrong, and how often; set over the control socket."""

    def __init__(self):
        self.statuses = {}
        self.cut_at = None
        self.seconds = 0.0
        self.silent = False
        self.empty = 0x5B4

    def cut(self, length):
        """After how many bytes of a PDU of `length` the connection breaks, once."""
        at, self.cut_at = self.cut_at, None
        return None if at is None else min(at, length - 1)

    def status(self, call):
        """The error that `call` is to answer with now, or 0."""
        status, times = self.statuses.get(call, (0, 0))
        if times > 1:
            self.statuses[call] = (status, times - 1)
        else:
            self.statuses.pop(call, None)
        return status


class Controller:
    """One domain controller at one address."""

    def __init__(self, address, computer):
        self.address, self.computer = address, computer
        self.log, self.faults = Log(), Faults()
        # What a reboot forgets: the handles it gave out, and who is connected.
        self.handles = {}
        self.connections = set()
        self.calls = {}
        # Events that are written already, and happen when they are released.
        self.held, self.releasing = [], None

    def happen(self, said):
        """One event, as the manifest has it but for what is said; returns its record id."""
        record = said.get("record", self.log.next)
        self.log.append(*self.written(said, record))
        return record

    def hold(self, said):
        """`count` events, each of another user at another address, from `user` and `ip` on."""
        first = ipaddress.ip_address(said["ip"])
        for at in range(said["count"]):
            one = {**said, "user": f"{said['user']}{at}", "ip": str(first + at)}
            self.held.append(self.written(one, self.log.next + len(self.held)))

    async def release(self, rate):
        """Lets those that are held happen, `rate` a second."""
        held, done, loop = self.held, 0, asyncio.get_running_loop()
        begin, self.held = loop.time(), []
        while done < len(held):
            due = min(len(held), int((loop.time() - begin) * rate))
            if due > done:
                self.log.extend(held[done:due])
                done = due
            await asyncio.sleep(0.005)

    def written(self, said, record):
        """An event as the log has it."""
        number = said["id"]
        moment = said.get("at")
        moment = datetime.fromisoformat(moment) if moment else datetime.now(timezone.utc)
        failed = said.get("failed", number in manifest.FAILED)
        system = {
            "id": number,
            "record": record,
            "time": moment,
            "computer": said.get("computer", self.computer),
            "provider": manifest.provider(number),
            "keywords": manifest.FAILURE if failed else manifest.SUCCESS,
        }
        fragment = binxml.event(system, manifest.fields(number, said))
        return record, number, binxml.result_set(fragment, record)

    def reboot(self):
        """Handles are worth nothing any more, connections break, and the log tells of the start."""
        self.handles.clear()
        for writer in list(self.connections):
            writer.transport.abort()
        self.happen({"id": 4608})
