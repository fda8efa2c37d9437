#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # bats and lib.bash set the variables that seem unset
# sonde check: its verdicts agree with what other tools find, its exit codes with its verdicts.
load common
load ../lib

setup() {
	lib__setup
}

teardown() {
	lib__cleanup
}

# Nobody in particular, without any capability.
unprivileged() {
	setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --ambient-caps=-all "$@"
}

# agrees FEATURE COMMAND...: possible exactly if the command succeeds
agrees() {
	local feature=$1 expected=3
	shift
	! "$@" >"$tmp/other" 2>&1 || expected=0
	run "-$expected" --separate-stderr "$SONDE" check "$feature"
	[[ $output == *"$feature"*"$([ $expected = 0 ] && echo ok || echo no)"* ]]
}

# all_features FILE: the report has them; a loop over none would pass in silence
all_features() {
	[ "$(jq '.features | length' "$1")" -gt 20 ]
}

# bpftrace attaches it and sees it run, in the sleep of its own shell command
bpftrace_sees() {
	timeout 60 bpftrace -c '/bin/sleep 0.01' -e "$1:hrtimer_nanosleep { @seen = 1 }" | grep -q '@seen: 1'
}

bpftool_has() {
	bpftool -j feature probe kernel | jq -e "$1"
}

perf_counts() {
	perf stat -x, -e "$1" -- /bin/true 2>&1 | grep -q '^[0-9.]*,'
}

@test "check: a feature is possible if others can use it, too" {
	need_root
	agrees kprobe bpftrace_sees kprobe
	# one way only: bpftrace 0.17 fails on some kernels that have it
	! bpftrace_sees kfunc || "$SONDE" check fentry
	agrees task_storage bpftool_has .map_types.have_task_storage_map_type
	agrees ringbuf bpftool_has .map_types.have_ringbuf_map_type
	if ! grep -qs '\[confidentiality\]' /sys/kernel/security/lockdown; then
		agrees bpf_loop bpftool_has '.helpers.raw_tracepoint_available_helpers | index("bpf_loop")'
		agrees for_each_map_elem bpftool_has '.helpers.raw_tracepoint_available_helpers | index("bpf_for_each_map_elem")'
	fi
	agrees btf test -r /sys/kernel/btf/vmlinux
	agrees kallsyms grep -qv '^0* ' /proc/kallsyms
	agrees cgroup_v2 grep -q ' cgroup2 ' /proc/mounts
	if perf --version >/dev/null 2>&1; then
		agrees perf_cpu_clock perf_counts cpu-clock
		agrees perf_cycles perf_counts cycles
	fi
}

@test "check: every command works for root" {
	need_root
	for command in profile offcpu runq wall; do
		run -0 --separate-stderr "$SONDE" check $command
		same "$stderr" ""
		[[ $output =~ $command\ +ok ]]
	done
	run -0 --separate-stderr "$SONDE" check
	same "$stderr" ""
}

@test "check: named features alone are reported, and one impossible one is exit 3" {
	need_root
	"$SONDE" check --json >"$tmp/all"
	all_features "$tmp/all"
	while read -r name ok; do
		run "-$([ "$ok" = true ] && echo 0 || echo 3)" "$SONDE" check "$name" btf --json
		same "$(jq -c '[.features[].name]' <<<"$output")" "$([ "$name" = btf ] && echo '["btf"]' || echo "[\"btf\",\"$name\"]")"
	done < <(jq -r '.features[] | "\(.name) \(.ok)"' "$tmp/all")
}

@test "check: what is missing says why, and what is lost" {
	need_root
	"$SONDE" check --json >"$tmp/all"
	all_features "$tmp/all"
	jq -e 'all(.features[] | select(.ok | not); (.reason | length > 0) and (.lost | length > 0))' "$tmp/all"
	jq -e 'all(.features[] | select(.ok and .kind == "feature"); .instead == null and .lost == null)' "$tmp/all"
}

@test "check: JSON has the documented keys, and no others" {
	start /bin/sleep 60
	"$SONDE" check --json -p "$pid" >"$tmp/report" || [ $? = 3 ]
	all_features "$tmp/report"
	"$python" -m json.tool "$tmp/report" >/dev/null
	jq -r '[paths | map(if type == "number" then "[]" else . end) | join(".")] | unique[]' "$tmp/report" |
		grep -v '\[\]$' | sort -u >"$tmp/keys"
	[ -s "$tmp/keys" ]
	# shellcheck disable=SC2016 # quoted Markdown
	grep -oP '^\| `\K(kernel|privileges|features|process)[^`]*' "$BATS_TEST_DIRNAME/../../docs/check.md" |
		grep -v '\[\]$' | sort -u >"$tmp/documented"
	# keys of rows that are not there today are documented all the same
	same "$(comm -23 "$tmp/keys" "$tmp/documented")" ""
	same "$(comm -13 "$tmp/keys" "$tmp/documented" | grep -v '^privileges[.]missing[.]')" ""
}

