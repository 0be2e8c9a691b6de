#!/bin/bash
# lost.sh - what a disk stands on goes away while it is served; the next start is not deceived by what is there then.
# (What initiators are told: tests/wire/lost.c.)
. "$(dirname "$0")/lib.sh"
need qemu-io losetup

said() {
	says "$(cat "$DIR/$1.err")" "$2"
}

# put NAME COMMAND - qemu-io writes and is gone before it flushes. (It does not pass on a flush behind nothing written.)
put() {
	local words=$DIR/words pid
	mkfifo "$words"
	: >"$DIR/put"
	qemu-io -f raw -t writeback "$(url "$1")" <"$words" >"$DIR/put" 2>&1 &
	pid=$!
	exec 8>"$words"
	echo "$2" >&8
	eventually grep -q "^.*wrote" "$DIR/put"
	kill -KILL $pid
	exec 8>&-
	wait $pid || true
	rm "$words"
}

# ends_with_a_rest NAME - SIGTERM; it cannot write all, and says so.
ends_with_a_rest() {
	kill -TERM "$(pid_of "$1")"
	eventually is_gone "$1"
	wait "$(pid_of "$1")" && fail "exit code 0" || same $? 1
	rm "$DIR/$1.pid"
	said "$1" "are left in memory"
}

# Cut off and made as long as before: no look at the file tells, but it was seen in between.
hollow() {
	start srv "$DIR/a.img,size=64M"
	io "$(url srv)" "write -P 0x31 0 1M" "flush"
	put srv "write -P 0x32 8M 1M"
	truncate -s 0 "$DIR/a.img"
	refused io "$(url srv)" "write -P 0x39 60M 64K" "flush"
	truncate -s 64M "$DIR/a.img"
	refused io "$(url srv)" "write -P 0x33 0 64K"
	io "$(url srv)" "read -P 0x32 8M 1M"
	ends_with_a_rest srv
	refused start srv "$DIR/a.img"
	said srv "somebody else has changed it"
	said srv "1088K"
}

# People know best.
adopted_anyway() {
	start srv --adopt-anyway "$DIR/a.img"
	io "$(url srv)" "read -P 0x32 8M 1M" "read -P 0 0 1M"
	stop srv
	same "$(od -A n -t x1 -j 8M -N 1 "$DIR/a.img")" " 32"
	same "$(ls "$RUN")" ""
}

removed() {
	start srv "$DIR/b.img,size=64M"
	put srv "write -P 0x41 8M 1M"
	rm "$DIR/b.img"
	refused io "$(url srv)" "write -P 0x39 60M 64K" "flush"
	io "$(url srv)" "read -P 0x41 8M 1M"
	ends_with_a_rest srv
	refused start srv "$DIR/b.img"
	said srv "No such file"
}

loop_device() {
	LOOP=$(losetup --find --show "$1") || return 1
	echo "$LOOP" >"$DIR/loop"
}

# By the file: once it is gone, the device's name may be another test's.
detach() {
	local loop
	for loop in $(losetup -n -O NAME -j "$DIR/back.img" 2>/dev/null); do
		losetup -d "$loop"
	done
}

# The device behind the disk loses what it stands on: errors where it cannot be read or written, and no end.
pulled() {
	local loop
	truncate -s 64M "$DIR/back.img"
	loop_device "$DIR/back.img" || { echo "no loop device here"; return 0; }
	loop=$(cat "$DIR/loop")
	start srv "$loop"
	io "$(url srv)" "write -P 0x51 0 1M" "flush"
	put srv "write -P 0x52 32M 1M"
	losetup -d "$loop" # it goes when its last user does, and that is us
	io "$(url srv)" "read -P 0x51 0 1M" "write -P 0x53 1M 1M" "flush" "read -P 0x53 1M 1M"
	losetup "$loop" >/dev/null || fail "the device has gone"
	put srv "write -P 0x54 48M 1M"
	truncate -s 1M "$DIR/back.img"
	losetup -c "$loop" # the device is told, and is short now
	refused io "$(url srv)" "write -P 0x39 60M 64K" "flush"
	said srv "the device is gone"
	refused io "$(url srv)" "read 20M 64K"
	io "$(url srv)" "read -P 0x54 48M 1M"
	is_running srv
	ends_with_a_rest srv
}

at_end detach
plan 4
it "an image that was cut off, and is as long as before, is refused" hollow
it "until one says what is to be done" adopted_anyway
it "an image that was removed leaves its data in memory" removed
it "a device that is pulled is a failed disk, and no end of the server" pulled
the_end
