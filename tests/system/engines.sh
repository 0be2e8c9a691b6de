#!/bin/bash
# engines.sh - where io_uring is forbidden (containers, hardened hosts), or a file system has no direct I/O: found
# out, told, lived without.
. "$(dirname "$0")/lib.sh"
need python3 qemu-io

without() {
	AS="$HERE/forbid $1"
}
without uring
$AS true || skip_all "no seccomp filters here"

falls_back() {
	ENGINE=auto start srv --ram 8M "$DIR/disk.img,size=8M"
	says "$(cat "$DIR/srv.err")" "engine epoll (io_uring: io_uring_setup: Operation not permitted)"
	io "$(url srv 1)" "write -P 0x21 0 2M" "flush" "read -P 0x21 0 2M"
	stop srv
}

says_why_not() {
	local code=0 said
	said=$($AS "$BERTH" serve --engine uring --listen 127.0.0.1:0 --ram 8M 2>&1) || code=$?
	same "$code" 5
	same "$said" "berth: --engine uring: io_uring_setup: Operation not permitted (by a container's filter, or sysctl kernel.io_uring_disabled)"
}

# buffered ENGINE MODE - the system's page cache is used; what is on the disk at the end is what was written.
buffered() {
	local image=$DIR/buffered.img
	without direct
	rm -f "$image"
	ENGINE=$1 start srv "$image,size=$((8 * 1024 * 1024 + 512)),mode=$2"
	says "$(cat "$DIR/srv.err")" "$image: no direct I/O here, the system's page cache is used"
	io "$(url srv)" "write -P 0x31 0 2M" "write -P 0x32 513K 512" "flush" "write -P 0x33 8M 512" \
		"write -z 1M 64K" "read -P 0x31 0 513K" "read -P 0x32 513K 512" "read -P 0 1M 64K" "read -P 0x33 8M 512"
	stop srv
	says "$(od -A n -t x1 -j $((8 << 20)) -N 1 "$image")" 33
	AS=
	ENGINE=$1 start srv "$image"
	io "$(url srv)" "read -P 0x31 0 513K" "read -P 0x32 513K 512" "read -P 0 1M 64K" "read -P 0x33 8M 512"
	stop srv
}

plan 5
it "without io_uring epoll is taken, and the log says why" falls_back
it "--engine uring is refused with the reason, exit code 5" says_why_not
it "without O_DIRECT the page cache of the system is used, and the log says so: epoll, written back" buffered epoll write-back
it "io_uring, written back" buffered uring write-back
it "io_uring, written through" buffered uring write-through
the_end
