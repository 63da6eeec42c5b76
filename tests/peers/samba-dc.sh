#!/usr/bin/env bash
# A Samba domain controller as a disposable peer: samba-dc.sh make|join|unpack|free|run|await.
#
# `make` provisions a domain and fills it, once, into an archive (CACHE); `unpack` lays a copy of it
# into FOLDER; `join` makes FOLDER another controller of the domain of a running one (PRIMARY).
# `free` fails when another process has the address; `run` becomes the controller; `await` returns
# when that process (STARTED) answers. Each controller has its own folder and its own loopback
# address. Needs root and Debian's samba packages.
set -euo pipefail
: "${FOLDER:?the folder of the controller}" "${CACHE:=$FOLDER.tar}"
: "${ADDRESS:=127.0.10.10}" "${REALM:=CORP.EXAMPLE.COM}" "${NETBIOS:=CORP}" "${HOST:=dc1}"
: "${PRIMARY:=}" # the address of the controller whose domain is joined
: "${LOAD:=}" # empty, or what samba-load.py shall fill the domain with: USERS GROUPS COMPUTERS BIG
here=$(cd "$(dirname "$0")" && pwd)
dns=${REALM,,}
base="DC=${dns//./,DC=}"
configuration=$FOLDER/etc/smb.conf

provision() {
    samba-tool domain provision --quiet --targetdir="$FOLDER" --realm="$REALM" \
        --domain="$NETBIOS" --adminpass=Passw0rd.Admin1 --server-role=dc \
        --dns-backend=SAMBA_INTERNAL --host-name="$HOST" --host-ip="$ADDRESS" \
        --option="interfaces=$ADDRESS/8" --option="bind interfaces only=yes" \
        --option="vfs objects=dfs_samba4 acl_xattr xattr_tdb" \
        --option="posix:eadb=$FOLDER/private/eadb.tdb" >"$FOLDER.log" 2>&1
    authority
    write_configuration
    # Without the ldap/ service names, the KDC gives no ticket for LDAP.
    samba_spnupdate -s "$configuration" >>"$FOLDER.log" 2>&1
    samba-tool domain passwordsettings set -H "$FOLDER/private/sam.ldb" --complexity=off \
        --min-pwd-length=4 --history-length=0 --min-pwd-age=0 --max-pwd-age=0 \
        >>"$FOLDER.log" 2>&1
    # shellcheck disable=SC2086 # LOAD is four words.
    /usr/bin/python3 "$here/samba-load.py" "$configuration" "$FOLDER/private/sam.ldb" "$base" $LOAD \
        >>"$FOLDER.log" 2>&1
}

# A second controller of a domain, with a copy of all of it.
become_second() {
    printf '[libdefaults]\n default_realm = %s\n dns_lookup_kdc = false\n rdns = false\n[realms]\n %s = {\n  kdc = %s:88\n }\n' \
        "$REALM" "$REALM" "$PRIMARY" >"$FOLDER.krb5"
    KRB5_CONFIG=$FOLDER.krb5 samba-tool domain join "$dns" DC --targetdir="$FOLDER" \
        --server="$PRIMARY" -U "$NETBIOS\\administrator%Passw0rd.Admin1" \
        --dns-backend=SAMBA_INTERNAL --option="netbios name=${HOST^^}" \
        --option="interfaces=$ADDRESS/8" --option="bind interfaces only=yes" \
        --option="vfs objects=dfs_samba4 acl_xattr xattr_tdb" \
        --option="posix:eadb=$FOLDER/private/eadb.tdb" >"$FOLDER.log" 2>&1
    authority
    write_configuration
}

# An authority of its own, and the certificate of the controller.
authority() {
    mkdir -p "$FOLDER/tls"
    (
        cd "$FOLDER/tls"
        openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -keyout ca.key -out ca.pem \
            -subj "/O=Example/CN=Example Root" \
            -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
        openssl req -newkey rsa:2048 -nodes -keyout dc.key -out dc.csr -subj "/CN=$HOST.$dns"
        printf 'subjectAltName=DNS:%s.%s,DNS:%s,IP:%s\nextendedKeyUsage=serverAuth\n' \
            "$HOST" "$dns" "$dns" "$ADDRESS" >dc.ext
        openssl x509 -req -in dc.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 825 \
            -extfile dc.ext -out dc.pem
        chmod 600 dc.key ca.key
    ) >>"$FOLDER.log" 2>&1
}

