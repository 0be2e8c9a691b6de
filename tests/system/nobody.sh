#!/bin/bash
# nobody.sh - an unprivileged user can run it: no capability, hardly any locked memory, a home it cannot write.
. "$(dirname "$0")/lib.sh"
need qemu-io qemu-img
MIB=32

if [ "$(id -u)" = 0 ]; then
	need setpriv
	# The build folder may be out of nobody's reach.
	cp "$BERTH" "$DIR/berth"
	chmod 755 "$DIR/berth"
	BERTH=$DIR/berth
	chown nobody "$RUN"
	AS="setpriv --reuid=nobody --regid=nogroup --clear-groups --bounding-set=-all --no-new-privs"
fi
mkdir "$DIR/own"
chmod 777 "$DIR/own"
# What the kernel gives everybody; io_uring's rings alone take more than the 64 KiB of old.
ulimit -l 8192

serves() {
	start srv --ram ${MIB}M "$DIR/own/disk.img,size=${MIB}M"
	[ "$(id -u)" != 0 ] || same "$(stat -c %U "/proc/$(pid_of srv)")" nobody
}

works() {
	local disk
	for disk in 0 1; do
		io "$(url srv $disk)" "write -P 0xa1 0 4M" "write -P 0xa2 512 1K" "flush" \
			"read -P 0xa1 0 512" "read -P 0xa2 512 1K" "read -P 0xa1 1536 64K"
	done
	case $(cat "$DIR/srv.err") in
	*"engine uring"*) says "$(cat "$DIR/srv.err")" "of buffer memory registered, the rest by plain vectors" ;;
	esac
}

# Nothing can be locked: there is an engine for that, and it is found without being named.
works_with_nothing_locked() {
	ulimit -l 0
	ENGINE=auto start bare "$DIR/own/bare.img,size=8M"
	io "$(url bare)" "write -P 0xa3 0 4M" "read -P 0xa3 0 4M"
	stop bare
}

says_why_not() {
	local code=0
	touch "$DIR/root.img"
	truncate -s 1M "$DIR/root.img"
	chmod 600 "$DIR/root.img"
	${AS:-} "$BERTH" serve --listen 127.0.0.1:0 "$DIR/root.img" >"$DIR/why.out" 2>&1 </dev/null || code=$?
	same "$code" 5
	says "$(cat "$DIR/why.out")" "root.img"
	says "$(cat "$DIR/why.out")" "Permission denied"
}

plan 5
it "starts" serves
it "RAM and file work" works
it "works where no memory may be locked" works_with_nothing_locked
if [ "$(id -u)" = 0 ]; then
	it "an image of somebody else is refused, exit code 5" says_why_not
else
	echo "ok $((n_cases += 1)) - an image of somebody else # SKIP everything here is ours"
fi
it "stops" stop srv
the_end
