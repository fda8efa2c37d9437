#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What is linked into the binary: the schema, the tables behind help and man page.
load common

@test "the schema is the file of the tree, and valid" {
	cd "$BATS_TEST_TMPDIR"
	"$SONDE" schema > schema.json
	cmp schema.json "$BATS_TEST_DIRNAME/../../user/sink/schema.json"
	/usr/bin/python3 -c 'import json, sys, jsonschema as j; s = json.load(sys.stdin); j.validators.validator_for(s).check_schema(s)' \
		< schema.json
}

# options COMMAND: the spellings that begin a row of help, without those inside texts
options() {
	"$SONDE" help "$1" | grep -oE '^ {2}( {4}|-[A-Za-z], )--[a-z-]+' | tr -d ' ' | tr ',' '\n'
}

@test "help shows each option once" {
	for command in $(commands); do
		[ "$(options "$command" | wc -l)" -ge 2 ]
		same "$(options "$command" | sort | uniq -d)" ""
	done
}

# complete_bash WORDS...: what bash would offer for the last word
complete_bash() {
	bash -c 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sonde; printf "%s\n" "${COMPREPLY[@]}"' "$@"
}

@test "completion offers the long options that help shows, and no others" {
	"$SONDE" document bash > "$BATS_TEST_TMPDIR/sonde.bash"
	for command in $(commands); do
		same "$(complete_bash "$BATS_TEST_TMPDIR/sonde.bash" sonde "$command" -- | sort)" "$(options "$command" | grep '^--' | sort)"
	done
}

@test "the man page tells every exit code" {
	"$SONDE" document man | sed -n '/^\.SH EXIT STATUS/,/^\.SH ENV/s/^\.B //p' > "$BATS_TEST_TMPDIR/codes"
	same "$(tr '\n' ' ' < "$BATS_TEST_TMPDIR/codes")" "0 1 2 3 4 5 130, 143 "
}

@test "exit codes: one cause of each that needs no privilege" {
	run -0 "$SONDE" version
	run -1 "$SONDE" convert /dev/null "$BATS_TEST_TMPDIR/x.svg"
	run -2 "$SONDE" convert
	run -4 "$SONDE" check -p 4194304
}
