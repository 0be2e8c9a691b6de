#!/bin/bash
# guest.sh CACHE short|all - the kernel's initiator in a guest against this program: builds the guest in CACHE when it
# has to, runs the cases, speaks TAP. Where the machine cannot run QEMU or get the guest's packages it says so, and
# counts as skipped (77).
set -u
: "${BERTH:?is the program to test}"
here=$(cd "$(dirname "$0")" && pwd)
cache=$1
short="discovery caw trim depth restart"

skip() {
	echo "1..0 # SKIP $1"
	exit 77
}

[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || skip "the guest is made for amd64 on Debian"
command -v qemu-system-x86_64 >/dev/null || skip "qemu-system-x86_64 is not installed"
mkdir -p "$cache" || exit 1
exec 9>"$cache/lock"
flock 9 # another run may be building it
"$here/build-guest" "$cache" >"$cache/build.log" 2>&1 || {
	sed 's/^/# /' "$cache/build.log"
	[ -s "$cache/initrd.cpio" ] || skip "the guest's packages cannot be had: $(tail -n 1 "$cache/build.log")"
	echo "# the guest that was built before is used"
}
flock -u 9
BERTH=$(realpath "$BERTH")
export BERTH
cases=
[ "$2" = all ] || cases=$short
# The time limits of the cases are for a quiet machine; here other tests run beside.
# shellcheck disable=SC2086
exec "$here/run-guest" -T 3 "$cache" $cases 9>&-
