#!/usr/bin/env python3
"""Domain controllers to read event logs from: one process, an address each, told over a socket what
happens and what goes wrong. README.md says how."""

import argparse
import asyncio
import ipaddress
import json
import os
import sys

from association import Association
from controller import Controller
from even6 import Even6
from mapper import Mapper
from ntlm import accept_as_received


async def listen(controller, service, address):
    """Serves one interface of a controller at one port."""

    async def connected(reader, writer):
        controller.connections.add(writer)
        try:
            await Association(service, reader, writer).run()
        finally:
            controller.connections.discard(writer)

    server = await asyncio.start_server(connected, address, service.port)
    # Port 0 is whatever the kernel has.
    service.port = server.sockets[0].getsockname()[1]


class Control:
    """JSON lines: each says what shall happen, and is answered by one line."""

    def __init__(self, controllers):
        self.controllers = controllers

    async def serve(self, reader, writer):
        while line := await reader.readline():
            try:
                answer = {"ok": True, **self.obey(json.loads(line))}
            except (KeyError, TypeError, ValueError) as fault:
                answer = {"ok": False, "error": f"{type(fault).__name__}: {fault}"}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    def obey(self, said):
        """Does it at `controller`, or at all of them."""
        named = said.get("controller")
        chosen = [self.controllers[named]] if named else list(self.controllers.values())
        answers = [self.at(controller, said) for controller in chosen]
        return answers[0] if len(answers) == 1 else {"controllers": len(answers)}

    def at(self, controller, said):
        faults, log = controller.faults, controller.log
        match said.get("do", "happen"):
            case "happen":
                records = [controller.happen(said) for _ in range(said.get("count", 1))]
                return {"record": records[-1]}
            case "hold":
                controller.hold(said)
            case "release":
                releasing = controller.release(int(said["rate"]))
                controller.releasing = asyncio.ensure_future(releasing)
            case "fail":
                faults.statuses[said["call"]] = (int(said["status"]), int(said.get("times", 1)))
            case "cut":
                faults.cut_at = int(said["after"])
            case "slow":
                faults.seconds = float(said["seconds"])
            case "silent":
                faults.silent = bool(said["is"])
                log.wake()
            case "empty":
                faults.empty = int(said["status"])
            case "clear":
                log.keep(0)
            case "roll":
                log.keep(int(said["keep"]))
            case "load":
                # Only here, for it needs the evtx package.
                import transcode

                log.replace(list(transcode.result_sets(said["file"], said.get("at"))))
            case "reboot":
                controller.reboot()
            case "state":
                return {
                    "records": len(log.records),
                    "newest": log.next - 1,
                    "is_releasing": controller.releasing is not None and not controller.releasing.done(),
                    "handles": len(controller.handles),
                    "connections": len(controller.connections),
                    "calls": controller.calls,
                }
            case other:
                raise ValueError(f"nothing is called {other}")
        return {"newest": log.next - 1}


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.40.1", help="of the first controller")
    parser.add_argument("--controllers", type=int, default=1, help="how many, each at the next address")
    parser.add_argument("--mapper-port", type=int, default=135, help="of the endpoint mapper; 0: any")
    parser.add_argument("--port", type=int, default=0, help="of the event log; 0: any")
    parser.add_argument("--control", required=True, help="path of the control socket")
    parser.add_argument("--users", required=True, help="who may log on: DOMAIN:user:password a line")
    arguments = parser.parse_args()
    os.environ["NTLM_USER_FILE"] = arguments.users
    accept_as_received()
    controllers, ports = {}, {}
    for at in range(arguments.controllers):
        address = str(ipaddress.ip_address(arguments.address) + at)
        controller = Controller(address, f"dc{at + 1}.corp.example.com")
        even6 = Even6(controller, arguments.port)
        await listen(controller, even6, address)
        mapper = Mapper(address, arguments.mapper_port, even6, controller.faults)
        await listen(controller, mapper, address)
        controllers[address] = controller
        ports[address] = {"mapper": mapper.port, "even6": even6.port}
    if os.path.exists(arguments.control):
        os.unlink(arguments.control)
    await asyncio.start_unix_server(Control(controllers).serve, arguments.control)
    # Whoever started this waits for the line.
    print(json.dumps({"ready": ports}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(0)
