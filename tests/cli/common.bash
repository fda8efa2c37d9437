# SPDX-License-Identifier: Apache-2.0
# For every .bats file here. SONDE names another binary; `run` keeps stdout and stderr apart.
bats_require_minimum_version 1.5.0
SONDE=${SONDE:-$BATS_TEST_DIRNAME/../../build/sonde}

commands() {
	"$SONDE" list commands | cut -d' ' -f1
}

# Loops over the commands would pass in silence without a program.
setup_file() {
	[ "$(commands | wc -l)" -ge 10 ]
}

# refuses TEXT ARGS...: exit 2, nothing on stdout, one line on stderr, which is TEXT
refuses() {
	local text=$1
	shift
	run -2 --separate-stderr "$SONDE" "$@"
	same "$output" ""
	same "$stderr" "$text"
}

# fails CODE TEXT ARGS...: this exit code, nothing on stdout, one line on stderr, which is TEXT, and no file appears. Needs a
# directory below $BATS_TEST_TMPDIR, where bats has files of its own.
fails() {
	local code=$1 text=$2 before
	shift 2
	before=$(ls -A)
	run -"$code" --separate-stderr "$SONDE" "$@"
	same "$output" ""
	same "$stderr" "$text"
	same "$(ls -A)" "$before"
}

same() {
	if [ "$1" != "$2" ]; then
		printf 'got:      %s\nexpected: %s\n' "$1" "$2"
		return 1
	fi
}
