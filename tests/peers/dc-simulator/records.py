#!/usr/bin/env python3
"""Reads recorded security logs (EVTX, JSON lines, or a zip of them) and writes one JSON object a
record: what Windows says of every event under one spelling, and the event's own fields as text."""

import io
import json
import sys
import zipfile

from evtx import PyEvtxParser


def of_evtx(stream):
    """The records of an EVTX file."""
    for found in PyEvtxParser(stream).records_json():
        event = json.loads(found["data"])["Event"]
        system = event["System"]
        number = system["EventID"]
        if isinstance(number, dict):
            number = number["#text"]
        yield {
            "id": number,
            "time": system["TimeCreated"]["#attributes"]["SystemTime"],
            "record": system["EventRecordID"],
            "computer": system["Computer"],
            "channel": system["Channel"],
            "provider": system["Provider"]["#attributes"]["Name"],
            "keywords": int(system["Keywords"], 16),
            "fields": texts(event.get("EventData") or {}),
        }


def of_json(stream):
    """The records of JSON lines, as nxlog and winlogbeat flatten them."""
    for line in stream:
        event = json.loads(line)
        keywords = event.get("Keywords", 0)
        keywords = int(keywords, 0) if isinstance(keywords, str) else keywords
        yield {
            "id": event["EventID"],
            # EventTime is in the time zone of the server, and does not say which.
            "time": event.get("TimeCreated") or event["@timestamp"],
            "record": event.get("RecordNumber", 0),
            "computer": event["Hostname"],
            "channel": event.get("Channel", ""),
            "provider": event.get("SourceName", ""),
            # nxlog writes the 64 bits as a signed number.
            "keywords": keywords % (1 << 64),
            "fields": texts(event),
        }


def texts(fields):
    """The fields that say something, as text."""
    kept = (str, int)
    return {name: str(value) for name, value in fields.items() if isinstance(value, kept)}


def records(path):
    """The records of a file of any of the three kinds."""
    if path.endswith(".evtx"):
        yield from of_evtx(path)
    elif path.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as stream:
                    yield from of_json(io.TextIOWrapper(stream, "utf-8"))
    else:
        with open(path, encoding="utf-8") as stream:
            yield from of_json(stream)


def main():
    for path in sys.argv[1:]:
        for record in records(path):
            if record["channel"].lower() == "security":
                print(json.dumps(record))


if __name__ == "__main__":
    main()
