#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
load common

setup() {
	cd "$BATS_TEST_TMPDIR"
}

@test "the man page renders without a warning and has its sections" {
	"$SONDE" document man > sonde.1
	run -0 --separate-stderr man --warnings -l sonde.1
	same "$stderr" ""
	for section in NAME SYNOPSIS DESCRIPTION COMMANDS OPTIONS "EXIT STATUS" ENVIRONMENT EXAMPLES; do
		grep -qx "$section" <<< "$output"
	done
	lexgrog sonde.1 | grep -q '"sonde - '
	for command in $(commands); do
		grep -q "^   sonde $command" <<< "$output"
	done
}

# No option of any command is missing in the man page; shared ones stand there once.
@test "the man page has every option that help shows" {
	"$SONDE" document man | tr -d '\\' > sonde.1
	for command in $(commands); do
		"$SONDE" help $command | grep -oE '^ +(-., )?--[a-z-]+' | grep -oE -e '--[a-z-]+' > options
		while read -r option; do
			grep -q "fB${option}fR" sonde.1
		done < options
	done
	same "$(grep -c 'fB--durationfR' sonde.1)" 1
}

@test "the README table has every command" {
	for command in $(commands); do
		"$SONDE" document readme | grep -q "^| .sonde $command. |"
	done
	same "$("$SONDE" document readme | grep '^|' | grep -vc '|$')" 0
}

# complete WORDS...: what bash would offer for the last word
complete_bash() {
	bash -c 'source ./sonde.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sonde; echo "${COMPREPLY[*]}"' bash "$@"
}

@test "bash completes commands, options, choices, files and PIDs" {
	"$SONDE" document bash > sonde.bash
	bash -n sonde.bash
	touch "result one.svg" result-two.svg
	same "$(complete_bash sonde prof)" profile
	same "$(complete_bash sonde profile --dura)" --duration
	same "$(complete_bash sonde profile -f sv)" svg
	same "$(complete_bash sonde profile --format = sv)" svg
	same "$(complete_bash sonde profile -o result-)" result-two.svg
	same "$(complete_bash sonde profile -o "result ")" "result one.svg"
	same "$(complete_bash sonde list me)" metrics
	same "$(complete_bash sonde help off)" offcpu
	same "$(complete_bash sonde doc)" ""
	[[ " $(complete_bash sonde profile -p $$) " == *" $$ "* ]]
}

@test "zsh accepts its script" {
	command -v zsh || skip "zsh is not installed"
	"$SONDE" document zsh > _sonde
	zsh -n _sonde
	zsh -f -c 'autoload -U compinit && compinit -u -D && source ./_sonde && [[ $_comps[sonde] == _sonde ]]'
}

@test "fish completes commands, options and choices" {
	command -v fish || skip "fish is not installed"
	"$SONDE" document fish > sonde.fish
	fish -n sonde.fish
	same "$(fish -c 'source sonde.fish; complete -C "sonde prof"' | cut -f1)" profile
	same "$(fish -c 'source sonde.fish; complete -C "sonde profile --dura"' | cut -f1)" --duration
	same "$(fish -c 'source sonde.fish; complete -C "sonde profile -f sv"' | cut -f1)" svg
	same "$(fish -c 'source sonde.fish; complete -C "sonde list me"' | cut -f1)" metrics
}
