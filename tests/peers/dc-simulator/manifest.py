"""What the events of the security log say, as the provider's manifest orders it, when nobody says
otherwise: alice logs on at a computer of the domain CORP."""

from binxml import GUID, HEX32, HEX64, SID, STRING, UINT32

SUCCESS, FAILURE = 0x8020_0000_0000_0000, 0x8010_0000_0000_0000
NO_GUID = "00000000-0000-0000-0000-000000000000"
DOMAIN_SID = "S-1-5-21-2871512113-613133000-3782238197"

_TARGET = [("TargetUserSid", SID, "{sid}"), ("TargetUserName", STRING, "{user}"),
           ("TargetDomainName", STRING, "{domain}"), ("TargetLogonId", HEX64, "{logon}")]
_SERVICE = [("ServiceName", STRING, "{service}"), ("ServiceSid", SID, DOMAIN_SID + "-1000")]
_CLIENT = [("IpAddress", STRING, "::ffff:{ip}"), ("IpPort", STRING, "49732")]
_HOLDER = [("TargetUserName", STRING, "{user}@{realm}"), ("TargetDomainName", STRING, "{realm}")]
_OPTIONS = [("TicketOptions", HEX32, "0x40810000"), ("TicketEncryptionType", HEX32, "0x12")]

FIELDS = {
    4624: [("SubjectUserSid", SID, "S-1-0-0"), ("SubjectUserName", STRING, "-"),
           ("SubjectDomainName", STRING, "-"), ("SubjectLogonId", HEX64, "0x0")] + _TARGET
          + [("LogonType", UINT32, "3"), ("LogonProcessName", STRING, "Kerberos"),
             ("AuthenticationPackageName", STRING, "Kerberos"), ("WorkstationName", STRING, "-"),
             ("LogonGuid", GUID, NO_GUID), ("TransmittedServices", STRING, "-"),
             ("LmPackageName", STRING, "-"), ("KeyLength", UINT32, "0"),
             ("ProcessId", HEX64, "0x0"), ("ProcessName", STRING, "-"),
             ("IpAddress", STRING, "{ip}"), ("IpPort", STRING, "49732")],
    4625: [("TargetUserSid", SID, "S-1-0-0"), ("TargetUserName", STRING, "{user}"),
           ("TargetDomainName", STRING, "{domain}"), ("Status", HEX32, "0xc000006d"),
           ("SubStatus", HEX32, "0xc000006a"), ("LogonType", UINT32, "3"),
           ("WorkstationName", STRING, "-"), ("IpAddress", STRING, "{ip}"),
           ("IpPort", STRING, "49732")],
    4634: _TARGET + [("LogonType", UINT32, "3")],
    4647: _TARGET,
    4768: [("TargetUserName", STRING, "{user}"), ("TargetDomainName", STRING, "{domain}"),
           ("TargetSid", SID, "{sid}"), ("ServiceName", STRING, "krbtgt"),
           ("ServiceSid", SID, DOMAIN_SID + "-502"), ("TicketOptions", HEX32, "0x40810010"),
           ("Status", HEX32, "0x0"), ("TicketEncryptionType", HEX32, "0x12"),
           ("PreAuthType", STRING, "2")] + _CLIENT,
    4769: _HOLDER + _SERVICE + _OPTIONS + _CLIENT
          + [("Status", HEX32, "0x0"), ("LogonGuid", GUID, NO_GUID),
             ("TransmittedServices", STRING, "-")],
    4770: _HOLDER + _SERVICE + _OPTIONS + _CLIENT,
    4771: [("TargetUserName", STRING, "{user}"), ("TargetSid", SID, "{sid}"),
           ("ServiceName", STRING, "krbtgt/{realm}"), ("TicketOptions", HEX32, "0x40810010"),
           ("Status", HEX32, "0x18"), ("PreAuthType", STRING, "2")] + _CLIENT,
    4776: [("PackageName", STRING, "MICROSOFT_AUTHENTICATION_PACKAGE_V1_0"),
           ("TargetUserName", STRING, "{user}"), ("Workstation", STRING, "{host}"),
           ("Status", HEX32, "0x0")],
    4778: [("AccountName", STRING, "{user}"), ("AccountDomain", STRING, "{domain}"),
           ("LogonID", HEX64, "{logon}"), ("SessionName", STRING, "RDP-Tcp#5"),
           ("ClientName", STRING, "{host}"), ("ClientAddress", STRING, "{ip}")],
    4608: [],
    4612: [("AuditsDiscarded", UINT32, "7")],
    4719: [("SubjectUserSid", SID, "S-1-5-18"), ("SubjectUserName", STRING, "DC1$"),
           ("SubjectDomainName", STRING, "{domain}"), ("SubjectLogonId", HEX64, "0x3e7"),
           ("CategoryId", STRING, "%%8273"), ("SubcategoryId", STRING, "%%12544"),
           ("SubcategoryGuid", GUID, "0cce9215-69ae-11d9-bed3-505054503030"),
           ("AuditPolicyChanges", STRING, "%%8448")],
    1101: [],
    1102: [],
}
FIELDS[4779] = FIELDS[4778]

FAILED = {4625, 4771}

AUDITING = ("Microsoft-Windows-Security-Auditing", "{54849625-5478-4994-A5BA-3E3B0328C30D}")
EVENT_LOG = ("Microsoft-Windows-Eventlog", "{FC65DDD8-D6EF-4962-83D5-6E5CFE9CE148}")


def provider(number):
    """Who writes the event `number`: its name and identifier."""
    return EVENT_LOG if number in (1101, 1102) else AUDITING


def fields(number, said):
    """The fields of the event `number`: `said` may have user, domain, realm, sid, ip, host, service,
    logon, and under `fields` any field of the manifest as it shall be."""
    user = said.get("user", "alice")
    domain = said.get("domain", "CORP")
    words = {
        "user": user,
        "domain": domain,
        "realm": said.get("realm", domain + ".EXAMPLE.COM"),
        "sid": said.get("sid", f"{DOMAIN_SID}-{rid(user)}"),
        "ip": said.get("ip", "10.0.0.7"),
        "host": said.get("host", "PC1"),
        "service": said.get("service", "DC1$"),
        "logon": said.get("logon", "0x738ae4"),
    }
    otherwise = said.get("fields", {})
    strange = set(otherwise) - {called for called, _, _ in FIELDS[number]}
    if strange:
        raise ValueError(f"event {number} has no {', '.join(sorted(strange))}")
    return [(called, kind, otherwise.get(called, usual.format(**words)))
            for called, kind, usual in FIELDS[number]]


def rid(user):
    """A relative identifier that is always the same for a user, whatever the case of the name."""
    return 1100 + sum(ord(letter) * 31**at for at, letter in enumerate(user.lower())) % 900_000