@test "check: every feature is documented" {
	"$SONDE" check --json >"$tmp/all" || [ $? = 3 ]
	all_features "$tmp/all"
	for name in $(jq -r '.features[] | select(.kind == "feature").name' "$tmp/all"); do
		grep -q "^| \`$name\` " "$BATS_TEST_DIRNAME/../../docs/check.md" || fail "$name is not in docs/check.md"
	done
}

@test "check: an unknown feature is exit 2 and names the nearest" {
	refuses "sonde check: no feature kprob; did you mean kprobe?" check kprob
	refuses "sonde check: no feature xyzzy; \`sonde check\` lists them" check xyzzy
	refuses "sonde check: no feature proflie; did you mean profile?" check btf proflie
}

@test "check: without privileges the missing ones are named, exit 3" {
	need_root
	run -3 --separate-stderr unprivileged "$SONDE" check
	same "$stderr" ""
	[[ $output == *"missing CAP_BPF "* ]]
	[[ $output == *"missing CAP_PERFMON "* ]]
	[[ $output == *"missing CAP_SYS_PTRACE "* ]]
	[[ $output =~ profile\ +no ]]
	run -3 unprivileged "$SONDE" check profile
	[[ $output == *"missing: CAP_BPF, CAP_PERFMON"* ]]
	[[ $output != *CAP_SYS_PTRACE* ]]
	run -3 unprivileged "$SONDE" check bpf_stats
	[[ $output == *"missing: CAP_SYS_ADMIN"* ]]
	run -0 unprivileged "$SONDE" check btf
}

# with_capabilities LIST COMMAND...: nobody in particular with these, as +bpf,+perfmon
with_capabilities() {
	local list=-all,$1
	shift
	setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps="$list" --ambient-caps="$list" "$@"
}

@test "check: sampling needs two capabilities, and a third where the kernel is paranoid" {
	need_root
	local list=+bpf,+perfmon
	[ "$(cat /proc/sys/kernel/perf_event_paranoid)" -lt 3 ] || list+=,+sys_admin
	# maps of 5.10 are charged to the limit of locked memory
	ulimit -l unlimited 2>/dev/null || true
	run -0 with_capabilities $list "$SONDE" check profile
	run -3 with_capabilities +bpf "$SONDE" check profile
	[[ $output == *"missing: CAP_PERFMON"* || $output == *"missing: CAP_SYS_ADMIN"* ]]
}

@test "check: it says of a command what happens when it is run, whatever the privileges" {
	need_root
	local command list expected
	for list in +bpf,+perfmon +bpf,+perfmon,+sys_admin +bpf +perfmon; do
		for command in profile offcpu runq wall; do
			expected=0
			with_capabilities $list "$SONDE" $command -a -d 100ms -f table >"$tmp/out" 2>&1 || expected=$?
			run "-$expected" with_capabilities $list "$SONDE" check $command
		done
	done
}

@test "check: a trial leaves nothing behind" {
	need_root
	"$SONDE" check >/dev/null
	run -0 bpftool prog show
	[[ $output != *"name try_"* ]]
}

@test "check -p: an interpreter: its files, their packages, what mends them" {
	start "$python" -c 'import time; print("ready ", flush=True); time.sleep(60)'
	wait_ready "$pid"
	"$SONDE" check btf -p "$pid" --json >"$tmp/report"
	same "$(jq -r .process.pid "$tmp/report")" "$pid"
	jq -e '.process.files | map(.path) | any(test("/python3[.0-9]*$")) and any(test("/libc[.]so[.]6$"))' "$tmp/report"
	jq -e '.process.unwinding.files == (.process.files | length)' "$tmp/report"
	jq -e '.process.files[] | select(.path | test("/libc[.]so[.]6$")) | .unwind_tables and (.build_id | length == 40)' "$tmp/report"
	if [ -e /var/lib/dpkg/info/libc6:amd64.list ]; then
		jq -e '.process.files[] | select(.path | test("/libc[.]so[.]6$")) | .package == "libc6"' "$tmp/report"
		# dpkg's own word about every other file
		while read -r path package; do
			dpkg -S "$path" "${path#/usr}" 2>/dev/null | grep -qE "^$package(:[a-z0-9]+)?:" || fail "$path is not of $package"
		done < <(jq -r '.process.files[] | select(.package) | "\(.path) \(.package)"' "$tmp/report")
	fi
	run -0 "$SONDE" check btf -p "$pid"
	[[ $output == *"python"*"[$pid]"* ]]
	[[ $output =~ unwinding:\ [0-9]+\ of\ [0-9]+\ files ]]
}

