# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Debian's archive by apt with a state directory of its own: signatures are checked, the system's apt is not touched, mirror and proxy
# are the system's own. Source it after common.bash.
vm_keyring=/usr/share/keyrings/debian-archive-keyring.gpg
vm_max_age_days=7

# The code name of this Debian.
vm__codename() {
	# shellcheck source=/dev/null
	(. /etc/os-release && echo "${VERSION_CODENAME:-}")
}

# archive_uri PART: the address of the archive ("") and of its security part (-security), as the system's apt knows them
archive_uri() {
	local part=$1
	# shellcheck disable=SC2016 # these are apt's variables
	apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
		awk -v suite="$(vm__codename)$part" '$1 == suite { print $2; exit }'
}

# apt__use DIRECTORY ARCHITECTURE SUITE...: what the functions below work on
apt__use() {
	vm_apt=$1 vm_apt_arch=$2
	shift 2
	vm_apt_suites=("$@")
}

# private COMMAND...: apt-get or apt-cache with that state
private() {
	APT_CONFIG=$vm_apt/apt.conf "$@"
}

write_apt_config() {
	local main security suite uri
	main=$(archive_uri "")
	security=$(archive_uri -security)
	[ -n "$main" ] || { say "apt on this system knows no Debian archive"; return 1; }
	mkdir -p "$vm_apt"/{etc/apt.conf.d,etc/preferences.d,etc/sources.list.d,state/lists/partial,cache/archives/partial}
	: >"$vm_apt/state/status"
	for suite in "${vm_apt_suites[@]}"; do
		uri=$main
		[[ $suite != *-security ]] || uri=$security
		[ -z "$uri" ] || echo "deb [signed-by=$vm_keyring] $uri $suite main"
	done >"$vm_apt/etc/sources.list"
	# Valid-Until: a mirror that lags serves expired indexes; what protects us is the signature.
	cat >"$vm_apt/apt.conf" <<-END
		Dir::Etc "$vm_apt/etc/";
		Dir::Etc::sourcelist "$vm_apt/etc/sources.list";
		Dir::Etc::sourceparts "$vm_apt/etc/sources.list.d";
		Dir::State "$vm_apt/state";
		Dir::State::status "$vm_apt/state/status";
		Dir::Cache "$vm_apt/cache";
		APT::Architecture "$vm_apt_arch";
		APT::Architectures { "$vm_apt_arch"; };
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Acquire::PDiffs "false";
		Acquire::Retries "2";
		Acquire::http::Timeout "20";
		Acquire::https::Timeout "20";
		Acquire::Check-Valid-Until "false";
	END
	apt-config dump Acquire | grep -i '::proxy' >>"$vm_apt/apt.conf" || true
}

# apt__refresh PROBE...: the indexes, not older than a week. One suite that is gone does not take the others along: what decides is
# whether PROBE, a command, then prints anything.
apt__refresh() {
	[ -z "$(find "$vm_apt/refreshed" -mtime "-$vm_max_age_days" 2>/dev/null)" ] || return 0
	write_apt_config || return 1
	say "reading the package indexes of $vm_apt_arch"
	private apt-get -qq update 2>"$vm_apt/update.log" || true
	if [ -z "$("$@")" ]; then
		say "the package archive cannot be reached: $(tail -n 1 "$vm_apt/update.log")"
		return 1
	fi
	touch "$vm_apt/refreshed"
}
