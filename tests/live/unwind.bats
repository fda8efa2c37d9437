#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Whole stacks of programs that keep no frame pointers, linked and started in all the ways there are: each stack is the known one.
load common
load unwind

every_act=do_compute,do_qsort,do_memcpy,do_snprintf,do_malloc,do_syscall,do_vdso,do_plt,do_variadic,do_align,do_sized,do_longjmp,do_pointer,do_small,do_lazy

@test "unwind: a chain of twelve, and what it calls in libc, the vdso and through the PLT, is exact" {
	together profile -F 997 -- chain 60
	nothing_lost
	coverage_is_that_of_the_stacks
	in_vm || same_as_truth chain --min 700 --each 30 --of "$every_act"
	# shellcheck disable=SC2046 # nothing, or one word
	same_as_truth chain --min 100 $(in_vm && echo --late-tables)
}

# bats test_tags=host
@test "unwind: so it is without PLT, in static programs, in those that lie anywhere" {
	local i
	together profile -F 997 -- chain-noplt 40 -- chain-static 40 -- chain-static-pie 40
	nothing_lost
	for i in 0 1 2; do
		same_as_truth chain --pid "${pids[i]}" --min 450 --each 15 --of "$every_act"
	done
}

# musl describes none of its functions: what it calls and what called it has an end that is said, and nothing else is claimed.
# bats test_tags=host
@test "unwind: programs of musl are exact up to main, where no function of libc lies between, and never wrong" {
	local i own='do_(compute|variadic|align|sized|longjmp|pointer|small)'
	together profile -F 997 -- chain-musl 60 -- chain-musl-static 60
	nothing_lost
	for i in 0 1; do
		same_as_truth chain --pid "${pids[i]}" --min 300 --within "$own" --up-to main --exact 95 --wrong 0
		same_as_truth chain --pid "${pids[i]}" --min 700 --exact 0 --wrong 0.5
	done
}

# bats test_tags=host
@test "unwind: files that are gone, were never there, or lie in a container are exact, too" {
	local i jail=$tmp/jail
	cp "$workloads/unwind/chain" "$tmp/deleted"
	mkdir -p "$jail"/lib64 "$jail"/lib/x86_64-linux-gnu "$jail"/proc "$jail"/dev
	cp "$workloads/unwind/chain" "$jail/jailed"
	cp -L /lib64/ld-linux-x86-64.so.2 "$jail/lib64/"
	cp -L /lib/x86_64-linux-gnu/libc.so.6 "$jail/lib/x86_64-linux-gnu/"
	pids=()
	busy "$tmp/deleted" 40
	wait_ready "$pid"
	rm "$tmp/deleted"
	busy "$workloads/unwind/memfd" "$workloads/unwind/chain" 40
	busy unshare --mount --pid --fork chroot "$jail" /jailed 40
	for pid in "${pids[@]}"; do
		wait_ready "$pid"
	done
	attach profile -F 997 --follow -p "$(IFS=,; echo "${pids[*]}")" -o "$out"
	for pid in "${pids[@]}"; do
		go "$pid"
	done
	for pid in "${pids[@]}"; do
		finish "$pid"
	done
	finish "$probe"
	nothing_lost
	for i in deleted memfd jailed; do
		seen_comm "$i"
	done
	# /dev is empty there
	same_as_truth chain --min 1200 --each 40 --of "${every_act/do_syscall,/}"
}

# The name of a memfd is that of its descriptor, or its own: newer kernels differ.
seen_comm() {
	json -n -e --arg c "$1" '[inputs | select(.type == "stack" and (.who.comm == $c or (($c == "memfd") and (.who.comm | test("^[0-9]+$|memfd|truth")))))] | length > 0' \
		"$out" >/dev/null || fail "nothing of $1: $(json -n '[inputs | select(.type == "stack").who.comm] | unique | join(" ")' "$out")"
}