# program FILE FLAGS...: a program that sleeps, built so
program() {
	local file=$1
	shift
	"${CC:-cc}" -x c -O2 "$@" -o "$file" - <<-'C'
		#include <stdio.h>
		#include <unistd.h>
		volatile int n;
		__attribute__((noinline)) int a(int x) { for (int i = 0; i < x; i++) n += i; return n; }
		__attribute__((noinline)) int b(int x) { return a(x) + a(x + 1) + n; }
		__attribute__((noinline)) int c(int x) { return b(x) * b(x - 1) + n; }
		int main(int argc, char **argv) { (void)argv; puts("ready "); fflush(stdout); c(argc); sleep(60); return b(argc); }
	C
}

# file_of REPORT NAME: what is said of a file
file_of() {
	jq -c ".process.files[] | select(.path | endswith(\"/$2\")) | [.frame_pointers, .unwind_tables, .unwinds_by, .names, .remark]" "$1"
}

# by_tables OTHERWISE: "tables" if this kernel walks by them, as JSON
by_tables() {
	if "$SONDE" check bpf_loop >/dev/null || "$SONDE" check for_each_map_elem >/dev/null; then
		echo '"tables"'
	else
		echo "$1"
	fi
}

@test "check -p: symbols, unwind tables and frame pointers are seen as they were built" {
	local name
	need_root
	command -v cc >/dev/null || skip "needs a C compiler"
	program "$tmp/whole" -fno-omit-frame-pointer
	program "$tmp/stripped" -s -fomit-frame-pointer
	for name in whole stripped; do
		start "$tmp/$name"
		wait_ready "$pid"
		"$SONDE" check btf -p "$pid" --json >"$tmp/$name.json"
	done
	same "$(file_of "$tmp/whole.json" whole)" "[true,true,$(by_tables '"frame_pointers"'),\"symtab\",null]"
	same "$(file_of "$tmp/stripped.json" stripped)" "[false,true,$(by_tables null),\"exports\",\"a build with symbols\"]"
}

# sleeper FILE FLAGS...: a program without libraries that sleeps for ever
sleeper() {
	local file=$1
	shift
	"${CC:-cc}" -x c -Os -nostdlib -static "$@" -o "$file" - <<-'C'
		void _start(void)
		{
			for (;;)
		#ifdef __i386__
				__asm__ volatile("int $0x80" : : "a"(29) : "memory");
		#else
				__asm__ volatile("syscall" : : "a"(34) : "rcx", "r11", "memory");
		#endif
		}
	C
}

@test "check -p: a file without unwind tables, and a 32-bit program, are told apart" {
	need_root
	[ "$(uname -m)" = x86_64 ] || skip "x86-64 only"
	sleeper "$tmp/bare" -fno-asynchronous-unwind-tables -fomit-frame-pointer || skip "needs a C compiler"
	start "$tmp/bare"
	wait_until 10 grep -q bare "/proc/$pid/maps"
	"$SONDE" check btf -p "$pid" --json >"$tmp/report"
	same "$(file_of "$tmp/report" bare)" '[null,false,null,"symtab",null]'
	same "$(jq -c '.process | [.bits, .unwinding.good]' "$tmp/report")" '[64,0]'
	run -0 "$SONDE" check btf -p "$pid"
	[[ $output =~ bare\ +"no tables" ]]
	sleeper "$tmp/small" -m32 || skip "the compiler makes no 32-bit programs"
	"$tmp/small" &
	kill $! || skip "the kernel runs no 32-bit programs"
	start "$tmp/small"
	wait_until 10 grep -q small "/proc/$pid/maps"
	"$SONDE" check btf -p "$pid" --json >"$tmp/report"
	same "$(jq -c '.process | [.bits, (.advice[] | select(startswith("32-bit:")))]' "$tmp/report")" \
		'[32,"32-bit: its stacks are walked by frame pointers, not by unwind tables"]'
}

@test "check -p: a file that was replaced is told apart" {
	cp /bin/sleep "$tmp/sleeper"
	start "$tmp/sleeper" 60
	rm "$tmp/sleeper"
	run -0 "$SONDE" check btf -p "$pid"
	[[ $output =~ sleeper.*"was replaced on disk: restart it" ]]
}

