#!/bin/sh
# The image's index and the password's file go in; a server with the filled database `debian` comes out.
# All that is written lies in the volumes of the pod: PGDATA, the socket's folder and /tmp.
set -eu

: "${PGDATA:?names the folder of the database}"
: "${PASSWORD_FILE:?names the file that holds the password of the user debian}"

sql() {
    psql --no-psqlrc --quiet --tuples-only --output /dev/null --set ON_ERROR_STOP=1 "$@"
}

# Twice, as \password asks for it; what it sends is the SCRAM verifier. printf is the shell's own: no arguments
# of a process hold the password.
password() {
    printf '%s\n' "$(cat "$PASSWORD_FILE")" "$(cat "$PASSWORD_FILE")"
}

fill() {
    echo "making the database"
    rm -rf "$PGDATA"
    initdb --pgdata "$PGDATA" --username postgres --auth peer --encoding UTF8 --locale C.UTF-8 --no-sync > /dev/null
    cp /srv/demo/pg_hba.conf "$PGDATA/pg_hba.conf"
    openssl req -x509 -newkey rsa:2048 -noenc -days 365 -subj /CN=source \
        -keyout "$PGDATA/server.key" -out "$PGDATA/server.crt" 2> /dev/null
    chmod 0600 "$PGDATA/server.key"
    # Nothing is lost by a crash in here: the next start begins anew.
    pg_ctl --pgdata "$PGDATA" --silent --wait --options "-c listen_addresses='' -c ssl=on -c fsync=off -c wal_level=minimal \
        -c max_wal_senders=0 -c max_wal_size=4GB -c autovacuum=off -c log_checkpoints=off" start
    sql --command 'CREATE ROLE debian LOGIN' --command 'CREATE DATABASE debian OWNER debian' \
        --command 'REVOKE CONNECT, TEMPORARY ON DATABASE debian FROM PUBLIC'
    password | sql --command '\password debian'
    echo "filling it"
    # One transaction a file: rows of tables that it made itself need no log.
    sql --dbname debian --single-transaction --command 'SET ROLE debian' \
        --file /srv/demo/schema.sql --file /srv/demo/load.sql
    sql --dbname debian --command 'SET ROLE debian' --file /srv/demo/keys.sql
    sql --dbname debian --command 'VACUUM (ANALYZE)'
    pg_ctl --pgdata "$PGDATA" --silent --wait --mode fast stop
    touch "$PGDATA/filled"
}

# A container that starts again in the same pod finds what it made.
[ -e "$PGDATA/filled" ] || fill
echo "ready to serve"
exec postgres -D "$PGDATA" -c listen_addresses='*' -c ssl=on -c log_checkpoints=off