# bats test_tags=host
@test "unwind: recursion is as deep as it is, and what is cut says so" {
	together profile -F 997 -- recurse 200
	nothing_lost
	same_as_truth recurse --min 800 --depth-limit 500 --each 100 --of depth_10,depth_100,depth_300,depth_480
	# the deepest is cut, or whole
	json -n -e '[inputs | select(.type == "stack" and (.frames | length) > 500)] | length > 0 and all(.[]; (.incomplete // "depth limit") == "depth limit")' \
		"$out"
}

# bats test_tags=host
@test "unwind: signal handlers, on the same stack and on another one, have whom they interrupted below them" {
	together profile -F 997 -- signals 1500
	nothing_lost
	same_as_truth signals --min 1200 --each 50 --of signal_inner,alternate_inner,small_callee
}

# bats test_tags=host
@test "unwind: threads, clone, vfork and fork are whole from where they start" {
	together profile -F 997 --follow -- starts 400
	nothing_lost
	same_as_truth starts --min 1200 --each 250 --of thread_burn,clone_burn,vfork_burn,fork_burn
}

# While an exception changes the very frame that it returns from, nobody can tell who called it.
# bats test_tags=host
@test "unwind: C++ exceptions are walked through while they are thrown, and leave nothing behind" {
	together profile -F 997 -- throw 1200
	nothing_lost
	same_as_truth throw --min 1000 --exact 95 --wrong 5
	same_as_truth throw --min 100 --within 'after_catch|throw_down'
}

# bats test_tags=host
@test "unwind: libraries that take each other's place are told from each other at once" {
	together profile -F 997 -- reload 3000 20 "$workloads/unwind/plug-a.so" "$workloads/unwind/plug-b.so"
	nothing_lost
	[ "$(value "${pids[0]}" same)" -ge 100 ]
	# what user space comes too late for is cut, never wrong
	same_as_truth reload --min 2000 --each 700 --of plug_a_1,plug_b_1 --exact 97 --wrong 0
}

# bats test_tags=host
@test "unwind: code made at run time, with frame pointers, between functions without" {
	together profile -F 997 -- jit 1200
	nothing_lost
	same_as_truth jit --min 1000 --each 500 --of jit_burn
}

@test "unwind: who waits is known to the last frame, each wait of it" {
	local way
	run_command offcpu -- unwind/blocked "$(in_vm && echo 1 || echo 4)"
	nothing_lost
	same_as_truth blocked --min 119 --exact 100 --wrong 0
	for way in sleep semaphore pipe poll condition; do
		same "$way $(waits_in "do_$way")" "$way $(said "${way}_blocks")"
	done
}

# Interpreters, hand-written cryptography and compression: of the files, nobody wrote for us. What is alive can be asked what its code is.
# bats test_tags=host
@test "unwind: python, xz and openssl: every stack whole, every caller a call" {
	pids=()
	busy "$python" "$root/tests/workloads/unwind/busy.py" 600
	wait_ready "$pid"
	busy xz -T1 -6 -c /dev/zero
	busy openssl speed -seconds 300 rsa2048
	busy openssl speed -seconds 300 sha256
	busy openssl speed -seconds 300 -evp aes-256-gcm
	for pid in "${pids[@]}"; do
		wait_until 30 has_run "$pid" 5
	done
	watch 60 profile -F 499
	nothing_lost
	callers_called --min 1200
}

# bats test_tags=host
@test "unwind: node and Go: 99 % of the stacks whole, every caller a call" {
	pids=()
	busy node "$root/tests/workloads/unwind/busy.js" 600
	wait_ready "$pid"
	wait_until 30 has_run "$pid" 100
	watch 120 profile -F 499
	nothing_lost
	# what was compiled may be thrown away again before it is read
	callers_called --min 500 --complete 99 --valid 99
	pids=()
	busy "$workloads/unwind/busy-go" 600
	wait_ready "$pid"
	watch 120 profile -F 499
	nothing_lost
	callers_called --min 500 --complete 99
}
