"""Recorded events as MS-EVEN6 would have sent them. A file of events (EVTX) keeps names and templates
once for each chunk of 64 KiB and points at them; on the wire each event has its own, inline."""

import json
import struct
import sys
from datetime import datetime, timedelta

from binxml import END, FRAGMENT, HEADER, STRING, result_set

FILE_HEADER, CHUNK, FIRST_RECORD = 4096, 65536, 512
RECORD = b"**\0\0"

OPEN, CLOSE_START, CLOSE_EMPTY, END_ELEMENT = 0x01, 0x02, 0x03, 0x04
VALUE, ATTRIBUTE, CDATA, CHARACTER, ENTITY = 0x05, 0x06, 0x07, 0x08, 0x09
TEMPLATE, NORMAL, OPTIONAL, FRAGMENT_HEADER = 0x0C, 0x0D, 0x0E, 0x0F
MORE = 0x40
FILE_TIME = 0x11


class Chunk:
    """One chunk, of which all times are `later` by so many ticks of 100 ns. Every method that takes a
    position returns what it made and the position after it."""

    def __init__(self, data, later=0):
        self.data, self.later = data, later

    def number(self, at, shape="<I"):
        return struct.unpack_from(shape, self.data, at)[0]

    def name(self, at):
        """A name by its offset: it is behind the pointer when it is used for the first time."""
        offset = self.number(at)
        digest, count = struct.unpack_from("<HH", self.data, offset + 4)
        end = offset + 8 + 2 * count
        inline = struct.pack("<HH", digest, count) + self.data[offset + 8:end] + b"\0\0"
        return inline, (end + 2 if offset == at + 4 else at + 4)

    def fragment(self, at, in_template):
        out = b""
        while self.data[at] == FRAGMENT_HEADER:
            out, at = out + HEADER, at + 4
        if self.data[at] == TEMPLATE:
            body, at = self.template(at)
        else:
            body, at = self.element(at, in_template)
        return out + body, at

    def element(self, at, in_template):
        token = self.data[at]
        if token & ~MORE != OPEN:
            raise ValueError(f"no element but {token:#x} at {at:#x}")
        out, at = bytes([token]), at + 1
        if in_template:
            out, at = out + self.data[at:at + 2], at + 2
        body, at = self.name(at + 4)
        if token & MORE:
            attributes, at = self.attributes(at + 4, in_template)
            body += struct.pack("<I", len(attributes)) + attributes
        if self.data[at] == CLOSE_EMPTY:
            body, at = body + bytes([CLOSE_EMPTY]), at + 1
        else:
            content, at = self.content(at + 1, in_template)
            body += bytes([CLOSE_START]) + content + bytes([END_ELEMENT])
            at += 1
        return out + struct.pack("<I", len(body)) + body, at

    def attributes(self, at, in_template):
        out = b""
        while self.data[at] & ~MORE == ATTRIBUTE:
            token = self.data[at]
            called, at = self.name(at + 1)
            out += bytes([token]) + called
            while self.data[at] & ~MORE not in (ATTRIBUTE, CLOSE_START, CLOSE_EMPTY):
                item, at = self.item(at, in_template)
                out += item
        return out, at

    def content(self, at, in_template):
        out = b""
        while self.data[at] != END_ELEMENT:
            item, at = self.item(at, in_template)
            out += item
        return out, at

    def item(self, at, in_template):
        """One thing inside an element or attribute."""
        token = self.data[at] & ~MORE
        if token == OPEN:
            return self.element(at, in_template)
        if token == ENTITY:
            called, end = self.name(at + 1)
            return self.data[at:at + 1] + called, end
        if token == VALUE and self.data[at + 1] == STRING:
            end = at + 4 + 2 * self.number(at + 2, "<H")
        elif token == CDATA:
            end = at + 3 + 2 * self.number(at + 1, "<H")
        elif token == CHARACTER:
            end = at + 3
        elif token in (NORMAL, OPTIONAL):
            end = at + 4
        else:
            raise ValueError(f"nothing is known that begins with {token:#x}, at {at:#x}")
        return self.data[at:end], end

    def template(self, at):
        """An instance: its definition inline, and its values, in which fragments may be again."""
        offset = self.number(at + 6)
        values_at = at + 10
        if offset == values_at:
            values_at += 24 + self.number(offset + 20)
        guid = self.data[offset + 4:offset + 20]
        root, _ = self.fragment(offset + 24, True)
        body = root + END
        count = self.number(values_at)
        specs_at = values_at + 4
        value_at = specs_at + 4 * count
        specs = values = b""
        for index in range(count):
            size, kind, rest = struct.unpack_from("<HBB", self.data, specs_at + 4 * index)
            value = self.data[value_at:value_at + size]
            if kind == FRAGMENT and size:
                value = self.fragment(value_at, False)[0] + END
            if kind == FILE_TIME and size == 8:
                value = struct.pack("<Q", self.number(value_at, "<Q") + self.later)
            value_at += size
            specs += struct.pack("<HBB", len(value), kind, rest)
            values += value
        head = bytes([TEMPLATE, 0]) + guid + struct.pack("<I", len(body))
        return head + body + struct.pack("<I", count) + specs + values, value_at


def fragments(path, later=0):
    """The fragments of a file, each with the number that its record has there."""
    with open(path, "rb") as file:
        data = file.read()
    for at in range(FILE_HEADER, len(data) - CHUNK + 1, CHUNK):
        chunk = Chunk(data[at:at + CHUNK], later)
        # What is damaged is passed over, up to where the next record begins.
        record = chunk.data.find(RECORD, FIRST_RECORD)
        while FIRST_RECORD <= record < min(chunk.number(48), CHUNK - 28):
            size = chunk.number(record + 4)
            try:
                fragment, _ = chunk.fragment(record + 24, False)
            except (IndexError, ValueError, struct.error) as damage:
                print(f"{path} at {at + record:#x}: {damage}", file=sys.stderr)
            else:
                yield chunk.number(record + 8, "<Q"), fragment + END
            record = chunk.data.find(RECORD, record + (size if size >= 28 else 4))


def result_sets(path, newest=None):
    """The events of a file: EventRecordID, EventID, result set. An exported file numbers its records
    anew, so both are read by the evtx package. With `newest`, that is when the last of them happens, and
    the others as long before as they did."""
    from evtx import PyEvtxParser

    systems, times = {}, []
    for found in PyEvtxParser(path).records_json():
        system = json.loads(found["data"])["Event"]["System"]
        number = system["EventID"]
        number = number["#text"] if isinstance(number, dict) else number
        systems[found["event_record_id"]] = (system["EventRecordID"], number)
        times.append(system["TimeCreated"]["#attributes"]["SystemTime"])
    later = 0
    if newest:
        later = datetime.fromisoformat(newest) - max(map(datetime.fromisoformat, times))
        later = later // timedelta(microseconds=1) * 10
    for place, fragment in fragments(path, later):
        record, number = systems[place]
        yield record, number, result_set(fragment, record)


def main():
    """Writes the fragments of a file: for each the number of its record (8 bytes), its length (4), and
    itself."""
    for place, fragment in fragments(sys.argv[1]):
        sys.stdout.buffer.write(struct.pack("<QI", place, len(fragment)) + fragment)


if __name__ == "__main__":
    main()