# Nothing is taken over from /etc/samba/smb.conf, which provisioning copies.
write_configuration() {
    mkdir -p "$FOLDER"/{etc,log,run,cache,state}
    # samba does not start when these are open to others, or smbd does not find winbindd.
    install -d -m 750 "$FOLDER/run/ntp"
    install -d -m 755 "$FOLDER/run/samba" "$FOLDER/run/samba/winbindd"
    cat >"$configuration" <<SMB
[global]
	netbios name = ${HOST^^}
	realm = $REALM
	workgroup = $NETBIOS
	server role = active directory domain controller
	server services = ldap, cldap, kdc, drepl, dns, rpc
	prefork children = 1
	interfaces = $ADDRESS/8
	bind interfaces only = yes
	disable netbios = yes
	private dir = $FOLDER/private
	state directory = $FOLDER/state
	cache directory = $FOLDER/cache
	lock directory = $FOLDER
	binddns dir = $FOLDER/bind-dns
	pid directory = $FOLDER/run
	ncalrpc dir = $FOLDER/run/ncalrpc
	winbindd socket directory = $FOLDER/run/samba/winbindd
	ntp signd socket directory = $FOLDER/run/ntp
	dns update command = /bin/true
	spn update command = /bin/true
	gpo update command = /bin/true
	tls keyfile = $FOLDER/tls/dc.key
	tls certfile = $FOLDER/tls/dc.pem
	tls cafile = $FOLDER/tls/ca.pem
	ldap server require strong auth = ${STRONG:-no}
	log level = 1
	logging = file
	log file = $FOLDER/log/samba.log
	max log size = 0
	posix:eadb = $FOLDER/private/eadb.tdb
SMB
    cat >"$FOLDER/krb5.conf" <<KRB
[libdefaults]
  default_realm = $REALM
  dns_lookup_kdc = false
  rdns = false
[realms]
  $REALM = {
    kdc = $ADDRESS:88
  }
KRB
}

answers() {
    LDAPTLS_REQCERT=never ldapsearch -o nettimeout=2 -x -H "$1://$ADDRESS" -s base -b "" -LLL \
        isSynchronized 2>/dev/null | grep -q 'isSynchronized: TRUE'
}

# Whether something accepts connections at this port of the address.
accepts() {
    : 2>/dev/null <"/dev/tcp/$ADDRESS/$1"
}

# What listens at the address, as ss names it.
listeners() {
    ss -Hltnp "src $ADDRESS or src 0.0.0.0 or src [::]" 2>/dev/null || true
}

# Refuses an address at which something answers already: it would be taken for this controller.
# A controller that was just killed closes its sockets a moment later.
check_free() {
    local port _
    for port in 53 88 389 636; do
        for _ in $(seq 50); do
            accepts "$port" || continue 2
            sleep 0.1
        done
        echo "another process listens at $ADDRESS port $port, where this controller must:" >&2
        listeners >&2
        exit 1
    done
}

# Becomes the controller. All its processes are in a table of their own, whose first process is
# samba; when that or this one is killed, the kernel kills the others, daemons too.
run() {
    write_configuration
    export KRB5_CONFIG=$FOLDER/krb5.conf
    local own=(unshare --pid --fork --kill-child)
    "${own[@]}" true 2>/dev/null || own=()
    exec "${own[@]}" samba -s "$configuration" -F
}

# Returns when LDAP, LDAPS, Kerberos and DNS answer and the process at the LDAP port is the one
# just started: it has the database of this folder open.
await() {
    local _
    for _ in $(seq 1 600); do
        kill -0 "$STARTED" 2>/dev/null || break
        if answers ldap && answers ldaps && accepts 88 && accepts 53; then
            is_ours && return
            echo "another process answers at $ADDRESS, and not this controller:" >&2
            listeners >&2
            exit 1
        fi
        sleep 0.1
    done
    echo "the controller has ended or does not answer:" >&2
    tail -n 20 "$FOLDER/log/samba.log" >&2
    exit 1
}

is_ours() {
    local pid
    for pid in $(ss -Hltnp "src $ADDRESS and sport = 389" | grep -o 'pid=[0-9]*'); do
        find "/proc/${pid#pid=}/fd" -lname "$FOLDER/*" -print -quit 2>/dev/null | grep -q . && return
    done
    return 1
}

case ${1:-} in
make)
    [[ -e $CACHE ]] && exit 0
    rm -rf "$FOLDER"
    mkdir -p "$FOLDER"
    provision || { cat "$FOLDER.log" >&2; exit 1; }
    # Sparse: a database of half a gigabyte is mostly nothing.
    tar -C "$FOLDER" -S --use-compress-program='gzip -1' -cf "$CACHE.part" .
    mv "$CACHE.part" "$CACHE"
    rm -rf "$FOLDER"
    ;;
join)
    rm -rf "$FOLDER"
    mkdir -p "$FOLDER/private"
    become_second || { cat "$FOLDER.log" >&2; exit 1; }
    ;;
unpack)
    rm -rf "$FOLDER"
    mkdir -p "$FOLDER"
    tar -C "$FOLDER" -S --use-compress-program=gzip -xf "$CACHE"
    ;;
free) check_free ;;
run) run ;;
await) await ;;
*)
    sed -n 2,8p "$0"
    exit 2
    ;;
esac
