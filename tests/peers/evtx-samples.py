#!/usr/bin/env python3
"""Puts the recorded event logs that the Python package of the evtx crate's author brings into a folder:
tests/peers/evtx-samples.py FOLDER

The crate's own package has none; all of them are in its repository (ROLLCALL_EVTX may name a copy).
"""

import hashlib
import io
import os
import pathlib
import re
import sys
import tarfile
import urllib.parse
import urllib.request

PACKAGE = "evtx-0.8.0.tar.gz"
SHA256 = "c26d27d5bd9368fb3d7cdefed15cad8013f1c80309ab451c19c1bd31ae70c330"
INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple")


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


def main(folder):
    listing = INDEX.rstrip("/") + "/evtx/"
    link = re.search(rf'href="([^"]*{re.escape(PACKAGE)})[^"]*"', fetch(listing).decode())
    if link is None:
        sys.exit(f"{listing} does not list {PACKAGE}")
    package = fetch(urllib.parse.urljoin(listing, link[1]))
    if hashlib.sha256(package).hexdigest() != SHA256:
        sys.exit(f"{PACKAGE} is not what it was")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".evtx"):
                path = folder / pathlib.PurePath(member.name).name
                path.write_bytes(archive.extractfile(member).read())


main(pathlib.Path(sys.argv[1]))
