#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
load common

setup() {
	mkdir "$BATS_TEST_TMPDIR/files"
	cd "$BATS_TEST_TMPDIR/files"
	printf 'main;read_row;hash_[k] 60\nmain;write_row 40\n' > cpu.folded
}

# Quiet, and the same bytes come back.
@test "folded stacks come back from SVG and HTML as they went in" {
	for format in svg html; do
		run -0 --separate-stderr "$SONDE" convert cpu.folded cpu.$format
		same "$output$stderr" ""
		"$SONDE" convert cpu.$format back.folded
		cmp cpu.folded back.folded
	done
	"$SONDE" convert cpu.svg two.html
	"$SONDE" convert two.html three.svg
	cmp cpu.svg three.svg
	cmp cpu.html two.html
}

# Also through HTML, whose own script draws them.
@test "a difference keeps both columns" {
	printf 'main;a 6 9\nmain;b 4 1\n' > change.folded
	for format in svg html; do
		"$SONDE" convert change.folded change.$format
		"$SONDE" convert change.$format back.folded
		cmp change.folded back.folded
	done
}

@test "facts stand before folded stacks only with --facts, and come back" {
	"$SONDE" convert --title "one title" --unit us cpu.folded cpu.svg
	same "$("$SONDE" convert -f folded cpu.svg - | grep -c '^#')" 0
	"$SONDE" convert --facts cpu.svg facts.folded
	grep -qx '# title: one title' facts.folded
	grep -qx '# unit: us' facts.folded
	"$SONDE" convert facts.folded again.svg
	cmp cpu.svg again.svg
}

@test "the format is that of the extension, or what -f says" {
	"$SONDE" convert cpu.folded cpu.svg
	"$SONDE" convert cpu.folded cpu.html
	"$SONDE" convert -f svg cpu.folded picture.txt
	cmp picture.txt cpu.svg
	"$SONDE" convert -f html cpu.folded odd.svg
	cmp odd.svg cpu.html
	"$SONDE" convert --format=folded odd.svg odd.html
	cmp odd.html cpu.folded
	fails 2 "sonde: out.png: want .folded, .svg, .html, .pb.gz, .speedscope.json, .json or .txt, or -f" convert cpu.folded out.png
	fails 2 "sonde: out: want .folded, .svg, .html, .pb.gz, .speedscope.json, .json or .txt, or -f" convert cpu.folded out
	fails 2 "sonde convert: -f png: must be one of: folded svg html pprof speedscope json table" convert -f png cpu.folded out.svg
}

@test "- is standard input and standard output" {
	"$SONDE" convert cpu.folded cpu.svg
	"$SONDE" convert - from.svg < cpu.folded
	cmp from.svg cpu.svg
	"$SONDE" convert -f svg cpu.folded - > to.svg
	cmp to.svg cpu.svg
	"$SONDE" convert -f svg - - < cpu.folded | "$SONDE" convert -f folded - - > back.folded
	cmp cpu.folded back.folded
	fails 2 "sonde: standard output has no extension: say \`-f folded\`, \`-f svg\`, \`-f pprof\`..." convert cpu.folded -
	fails 1 "sonde: standard input: no stacks inside" convert - out.svg < /dev/null
	fails 1 "sonde: standard input:1: not a folded stack: want \`frame;frame;frame NUMBER\`" convert - out.svg <<< "main;a"
}

@test "a malformed line is named, and nothing is written" {
	for line in "main;a" "main;a many" "main;a -3" " 5" "a 99999999999999999999999" "<svg>"; do
		printf 'main 1\n\n%s\nmain 2\n' "$line" > bad.folded
		fails 1 "sonde: bad.folded:3: not a folded stack: want \`frame;frame;frame NUMBER\`" convert bad.folded out.svg
	done
	printf 'main;\0;a 3\n' > bad.folded
	fails 1 "sonde: bad.folded:1: not a folded stack: want \`frame;frame;frame NUMBER\`" convert bad.folded out.html
	printf 'a 18446744073709551615\nb 1\n' > big.folded
	fails 1 "sonde: big.folded:2: the numbers add up to more than 64 bits" convert big.folded out.svg
}

