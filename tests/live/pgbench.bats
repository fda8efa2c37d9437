#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pgbench and PostgreSQL: stacks through libpq and libc, also while others' uretprobes have changed the return addresses on them.
load common
load unwind

# A cluster of this file's own, for its life
setup_file() {
	local dir bin
	[ "$(id -u)" = 0 ] || return 0
	bin=$(find /usr/lib/postgresql/*/bin -maxdepth 0 | sort -V | tail -n 1)
	dir=$(mktemp -d /tmp/sonde-pg.XXXXXX)
	chown postgres: "$dir"
	export PG_BIN=$bin PG_DIR=$dir
	as_postgres initdb -D "$dir/data" -A trust -N --no-instructions >"$dir/log"
	as_postgres pg_ctl -D "$dir/data" -l "$dir/server.log" -w start -o "-c listen_addresses= -k $dir -c fsync=off -c shared_buffers=32MB" >>"$dir/log" 3>&-
	as_postgres pgbench -h "$dir" -i -q -s 1 postgres >>"$dir/log" 2>&1
}

teardown_file() {
	[ -n "${PG_DIR:-}" ] || return 0
	as_postgres pg_ctl -D "$PG_DIR/data" -m immediate -w stop >/dev/null || true
	rm -rf "$PG_DIR"
}

as_postgres() {
	(cd "$PG_DIR" && setpriv --reuid postgres --regid postgres --clear-groups "$PG_BIN/$1" "${@:2}")
}

# Sets $pids: pgbench and the processes that serve it
start_pgbench() {
	start setpriv --reuid postgres --regid postgres --clear-groups "$PG_BIN/pgbench" -h "$PG_DIR" -n -S -c 4 -j 2 -T 600 postgres
	pgbench=$pid
	wait_until 30 has_run "$pgbench" 5
}

servers() {
	pgrep -P "$(head -n 1 "$PG_DIR/data/postmaster.pid")" -f 'postgres: postgres'
}

has_uretprobes() {
	grep -q '\[uprobes\]' "/proc/$1/maps"
}

# bats test_tags=host
@test "pgbench: every stack of it and of its servers is whole, every caller a call" {
	start_pgbench
	mapfile -t pids < <(echo "$pgbench"; servers)
	[ "${#pids[@]}" = 5 ]
	watch 60 profile -F 997
	nothing_lost
	callers_called --min 1500
}

# bats test_tags=host
@test "pgbench: of its stacks 99 % are whole while uretprobes sit in libpq" {
	local library
	library=$(ldconfig -p | sed -n 's/.*libpq\.so\.5 .*=> //p' | head -n 1)
	start_pgbench
	start bpftrace -e "uretprobe:$library:PQsendQuery, uretprobe:$library:PQgetResult, uretprobe:$library:PQconsumeInput { @n = count(); }"
	wait_until 60 has_uretprobes "$pgbench"
	pids=("$pgbench")
	watch 150 profile -F 997
	has_uretprobes "$pgbench"
	nothing_lost
	callers_called --min 1000 --complete 99
}
