# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # lib.bash sets $tmp
# Kernel modules in a guest: from the cache of kernels that it was booted from, which its root file system has.

# load_module NAME [PARAMETER...]: after what it depends on. Nothing if it is loaded or built in; status 1 if there is no such file.
load_module() {
	local name=${1//-/_} kernels file needed dir=${SONDE_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sonde-vm}/kernels
	shift
	! grep -q "^$name " /proc/modules || return 0
	kernels=$dir/$(uname -r)/modules
	[ -d "$kernels" ] || return 1
	! grep -qs "/${name//_/[-_]}\.ko$" "$kernels/modules.builtin" || return 0
	file=$(find "$kernels/kernel" \( -name "$name.ko*" -o -name "${name//_/-}.ko*" \) -print -quit)
	[ -n "$file" ] || return 1
	case $file in
	*.xz) xz -dc "$file" ;;
	*.zst) zstd -qdc "$file" ;;
	*) cat "$file" ;;
	esac >"$tmp/$name.ko"
	for needed in $(tr '\0' '\n' <"$tmp/$name.ko" | sed -n 's/^depends=//p' | head -n 1 | tr , ' '); do
		load_module "$needed"
	done
	busybox insmod "$tmp/$name.ko" "$@"
}

need_module() {
	load_module "$@" || skip "the module $1 of this kernel is not here"
}
