#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
load common

# Before: 60 % parse, 40 % render. Later, in ten times as many samples, the other way round.
setup() {
	mkdir "$BATS_TEST_TMPDIR/files"
	cd "$BATS_TEST_TMPDIR/files"
	printf 'main;work;parse 600\nmain;render 400\n' > before.folded
	printf 'main;work;parse 4000\nmain;render 6000\n' > after.folded
}

# row NAME: the row of the table in $output, without spaces at its ends
row() {
	grep -E " $1\$" <<< "$output" | sed 's/^ *//'
}

@test "equal profiles do not differ" {
	run -0 --separate-stderr "$SONDE" diff before.folded before.folded
	same "$stderr" ""
	[[ ${lines[0]} == "no significant difference (p = 1.00, 1 000 samples vs 1 000)" ]]
	same "$(row parse | tr -s ' ')" "60.0% 60.0% +0.0 1.000 parse"
	same "$(row render | tr -s ' ')" "40.0% 40.0% +0.0 1.000 render"
}

# The same shares in ten times as many samples: totals are normalised.
@test "more of the same is no difference" {
	sed 's/$/0/' before.folded > longer.folded
	run -0 --separate-stderr "$SONDE" diff before.folded longer.folded
	[[ ${lines[0]} == "no significant difference (p = 1.00, 1 000 samples vs 10 000)" ]]
}

@test "what changed is named, with its shares" {
	run -0 --separate-stderr "$SONDE" diff before.folded after.folded
	same "$stderr" ""
	[[ ${lines[0]} == "significant difference: 2 of 2 functions changed (q < 0.0001; all stacks: p < 0.0001, 1 000 samples vs 10 000)" ]]
	same "$(row parse | tr -s ' ')" "60.0% 40.0% -20.0 <0.001 * parse"
	same "$(row render | tr -s ' ')" "40.0% 60.0% +20.0 <0.001 * render"
	same "$(row main)" ""
}

@test "one function among many is found, the others are not blamed" {
	for n in {1..20}; do printf 'main;f%d 500\n' $n; done > many.folded
	sed 's/^main;f7 500/main;f7 900/' many.folded > more.folded
	run -0 --separate-stderr "$SONDE" diff many.folded more.folded
	[[ ${lines[0]} == "significant difference: 1 of 20 functions changed "* ]]
	same "$(grep -F ' *  ' <<< "$output" | awk '{ print $NF }')" f7
	run -0 --separate-stderr "$SONDE" diff -n 1 many.folded more.folded
	same "$(grep -c ' f[0-9]*$' <<< "$output")" 1
	[[ $(row f7) != "" ]]
	[[ $output == *"19 more functions: -n"* ]]
}

@test "by total counts what a function calls" {
	run -0 --separate-stderr "$SONDE" diff --by total before.folded after.folded
	same "$(row work | tr -s ' ')" "60.0% 40.0% -20.0 <0.001 * work"
	same "$(row main | tr -s ' ')" "100.0% 100.0% +0.0 - main"
}

@test "few samples, and times, are not judged" {
	printf 'a 3\nb 2\n' > few.folded
	printf 'a 2\nb 3\n' > other.folded
	run -0 --separate-stderr "$SONDE" diff few.folded other.folded
	same "${lines[0]}" "too few to tell a difference (5 samples vs 5)"
	run -0 --separate-stderr "$SONDE" diff --unit us before.folded after.folded
	same "${lines[0]}" "significance is not known: the weights are in us, not counts"
	same "$(grep -cF '*' <<< "$output")" 0
}

# Two columns, the first scaled to the second's total, as difffolded does with -n; --negate turns them round.
@test "the differential picture has both columns, normalised" {
	run -0 --separate-stderr "$SONDE" diff before.folded after.folded -o change.folded
	same "$output" ""
	[[ $stderr == "sonde: significant difference: 2 of 2 functions changed "* ]]
	same "$(sort change.folded)" $'main;render 4000 6000\nmain;work;parse 6000 4000'
	"$SONDE" diff --negate before.folded after.folded -o vanished.folded
	same "$(sort vanished.folded)" $'main;render 600 400\nmain;work;parse 400 600'
	for format in svg html; do
		"$SONDE" diff before.folded after.folded -o change.$format
		"$SONDE" convert change.$format back.folded
		cmp change.folded back.folded
	done
}

# colour NAME FILE: r or b, the class of this function's box
colour() {
	sed -n "s/^<g class=\"\([rb]\)[0-9]\".*<title>$1 (.*/\1/p" "$2"
}

@test "red is more in B, blue less, with --negate too" {
	"$SONDE" diff before.folded after.folded -o change.svg
	"$SONDE" diff --negate before.folded after.folded -o vanished.svg
	for file in change.svg vanished.svg; do
		same "$(colour render $file)" r
		same "$(colour parse $file)" b
	done
}

