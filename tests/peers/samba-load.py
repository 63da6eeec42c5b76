#!/usr/bin/python3
"""Fills a Samba domain that is not running: samba-load.py SMB.CONF SAM.LDB BASE [USERS GROUPS COMPUTERS BIG]

Besides the mass (USERS in 20 departments, GROUPS nested six deep with a cycle at their end,
COMPUTERS, and one group of BIG members) come the accounts of the stories: an unprivileged reader,
one that is disabled, one whose password must be changed, one that has expired, and people whose
names are hard to write.
"""
import sys

import ldb  # Debian keeps it and samba for its own Python
from samba import param
from samba.auth import system_session
from samba.samdb import SamDB

smb, path, base = sys.argv[1:4]
users, groups, computers, big = map(int, sys.argv[4:8]) if len(sys.argv) > 7 else (0, 0, 0, 0)
domain = ".".join(part[3:] for part in base.split(",")).lower()

configuration = param.LoadParm()
configuration.load(smb)
configuration.set("log level", "0")
# Without batch_mode, each commit costs as much as what was loaded before it.
samdb = SamDB(url=path, session_info=system_session(), lp=configuration, options=["batch_mode:1"])

NORMAL, DISABLED, NO_PASSWORD, WORKSTATION = 0x200, 0x2, 0x20, 0x1000
GLOBAL_SECURITY = "-2147483646"
PASSWORD = "Passw0rd.Reader1"

# Relative names with every letter that distinguished names, filters and old code pages escape.
HARD = [
    "Müller, Jürgen \"Jürgi\"",
    "O'Brien (contractor) * \\ 50%",
    "Ελένη Παπαδοπούλου",
    "山田 太郎",
    "+plus=equals;semicolon<angle>",
    "#hash at the beginning",
    "x" * 64,
]


def dn(name, container):
    """A child of `container`, whatever its name holds."""
    result = ldb.Dn(samdb, container)
    result.add_child(ldb.Dn(samdb, "CN=x"))
    result.set_component(0, "CN", name)
    return result


def add(where, attributes):
    samdb.add({"dn": where, **attributes})


def user(name, container, account, control=NORMAL | NO_PASSWORD, more=None):
    add(dn(name, container), {
        "objectClass": "user", "sAMAccountName": account, "userPrincipalName": f"{account}@{domain}",
        "displayName": name, "mail": f"{account}@{domain}", "userAccountControl": str(control),
        **(more or {}),
    })


def with_password(account, container, more=None):
    where = dn(account, container)
    add(where, {"objectClass": "user", "sAMAccountName": account,
                "userPrincipalName": f"{account}@{domain}"})
    samdb.setpassword(f"(sAMAccountName={account})", PASSWORD, False)
    samdb.modify(ldb.Message.from_dict(samdb, {
        "dn": where, "userAccountControl": str(NORMAL), **(more or {})}, ldb.FLAG_MOD_REPLACE))


def unit(name):
    add(ldb.Dn(samdb, f"OU={name},{base}"), {"objectClass": "organizationalUnit"})


samdb.transaction_start()
for name in ["Staff", "Groups", "Service", "PCs"]:
    unit(name)
service, staff = f"OU=Service,{base}", f"OU=Staff,{base}"
with_password("rollcall", service)
with_password("blocked", service, {"userAccountControl": str(NORMAL | DISABLED)})
with_password("stale", service, {"pwdLastSet": "0"})
with_password("ended", service, {"accountExpires": "132223104000000000"})
for number, name in enumerate(HARD):
    user(name, staff, f"hard{number}")
for account in ["alice", "bob", "carol"]:
    user(account.title(), staff, account)
samdb.transaction_commit()

samdb.transaction_start()
for number in range(20 if users else 0):
    unit(f"Dept{number:02}")
people = []
for number in range(users):
    name, container = f"user{number:05}", f"OU=Dept{number % 20:02},{base}"
    user(f"User {number:05}", container, name)
    people.append(f"CN=User {number:05},{container}")
for number in range(computers):
    name = f"pc{number:04}"
    add(ldb.Dn(samdb, f"CN={name},OU=PCs,{base}"), {
        "objectClass": "computer", "sAMAccountName": f"{name}$", "dNSHostName": f"{name}.{domain}",
        "operatingSystem": "Windows 11 Enterprise", "userAccountControl": str(WORKSTATION),
    })
samdb.transaction_commit()

samdb.transaction_start()
groups_unit = f"OU=Groups,{base}"
named = [f"CN=group{number:03},{groups_unit}" for number in range(groups)]
for number in range(groups):
    # Twenty people each; every group but the first of six is in the one before it.
    members = people[number * 20 % max(users, 1):][:20]
    add(ldb.Dn(samdb, named[number]), {
        "objectClass": "group", "sAMAccountName": f"group{number:03}",
        "groupType": GLOBAL_SECURITY, "member": members or []} if members else {
        "objectClass": "group", "sAMAccountName": f"group{number:03}", "groupType": GLOBAL_SECURITY})
for number in range(groups):
    if number % 6:
        samdb.modify_ldif(f"dn: {named[number - 1]}\nchangetype: modify\nadd: member\n"
                          f"member: {named[number]}\n")
if groups > 5:
    # The cycle: the deepest holds the outermost.
    samdb.modify_ldif(f"dn: {named[5]}\nchangetype: modify\nadd: member\nmember: {named[0]}\n")
everyone = {"objectClass": "group", "sAMAccountName": "everyone-here", "groupType": GLOBAL_SECURITY}
add(ldb.Dn(samdb, f"CN=everyone-here,{groups_unit}"),
    {**everyone, "member": people[:big]} if people[:big] else everyone)
samdb.transaction_commit()
