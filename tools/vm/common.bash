# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the VM tools share: where things are kept, how they speak, and how architectures are called (by dpkg's names: amd64, arm64).
vm_cache=${SONDE_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sonde-vm}
# shellcheck disable=SC2034 # used by those who source this
vm_tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
vm_native=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')

say() {
	echo "vm: $*" >&2
}

die() {
	say "$@"
	exit 2
}

# arch_of WHAT: the architecture of RELEASE-ARCH or SERIES:ARCH; without one it is this machine's
arch_of() {
	case $1 in
	*[:-]arm64) echo arm64 ;;
	*[:-]amd64) echo amd64 ;;
	*) echo "$vm_native" ;;
	esac
}

# sysroot_of ARCH: where the files of a foreign architecture are (tools/vm/sysroot puts them there)
sysroot_of() {
	echo "$vm_cache/sysroot-$1"
}

# kernel_file RELEASE: path of its bootable image, nothing and status 1 if it is not in the cache
kernel_file() {
	local file=$vm_cache/kernels/$1/vmlinuz
	[ -e "$file" ] && echo "$file"
}
