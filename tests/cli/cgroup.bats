#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats and lib.bash set the variables that seem unset
# Which cgroup a path, a container's id or Kubernetes' names mean.
load common
load ../lib

setup() {
	need_root
	lib__setup
	id=$(od -An -N31 -tx1 /dev/urandom | tr -d ' \n')
}

teardown() {
	lib__cleanup
}

# means CGROUP OPTION VALUE: a dry run has this cgroup below the test's own as its target
means() {
	local expected=$1
	shift
	run -0 --separate-stderr "$SONDE" wall --dry-run "$@"
	[[ $output$stderr == *"cgroup /$test_tag$expected"[[:space:],]* ]] || fail "$output$stderr"
}

@test "cgroup: names that begin with a dot are meant from the working directory" {
	make_cgroup outer/inner
	cd "${cgroup%/inner}"
	means /outer -G .
	means "" -G ..
	means /outer/inner -G ./inner
	means /outer -G ../outer
	means /outer/inner -G "$test_tag/outer/inner"
}

@test "cgroup: a container's id may be cut while it fits one directory" {
	make_cgroup "docker-${id}aa.scope"
	make_cgroup "docker-${id}bb.scope"
	make_cgroup "libpod-conmon-${id}aa.scope"
	make_cgroup "x-unit$$"
	make_cgroup "machine-guest$$.scope"
	means "/docker-${id}aa.scope" --container "${id}aa"
	means "/docker-${id}bb.scope" --container "${id}b"
	means "/machine-guest$$.scope" --container "guest$$"
	run -2 --separate-stderr "$SONDE" wall --dry-run --container "$id"
	[[ $stderr == *"$id is ambiguous: "*"$id"??.scope" and "*"$id"??.scope* ]]
	run -4 --separate-stderr "$SONDE" wall --dry-run --container "unit$$"
	[[ $stderr == "sonde: no container unit$$: "* ]]
}

@test "cgroup: logs of containers that have ended are passed over" {
	local gone
	make_cgroup "pod/${id}aa"
	# shellcheck disable=SC2016 # for the inner shell
	in_namespace='mount -t tmpfs none /var/log && mkdir /var/log/containers && cd /var/log/containers && touch $1 && shift && exec "$@"'
	for gone in 1 2 3 4 5 6 7 8; do
		logs+=" web_shop_init-$gone${id}a.log web_shop_nginx-$gone${id}b.log"
	done
	logs+=" web_shop_nginx-${id}aa.log"
	run -0 unshare -m bash -c "$in_namespace" logs "$logs" "$SONDE" wall --dry-run --pod shop/web
	[[ $output == *"cgroup /$test_tag/pod"[[:space:],]* ]]
	run -0 unshare -m bash -c "$in_namespace" logs "$logs" "$SONDE" wall --dry-run --container nginx
	[[ $output == *"cgroup /$test_tag/pod/${id}aa"[[:space:],]* ]]
	run -4 unshare -m bash -c "$in_namespace" logs "$logs" "$SONDE" wall --dry-run --container init
}
