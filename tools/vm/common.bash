# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the VM tools share: where things are kept, and how they speak.
vm_cache=${SONDE_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sonde-vm}
# shellcheck disable=SC2034 # used by those who source this
vm_tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

say() {
	echo "vm: $*" >&2
}

die() {
	say "$@"
	exit 2
}

# kernel_file RELEASE: path of its bootable image, nothing and status 1 if it is not in the cache
kernel_file() {
	local file=$vm_cache/kernels/$1/vmlinuz
	[ -e "$file" ] && echo "$file"
}