# Widths are those of B, with --negate those of A: what vanished is drawn there alone.
@test "what is new is wide in the picture, what vanished in the negated one" {
	printf 'main;gone 500\nmain;stays 500\n' > a.folded
	printf 'main;new 500\nmain;stays 500\n' > b.folded
	"$SONDE" diff a.folded b.folded -o change.svg
	"$SONDE" diff --negate a.folded b.folded -o vanished.svg
	same "$(grep -oE '<title>(new|gone) ' change.svg)" "<title>new "
	same "$(grep -oE '<title>(new|gone) ' vanished.svg)" "<title>gone "
}

@test "the picture says what was compared, and the verdict" {
	"$SONDE" diff before.folded after.folded -o change.html
	"$SONDE" convert --facts change.html facts.folded
	grep -qx '# before: before.folded' facts.folded
	grep -qx '# after: after.folded' facts.folded
	grep -q '^# verdict: significant difference: 2 of 2 functions changed ' facts.folded
	"$SONDE" diff --negate before.folded after.folded -f folded --facts | grep -qx '# negate: yes'
}

@test "pictures of sonde are compared like folded files" {
	"$SONDE" convert before.folded before.svg
	"$SONDE" convert after.folded after.html
	same "$("$SONDE" diff before.svg after.html)" "$("$SONDE" diff before.folded after.folded)"
	same "$("$SONDE" diff - after.html < before.svg)" "$("$SONDE" diff before.folded after.folded)"
}

@test "formats by extension, by -f, to standard output" {
	"$SONDE" diff before.folded after.folded -o by.svg
	"$SONDE" diff before.folded after.folded -f svg > out.svg
	"$SONDE" diff before.folded after.folded -f svg -o other.txt
	cmp by.svg out.svg
	cmp by.svg other.txt
	same "$("$SONDE" diff before.folded after.folded -o -)" "$("$SONDE" diff before.folded after.folded)"
	fails 2 "sonde: x.txt: want .svg, .html or .folded, or -f" diff before.folded after.folded -o x.txt
	fails 2 "sonde diff: -f json: must be one of: table folded svg html" diff before.folded after.folded -f json
}

@test "what cannot be compared is refused with one line" {
	"$SONDE" diff before.folded after.folded -o change.svg
	fails 1 "sonde: change.svg: this is a difference already; want two profiles" diff before.folded change.svg -o x.svg
	"$SONDE" convert --unit us before.folded times.svg
	fails 1 "sonde: one profile is in us, the other in samples: they cannot be compared (--unit says what plain folded files count)" \
		diff times.svg after.folded
	"$SONDE" diff --unit us times.svg after.folded
	printf 'main 1\nmain;a\n' > bad.folded
	fails 1 "sonde: bad.folded:2: not a folded stack: want \`frame;frame;frame NUMBER\`" diff bad.folded after.folded -o x.svg
	fails 1 "sonde: bad.folded:2: not a folded stack: want \`frame;frame;frame NUMBER\`" diff before.folded bad.folded
	: > empty.folded
	fails 1 "sonde: empty.folded: no stacks inside" diff before.folded empty.folded
	fails 1 "sonde: missing.folded: No such file or directory" diff missing.folded after.folded
	fails 1 "sonde: standard input: no stacks inside" diff - - < before.folded
}

@test "an output that cannot be written" {
	fails 2 "sonde: nowhere/x.svg: No such file or directory" diff before.folded after.folded -o nowhere/x.svg
	run -1 --separate-stderr bash -c "\"$SONDE\" diff before.folded after.folded > /dev/full"
	same "$stderr" "sonde: standard output: No space left on device"
	run -1 --separate-stderr bash -c "\"$SONDE\" diff before.folded after.folded -f svg > /dev/full"
	same "$stderr" "sonde: standard output: No space left on device"
}

@test "hostile names stay harmless in table, picture and messages" {
	printf '%b' 'main;\0033[31mred\0007 500\n' 'main;<script>alert(1)</script> 500\n' > $'a\e[2J\n.folded'
	printf '%b' 'main;\0033[31mred\0007 100\n' 'main;<script>alert(1)</script> 900\n' > b.folded
	run -0 --separate-stderr "$SONDE" diff $'a\e[2J\n.folded' b.folded
	same "$(LC_ALL=C tr -d '\n -~' <<< "$output" | wc -c)" 0
	[[ $output == *'\x1b[31mred\x07'* ]]
	"$SONDE" diff $'a\e[2J\n.folded' b.folded -o change.svg
	/usr/bin/python3 -c 'import sys, xml.dom.minidom as d; d.parse(sys.argv[1])' change.svg
	same "$(grep -c '<script>alert' change.svg)" 0
	same "$(LC_ALL=C tr -d '\n\t -~\200-\377' < change.svg | wc -c)" 0
	fails 1 'sonde: c\x1b[2J: No such file or directory' diff $'c\e[2J' b.folded
}
