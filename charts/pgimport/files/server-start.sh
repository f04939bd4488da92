#!/bin/sh
# An empty or a used data folder goes in; a PostgreSQL with an admin who is no superuser comes out.
# Everything here may be repeated. The admin's password never stands in an argument, a variable or SQL.
set -eu

# The first process of a container is not ended by a signal that it does not ask for.
trap 'exit 143' TERM INT

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # Under another name first: a start that was interrupted leaves nothing that looks finished.
    rm -rf "$PGDATA" "$PGDATA.new"
    initdb --pgdata="$PGDATA.new" --username=postgres --auth-local=peer --auth-host=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8 --data-checksums
    mv "$PGDATA.new" "$PGDATA"
fi
# The volume's group rights reach into the folder, and the server refuses a folder that others may read.
chmod 0700 "$PGDATA"

set -- -c hba_file=/etc/pgimport/pg_hba.conf -c unix_socket_directories=/run/postgresql

# Nobody else can connect before the admin has its password.
pg_ctl start --pgdata="$PGDATA" --wait --silent --options="$* -c listen_addresses=''"
psql --no-psqlrc --quiet --username=postgres --dbname=postgres --set=ON_ERROR_STOP=1 --file=/etc/pgimport/admin.sql
# Asked for twice, and sent as a SCRAM verifier. An empty one would leave the admin without any.
test -s /etc/pgimport-admin/password
{
    cat /etc/pgimport-admin/password && echo
    cat /etc/pgimport-admin/password && echo
} | psql --no-psqlrc --quiet --username=postgres --dbname=postgres --command='\password pgimport_admin'
pg_ctl stop --pgdata="$PGDATA" --wait --silent --mode=fast

# Kubernetes says SIGTERM, with which PostgreSQL waits for its clients to leave; SIGINT ends their sessions.
postgres -D "$PGDATA" "$@" -c "listen_addresses=*" &
server=$!
trap 'kill -INT "$server"' TERM INT
status=0
wait "$server" || status=$?
# A trap ends the wait before the server has ended.
while kill -0 "$server" 2>/dev/null; do
    status=0
    wait "$server" || status=$?
done
exit "$status"