@test "check -p: what was never on disk was not replaced, nor what is merely called so" {
	command -v cc >/dev/null || skip "needs a C compiler"
	cc -x c -o "$tmp/launch" - <<-'C'
		#define _GNU_SOURCE
		#include <fcntl.h>
		#include <sys/mman.h>
		#include <unistd.h>
		int main(int argc, char **argv, char **env)
		{
			char bytes[65536], *words[] = {"sleep", "60", 0};
			int from = open("/bin/sleep", O_RDONLY), to = memfd_create("inmemory", MFD_CLOEXEC), n;
			(void)argc, (void)argv;
			while ((n = read(from, bytes, sizeof(bytes))) > 0 && write(to, bytes, n) == n)
				;
			return fexecve(to, words, env);
		}
	C
	cp /bin/sleep "$tmp/sleeper (deleted)"
	start "$tmp/sleeper (deleted)" 60
	run -0 "$SONDE" check btf -p "$pid"
	[[ $output == *sleeper* && $output != *"replaced on disk"* ]]
	start "$tmp/launch"
	wait_until 10 grep -q memfd:inmemory "/proc/$pid/maps"
	run -0 "$SONDE" check btf -p "$pid"
	[[ $output == *memfd:inmemory* && $output != *"replaced on disk"* ]]
}

@test "check -p: a process whose first thread has ended is read by another" {
	command -v cc >/dev/null || skip "needs a C compiler"
	cc -x c -pthread -o "$tmp/headless" - <<-'C'
		#include <pthread.h>
		#include <unistd.h>
		static void *live(void *none) { sleep(30); return none; }
		int main(void) { pthread_t t; pthread_create(&t, 0, live, 0); pthread_exit(0); }
	C
	start "$tmp/headless"
	wait_until 10 grep -q '^State:.*Z' "/proc/$pid/status"
	run -0 "$SONDE" check btf -p "$pid"
	kill -KILL "$pid" # its environment has ended with the first thread: the cleanup does not find it, but waits for it
	[[ $output =~ headless.*symtab ]]
}

@test "check -p: a file that may not be read is not judged" {
	need_root
	chmod o+x "$tmp"
	install -m 711 /bin/sleep "$tmp/secret"
	start "$tmp/secret" 60
	wait_until 10 grep -q secret "/proc/$pid/maps"
	run -0 with_capabilities +sys_ptrace "$SONDE" check btf -p "$pid"
	[[ $output =~ secret\ +unknown\ +unknown\ +"may not be read: needs CAP_DAC_READ_SEARCH" ]]
	[[ $output == *"unknown of 1 that may not be read"* ]]
}

@test "check -p: Go's files keep frame pointers" {
	type -P go >/dev/null || skip "needs go"
	printf 'package main\nimport "time"\nfunc main() { time.Sleep(time.Minute) }\n' >"$tmp/idle.go"
	GOCACHE=$root/build/go-cache CGO_ENABLED=0 command go build -o "$tmp/idle" "$tmp/idle.go"
	start "$tmp/idle"
	wait_until 10 grep -q idle "/proc/$pid/maps"
	"$SONDE" check btf -p "$pid" --json >"$tmp/report"
	same "$(file_of "$tmp/report" idle)" '[true,false,"frame_pointers","symtab",null]'
}

@test "check -p: advice for node, and none where it was followed" {
	command -v node >/dev/null || skip "needs node"
	start node -e 'console.log("ready "); setTimeout(() => 0, 60000)'
	wait_ready "$pid"
	run -0 "$SONDE" check btf -p "$pid"
	[[ $output == *"--perf-basic-prof"* ]]
	cd "$tmp"
	start node --perf-basic-prof -e 'console.log("ready "); setTimeout(() => 0, 60000)'
	wait_ready "$pid"
	run -0 "$SONDE" check btf -p "$pid"
	rm -f "/tmp/perf-$pid.map"
	[[ $output != *"--perf-basic-prof"* ]]
	[[ $output == *"names from its perf map"* ]]
}

@test "check -p: no such process is exit 4, a thread exit 2, another's without privilege 3" {
	run -4 --separate-stderr "$SONDE" check -p "$(unused_pid)"
	[[ $stderr == "sonde: no process "* ]]
	same "$output" ""
	need_root
	start /bin/sleep 60
	run -3 --separate-stderr unprivileged "$SONDE" check -p "$pid"
	same "$stderr" "sonde: cannot read the memory map of process $pid: needs CAP_SYS_PTRACE"
	run -4 --separate-stderr "$SONDE" check -p 2
	[[ $stderr == "sonde: process 2 maps no code"* || $stderr == "sonde: no process 2 "* ]]
}