@test "an input without stacks is refused" {
	: > empty.folded
	printf '# unit: us\n\n' > facts.folded
	fails 1 "sonde: empty.folded: no stacks inside" convert empty.folded out.svg
	fails 1 "sonde: facts.folded: no stacks inside" convert facts.folded out.svg
	printf '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><text>other 5</text></svg>\n' > other.svg
	fails 1 "sonde: other.svg: no profile inside: only SVG and HTML written by sonde can be read back" convert other.svg out.folded
	fails 1 "sonde: missing.folded: No such file or directory" convert missing.folded out.svg
	fails 1 "sonde: .: Is a directory" convert . out.svg
}

@test "an output that cannot be written leaves nothing, and the old file as it was" {
	fails 2 "sonde: nowhere/out.svg: No such file or directory" convert cpu.folded nowhere/out.svg
	fails 2 "sonde: .: Is a directory" convert -f svg cpu.folded .
	fails 1 "sonde: /dev/full: No space left on device" convert -f svg cpu.folded /dev/full
	run -1 --separate-stderr bash -c "\"$SONDE\" convert -f svg cpu.folded - > /dev/full"
	same "$stderr" "sonde: standard output: No space left on device"
	"$SONDE" convert cpu.folded out.svg
	cp out.svg old.svg
	echo broken > bad.folded
	fails 1 "sonde: bad.folded:1: not a folded stack: want \`frame;frame;frame NUMBER\`" convert bad.folded out.svg
	cmp out.svg old.svg
}

@test "a file may become its own picture" {
	"$SONDE" convert cpu.folded same.svg
	"$SONDE" convert --title twice same.svg same.svg
	grep -q '>twice<' same.svg
	same "$("$SONDE" convert -f folded same.svg -)" "$(cat cpu.folded)"
}

@test "options of the picture change the picture alone" {
	"$SONDE" convert cpu.folded plain.svg
	"$SONDE" convert --inverted --width 700 cpu.folded other.svg
	grep -q 'width="700"' other.svg
	run -1 cmp -s plain.svg other.svg
	"$SONDE" convert other.svg back.folded
	cmp cpu.folded back.folded
	fails 2 "sonde: --minwidth: pixels from 0 to 1000, such as 0.5" convert --minwidth wide cpu.folded out.svg
	fails 2 "sonde: --minwidth: pixels from 0 to 1000, such as 0.5" convert --minwidth -1 cpu.folded out.svg
}

# A box below the least width is not drawn, but its stack is kept.
@test "stacks too narrow to draw are kept inside" {
	printf 'main;wide 1000000\nmain;narrow 1\n' > many.folded
	"$SONDE" convert many.folded many.svg
	"$SONDE" convert many.svg back.folded
	sort many.folded | diff - <(sort back.folded)
}

@test "hostile frames: valid XML, no script of theirs, the same stacks back" {
	printf '%b' 'main;<script>alert(1)</script>;]]>-->&"'"'"' 5\n' 'main;\0033[31mred\0007;\0377bad 7\n' \
		'end;</svg></script></html>;a\\x3bb 3\n' > evil.folded
	"$SONDE" convert evil.folded evil.svg
	/usr/bin/python3 -c 'import sys, xml.dom.minidom as d; d.parse(sys.argv[1])' evil.svg
	"$SONDE" convert evil.folded evil.html
	for file in evil.svg evil.html; do
		same "$(grep -c '<script>alert' $file)" 0
		same "$(grep -o '</script>' $file | wc -l)" 1
		same "$(LC_ALL=C tr -d '\n\t -~\200-\377' < $file | wc -c)" 0
		"$SONDE" convert $file ${file#evil.}.folded
	done
	cmp svg.folded html.folded
	same "$(LC_ALL=C tr -d '\n -~' < svg.folded | wc -c)" 0
	same "$(awk '{ sum += $NF } END { print sum }' svg.folded)" 15
	"$SONDE" convert svg.folded again.svg
	"$SONDE" convert again.svg again.folded
	cmp svg.folded again.folded
}

@test "hostile file names are written as they are and said harmlessly" {
	name=$'-e\e[31m\n"x'
	cp -- cpu.folded "$name.folded"
	"$SONDE" convert -- "$name.folded" "$name.svg"
	"$SONDE" convert -- "$name.svg" back.folded
	cmp cpu.folded back.folded
	echo broken > "./$name.folded"
	fails 1 'sonde: -e\x1b[31m\x0a"x.folded:1: not a folded stack: want `frame;frame;frame NUMBER`' \
		convert -- "$name.folded" out.svg
	fails 2 'sonde: -e\x1b[31m\x0a"x: want .folded, .svg, .html, .pb.gz, .speedscope.json, .json or .txt, or -f' convert -- cpu.folded "$name"
}
