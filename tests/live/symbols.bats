#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Names out of every source that there is, of programs whose functions are known.
load common

# Compiles $tmp/program: `holder` inlines `outer`, which inlines `inner`, on known lines.
compile() {
	cat >"$tmp/program.c" <<-'END'
		#define INLINE static inline __attribute__((always_inline))
		volatile unsigned sum;
		INLINE unsigned inner(unsigned n)
		{
			for (int i = 0; i < 1000; i++) sum += n * i;
			return sum;
		}
		INLINE unsigned outer(unsigned n) { return inner(n) + 1; }
		__attribute__((noinline)) unsigned holder(unsigned n)
		{
			return outer(n) * 3;
		}
		int main(void)
		{
			for (;;) sum += holder(sum);
		}
	END
	gcc -O2 -g -fno-omit-frame-pointer -Wl,--build-id=sha1 -o "$tmp/program" "$tmp/program.c"
}

# look ARG...: a second of samples of $pid
look() {
	"$sonde" profile -F 499 -d 1s -p "$pid" -o "$out" "$@" 2>"$err" || { cat "$err" >&2; return 1; }
}

# lines_of: names, kinds and lines of the first three user frames of stacks in `inner`
lines_of() {
	json -n '[inputs | select(.type == "stack").frames | map(select(.kind != "kernel")) | select(.[0].name == "inner") | .[0:3]
		| map("\(.name) \(.kind) \(.file // "" | split("/")[-1]):\(.line)") | join(", ")] | unique | join("\n")' "$out"
}

@test "symbols: --lines shows inlined functions, their lines and where they are called" {
	compile
	start "$tmp/program"
	look --lines
	same "$(lines_of)" "inner inlined program.c:5, outer inlined program.c:8, holder user program.c:11"
	"$sonde" profile --lines -d 1s -p "$pid" --folded >"$tmp/folded" 2>"$err"
	grep -q ';holder (program.c:11);outer (program.c:8)_\[i\];inner (program.c:5)_\[i\] ' "$tmp/folded"
	look
	seen holder
	unseen inner
}

@test "symbols: a debuginfod server is asked if it is named, and only then" {
	local id port log
	compile
	id=$(readelf -n "$tmp/program" | sed -n 's/.*Build ID: //p')
	mkdir -p "$tmp/server/buildid/$id"
	objcopy --only-keep-debug "$tmp/program" "$tmp/server/buildid/$id/debuginfo"
	strip "$tmp/program"
	start "$python" -u -m http.server --bind 127.0.0.1 --directory "$tmp/server" 0
	wait_until 10 grep -q 'port [0-9]' "$tmp/$pid.out"
	port=$(sed -nE 's/.* port ([0-9]+) .*/\1/p' "$tmp/$pid.out")
	log=$tmp/$pid
	start "$tmp/program"
	export DEBUGINFOD_URLS=http://127.0.0.1:$port DEBUGINFOD_CACHE_PATH=$tmp/cache
	look
	unseen holder
	! grep GET "$log.err" || fail "asked without being told to"
	look --lines --debuginfod "http://127.0.0.1:$port"
	grep -q "GET /buildid/$id/debuginfo" "$log.err"
	same "$(lines_of)" "inner inlined program.c:5, outer inlined program.c:8, holder user program.c:11"
}

@test "symbols: Node's functions have names by --perf-basic-prof" {
	command -v node >/dev/null || skip "no node"
	echo 'function hotJavascript(n) { let s = 0; for (let i = 0; i < n; i++) s = (s * 31 + i) % 1000003; return s; }
		for (;;) hotJavascript(1e6);' >"$tmp/spin.js"
	start node --perf-basic-prof --no-logfile-per-isolate --logfile="$tmp/v8.log" "$tmp/spin.js"
	wait_until 20 grep -qs 'hotJavascript' "/tmp/perf-$pid.map"
	look
	rm -f "/tmp/perf-$pid.map"
	json -n -e '[inputs | select(.type == "stack")] | (map(.value) | add) as $all
		| (map(select(any(.frames[]; .kind == "jit" and (.name | test("hotJavascript"))))) | map(.value) | add) > 0.9 * $all' "$out"
}

@test "symbols: a JVM without frame pointers gets one line of advice, one with them gets none" {
	command -v keytool >/dev/null || skip "no JVM"
	local key=(keytool -genkeypair -keyalg RSA -keysize 16384 -dname CN=x -alias x -storepass secret -keystore)
	local option pattern="^keytool\[[0-9]*\]: its frames need -XX:+PreserveFramePointer (and \`jcmd [0-9]* Compiler.perfmap\` for names)$"
	for option in -XX:-PreserveFramePointer -XX:+PreserveFramePointer; do
		start "${key[@]}" "$tmp/keys$option" "-J$option" -J-XX:-TieredCompilation
		wait_until 20 grep -qs libjvm.so "/proc/$pid/maps"
		"$sonde" profile -d 3s -i 1s -p "$pid" -o "$tmp/$option.json" 2>"$err"
		json -r 'select(.type == "interval").note // empty' "$tmp/$option.json" >"$tmp/notes"
		kill "$pid"
		case $option in
		*:-*) same "$(grep -c "$pattern" "$tmp/notes")" 1 ;;
		*) same "$(grep -c "$pattern" "$tmp/notes" || true)" 0 ;;
		esac
	done
}

@test "symbols: a BPF program has its name" {
	mountpoint -q /sys/fs/bpf || skip "no bpffs"
	local pin=/sys/fs/bpf/sonde-test-$$
	cat >"$tmp/spin.bpf.c" <<-'END'
		__attribute__((section("socket"), used)) int spin_here(void *ctx)
		{
			unsigned s = 1;
			for (int i = 0; i < 5000; i++) s = s * 31 + i;
			return s & 1;
		}
		__attribute__((section("license"), used)) char terms[] = "GPL";
	END
	clang -O1 -target bpf -c "$tmp/spin.bpf.c" -o "$tmp/spin.bpf.o"
	bpftool prog load "$tmp/spin.bpf.o" "$pin"
	head -c 64 /dev/zero >"$tmp/data"
	start bpftool prog run pinned "$pin" data_in "$tmp/data" repeat 100000000
	look
	rm -f "$pin"
	json -n -e '[inputs | select(.type == "stack").frames[] | select(.object == "[bpf]").name] | any(test("^bpf_prog_[0-9a-f]{16}_spin_here$"))' "$out"
}
