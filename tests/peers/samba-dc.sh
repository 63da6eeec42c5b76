#!/usr/bin/env bash
# A Samba domain controller as a disposable peer: samba-dc.sh
# make|join|unpack|start|stop|wipe.
#
# `make` provisions a domain of its own and fills it, once, into a tarball (CACHE); `join` makes another
# controller of the domain of a running one (PRIMARY); `unpack` lays a copy of it into FOLDER; `start` returns when LDAP, LDAPS, Kerberos and DNS answer. Each controller
# has its own folder and its own address of loopback. Needs root and Debian's samba packages.
set -euo pipefail
: "${FOLDER:?where the controller lives}" "${CACHE:=$FOLDER.tar}"
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

start() {
    if [[ -s $FOLDER/run/samba.pid ]] && kill -0 "$(cat "$FOLDER/run/samba.pid")" 2>/dev/null; then
        return
    fi
    write_configuration
    KRB5_CONFIG=$FOLDER/krb5.conf samba -s "$configuration" -D
    local _
    for _ in $(seq 1 600); do
        if answers ldap && answers ldaps && : 2>/dev/null <"/dev/tcp/$ADDRESS/88" &&
            : 2>/dev/null <"/dev/tcp/$ADDRESS/53"; then
            return
        fi
        sleep 0.1
    done
    echo "the controller does not answer:" >&2
    tail -n 20 "$FOLDER/log/samba.log" >&2
    exit 1
}

# The whole session of the controller, by its own pid file.
stop() {
    [[ -s $FOLDER/run/samba.pid ]] || return 0
    local pid _
    pid=$(cat "$FOLDER/run/samba.pid")
    kill -TERM -- "-$pid" 2>/dev/null || kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 1 200); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    rm -f "$FOLDER/run/samba.pid"
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
start) start ;;
stop) stop ;;
wipe)
    stop
    rm -rf "$FOLDER"
    ;;
*)
    sed -n 2,7p "$0"
    exit 2
    ;;
esac
