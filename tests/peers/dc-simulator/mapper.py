"""The endpoint mapper on port 135 (C706 appendix O, ept_map): where MS-EVEN6 listens."""

import socket
import struct

from impacket.dcerpc.v5 import epm
from impacket.uuid import uuidtup_to_bin

from association import OP_RANGE, Fault

EPT_MAP = 3
NOT_REGISTERED = 0x16C9A0D6


class Mapper:
    """Knows one endpoint: that of `even6`, at `address`."""

    interface = uuidtup_to_bin(("e1af8308-5d1f-11c9-91a4-08002b14a0fa", "3.0"))
    needs_authentication = False

    def __init__(self, address, port, even6, faults):
        self.address, self.port, self.even6, self.faults = address, port, even6, faults

    async def call(self, opnum, stub, association):
        if opnum != EPT_MAP:
            raise Fault(OP_RANGE)
        # RestrictRemoteClients: strangers are not answered.
        if not association.authenticated() and (status := self.faults.status("map")):
            raise Fault(status)
        asked = b"".join(epm.ept_map(stub)["map_tower"]["tower_octet_string"])
        floors = epm.EPMTower(asked)["Floors"]
        wanted = floors[0].getData()
        # A floor is the length of its left half, that half, and so on: uuid and major version.
        if wanted[3:21] != self.even6.interface[:18]:
            return bytes(20) + struct.pack("<IIII", 0, 4, 0, 0) + struct.pack("<I", NOT_REGISTERED)
        tower = struct.pack("<H", 5) + b"".join(floor.getData() for floor in floors[:3])
        tower += struct.pack("<HBH", 1, 7, 2) + struct.pack(">H", self.even6.port)
        tower += struct.pack("<HBH", 1, 9, 4) + socket.inet_aton(self.address)
        body = struct.pack("<III", 4, 0, 1) + struct.pack("<III", 3, len(tower), len(tower)) + tower
        return bytes(20) + struct.pack("<I", 1) + body + bytes(-len(tower) % 4) + bytes(4)
