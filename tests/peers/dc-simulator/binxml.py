"""Binary XML as MS-EVEN6 sends it (section 3.1.4.7): templates inline, fragments in values. Made by
hand, so that a test can say what happened; recorded events come through transcode.py instead."""

import functools
import struct
import uuid
from datetime import datetime, timezone

HEADER = b"\x0f\x01\x01\x00"
END = b"\x00"

# Types of values (section 2.2.12).
STRING, UINT8, UINT16, UINT32, UINT64 = 0x01, 0x04, 0x06, 0x08, 0x0A
GUID, FILETIME, SID, HEX32, HEX64, FRAGMENT = 0x0F, 0x11, 0x13, 0x14, 0x15, 0x21


def name(text):
    """A name with its hash, its length and its end."""
    digest = 0
    for letter in text:
        digest = (digest * 65599 + ord(letter)) & 0xFFFFFFFF
    return struct.pack("<HH", digest & 0xFFFF, len(text)) + text.encode("utf-16le") + b"\0\0"


def text(value):
    """A literal."""
    return struct.pack("<BBH", 0x05, STRING, len(value)) + value.encode("utf-16le")


def place(index, kind):
    """Where the value `index` of the instance goes; nothing is there when it is empty."""
    return struct.pack("<BHB", 0x0E, index, kind)


def element(tag, content=b"", attributes=()):
    """An element of a template."""
    listed = b""
    for at, (attribute, value) in enumerate(attributes):
        more = 0x46 if at + 1 < len(attributes) else 0x06
        listed += bytes([more]) + name(attribute) + value
    body = name(tag)
    if listed:
        body += struct.pack("<I", len(listed)) + listed
    body += b"\x02" + content + b"\x04" if content else b"\x03"
    token = 0x41 if listed else 0x01
    return struct.pack("<BHI", token, 0xFFFF, len(body)) + body


def template(key, root):
    """The definition of a template that is called after `key`, up to its values."""
    body = HEADER + root + END
    guid = uuid.uuid5(uuid.NAMESPACE_OID, key).bytes_le
    return HEADER + b"\x0c\x00" + guid + struct.pack("<I", len(body)) + body


def instance(definition, values):
    """A fragment that is `values` in a template."""
    specs = b"".join(struct.pack("<HBB", len(value), kind, 0) for kind, value in values)
    filled = b"".join(value for _, value in values)
    return definition + struct.pack("<I", len(values)) + specs + filled + END


def filetime(moment):
    """A moment in 100 ns since 1601."""
    since = moment - datetime(1601, 1, 1, tzinfo=timezone.utc)
    return ((since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds) * 10


def sid(written):
    """S-1-5-... in its binary form (MS-DTYP 2.4.2.2)."""
    _, revision, authority, *parts = written.split("-")
    head = bytes([int(revision), len(parts)]) + int(authority).to_bytes(6, "big")
    return head + b"".join(struct.pack("<I", int(part)) for part in parts)


def value(kind, written):
    """What a field says, in the bytes of its type."""
    if kind == STRING:
        return written.encode("utf-16le")
    if kind == SID:
        return sid(written)
    if kind == GUID:
        return uuid.UUID(written).bytes_le
    return struct.pack({UINT32: "<I", HEX32: "<I", HEX64: "<Q"}[kind], int(written, 0))


@functools.cache
def event_data(shape):
    """The template of the fields of an event: (name, type) in the order of the manifest."""
    data = [element("Data", place(at, kind), [("Name", text(called))])
            for at, (called, kind) in enumerate(shape)]
    return template(f"data {shape}", element("EventData", b"".join(data)))


@functools.cache
def whole_event(called, identifier):
    """The template of what Windows says of every event of a provider."""
    provider = [("Name", text(called)), ("Guid", text(identifier))]
    head = [
        element("Provider", b"", provider),
        element("EventID", place(0, UINT16)),
        element("Version", place(1, UINT8)),
        element("Level", place(2, UINT8)),
        element("Keywords", place(3, HEX64)),
        element("TimeCreated", b"", [("SystemTime", place(4, FILETIME))]),
        element("EventRecordID", place(5, UINT64)),
        element("Channel", text("Security")),
        element("Computer", place(6, STRING)),
    ]
    namespace = text("http://schemas.microsoft.com/win/2004/08/events/event")
    content = element("System", b"".join(head)) + place(7, FRAGMENT)
    return template(f"event {called}", element("Event", content, [("xmlns", namespace)]))


def event(system, fields):
    """The fragment of one event: `system` has id, record, time, computer, keywords and provider (name
    and identifier); `fields` are (name, type, text) in the order of the manifest."""
    shape = tuple((called, kind) for called, kind, _ in fields)
    said = [(kind, value(kind, written)) for _, kind, written in fields]
    return instance(whole_event(*system["provider"]), [
        (UINT16, struct.pack("<H", system["id"])),
        (UINT8, b"\0"),
        (UINT8, b"\0"),
        (HEX64, struct.pack("<Q", system["keywords"])),
        (FILETIME, struct.pack("<Q", filetime(system["time"]))),
        (UINT64, struct.pack("<Q", system["record"])),
        (STRING, system["computer"].encode("utf-16le")),
        (FRAGMENT, instance(event_data(shape), said)),
    ])


def result_set(fragment, record):
    """One event with its bookmark (section 2.2.17). The offset says 0x10 and means 0x14."""
    body = fragment + struct.pack("<I", 0)
    bookmark = struct.pack("<IIIIIIQ", 0x20, 0x18, 1, 0, 0, 0x18, record)
    at = 0x14 + len(body)
    sizes = struct.pack("<IIIII", at + len(bookmark), 0x10, 0x10, at, len(fragment))
    return sizes + body + bookmark
