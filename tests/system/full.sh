#!/bin/bash
# full.sh - the file system runs out of space under a thin image: an error for that write, and for it alone.
. "$(dirname "$0")/lib.sh"
need qemu-io mount
[ "$(id -u)" = 0 ] || skip_all "mounting a small file system takes root"
mkdir "$DIR/small"
mount -t tmpfs -o size=24M none "$DIR/small" || skip_all "mounting is not allowed here"
at_end umount "$DIR/small"

starts() {
	start srv "$DIR/small/disk.img,size=64M,mode=write-through"
	io "$(url srv)" "write -P 0x21 0 4M" "flush"
}

no_space() {
	dd if=/dev/zero of="$DIR/small/ballast" bs=1M 2>/dev/null || true
	refused io "$(url srv)" "write -P 0x22 32M 8M"
}

still_there() {
	is_running srv
	io "$(url srv)" "read -P 0x21 0 4M" "write -P 0x23 0 1M" "read -P 0x23 0 1M" "read -P 0x21 1M 3M"
}

after_space_came() {
	rm "$DIR/small/ballast"
	io "$(url srv)" "write -P 0x24 32M 8M" "flush" "read -P 0x24 32M 8M" "read -P 0x23 0 1M"
}

# Written back: the write is acknowledged, and the flush says that there is no room. Nothing is lost meanwhile.
back_no_space() {
	rm "$DIR/small/disk.img"
	start back "$DIR/small/back.img,size=64M"
	io "$(url back)" "write -P 0x31 0 4M" "flush"
	dd if=/dev/zero of="$DIR/small/ballast" bs=1M 2>/dev/null || true
	refused io "$(url back)" "write -P 0x32 32M 8M" "flush"
	io "$(url back)" "read -P 0x32 32M 8M" "read -P 0x31 0 4M"
}

back_after_space_came() {
	rm "$DIR/small/ballast"
	io "$(url back)" "flush" "read -P 0x32 32M 8M"
	stop back
	same "$(od -A n -t x1 -j $((40 * 1024 * 1024 - 1)) -N 1 "$DIR/small/back.img")" " 32"
}

plan 7
it "a thin image on a small file system" starts
it "a write that finds no space fails" no_space
it "what was written is intact, and can be written again" still_there
it "with space again, writes go on" after_space_came
it "stops" stop srv
it "a disk that is written back says so when it is flushed" back_no_space
it "and writes it when there is space again" back_after_space_came
the_end
