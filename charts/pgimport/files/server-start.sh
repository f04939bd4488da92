#!/bin/sh
# Initialises the data folder if it is empty, sets the password of the admin, and starts PostgreSQL.
# Everything here may be repeated. The admin's password is never in an argument, a variable or SQL.
set -eu

# The first process of a container ignores signals without a handler.
trap 'exit 143' TERM INT

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # initdb uses another name first, so that an interrupted start leaves no folder that looks complete.
    rm -rf "$PGDATA" "$PGDATA.new"
    initdb --pgdata="$PGDATA.new" --username=postgres --auth-local=peer --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --data-checksums
    mv "$PGDATA.new" "$PGDATA"
fi
# An upgrade of the chart may bring an image with another major version.
major=$(cat "$PGDATA/PG_VERSION")
program=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
if [ "$program" != "$major" ]; then
    echo "The data is of PostgreSQL $major, and the image has PostgreSQL $program." >&2
    echo "Set embeddedServer.image to an image with PostgreSQL $major, such as postgres:$major-trixie." >&2
    exit 1
fi
# fsGroup gives the group rights to the folder, and PostgreSQL refuses a folder that others may read.
chmod 0700 "$PGDATA"

set -- -c hba_file=/etc/pgimport/pg_hba.conf -c unix_socket_directories=/run/postgresql
# Tenants cannot take the last connections from the operator. PostgreSQL 15 has no such setting.
if [ "$major" -ge 16 ]; then
    set -- "$@" -c reserved_connections=10
fi
# CREATE DATABASE … STRATEGY FILE_COPY then lets the file system clone the files. If it cannot, PostgreSQL copies them.
# The operator also sets it for each copy, so servers without this setting clone, too.
if [ "$major" -ge 18 ]; then
    set -- "$@" -c file_copy_method=clone
fi

# Without listen_addresses, nobody can connect from outside before the admin has its password.
pg_ctl start --pgdata="$PGDATA" --wait --silent --options="$* -c listen_addresses=''"
psql --no-psqlrc --quiet --username=postgres --dbname=postgres --set=ON_ERROR_STOP=1 --file=/etc/pgimport/admin.sql
# \password asks twice and sends a SCRAM verifier. With an empty password, the admin could not log in.
test -s /etc/pgimport-admin/password
{
    cat /etc/pgimport-admin/password && echo
    cat /etc/pgimport-admin/password && echo
} | psql --no-psqlrc --quiet --username=postgres --dbname=postgres --command='\password pgimport_admin'
pg_ctl stop --pgdata="$PGDATA" --wait --silent --mode=fast

# Kubernetes sends SIGTERM, which lets PostgreSQL wait for its clients. SIGINT ends their sessions.
postgres -D "$PGDATA" "$@" -c "listen_addresses=*" &
server=$!
trap 'kill -INT "$server"' TERM INT
status=0
wait "$server" || status=$?
# A trap ends `wait` while the server is still running.
while kill -0 "$server" 2>/dev/null; do
    status=0
    wait "$server" || status=$?
done
exit "$status"
