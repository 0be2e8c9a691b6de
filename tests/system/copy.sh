#!/bin/bash
# copy.sh - `berth copy` in every direction, with holes; and what it says when it cannot.
. "$(dirname "$0")/lib.sh"
cd "$DIR" || exit 1
mkdir folder
truncate -s 48M image
dd if=/dev/urandom of=image bs=1M count=5 seek=3 conv=notrunc status=none
dd if=/dev/urandom of=image bs=777 count=3 seek=30000 conv=notrunc status=none
dd if=/dev/urandom of=image bs=512 count=1 seek=98303 conv=notrunc status=none

copy() {
	timeout 60 "$BERTH" copy "$@" 2>&1
}

to_a_disk_and_back() {
	copy image "$(url srv)" --verify
	copy "$(url srv)" back --verify
	cmp image back
	at_most "$(allocated back)" $((8 << 10)) "KiB of the copy"
}

# A disk that is full of something else: zeros take its place, and on a thin one cost nothing.
over_old_data() {
	io "$(url srv)" "write -P 0x77 0 48M"
	copy image "$(url srv)"
	copy "$(url srv)" back
	cmp image back
}

between_disks() {
	io "$(url srv 1)" "write -P 0x78 0 64M"
	copy image "$(url srv)"
	local said
	said=$(copy "$(url srv)" "$(url srv 1)" --verify --iodepth 3)
	says "$said" "verified"
	says "$said" "longer than the source"
	io "$(url srv 1)" "read -P 0x78 48M 16M"
	rm -f back
	copy "$(url srv 1)" back
	cmp -n $((48 << 20)) image back
}

between_files() {
	copy image other --verify
	cmp image other
	at_most "$(allocated other)" $((8 << 10)) "KiB of the copy"
}

# A file without a hole, three quarters of it zeros, 64 KiB at a time: in the copies they take no room.
zeros_among_data() {
	python3 -c '
import os
for i in range(256):
    os.write(1, os.urandom(65536) if i % 4 == 1 else bytes(65536))' >mixed
	at_least "$(allocated mixed)" $((16 << 10)) "KiB of the source"
	says "$(copy mixed other --verify)" "4.0 MiB written, 12.0 MiB zeros"
	cmp mixed other
	at_most "$(allocated other)" $((5 << 10)) "KiB of the copy"
	io "$(url srv)" "write -P 0x79 0 16M"
	local before after
	says "$(copy mixed "$(url srv)" --verify)" "4.0 MiB written, 12.0 MiB zeros"
	before=$(value "$(dump srv)" sent_bytes)
	copy "$(url srv)" back
	after=$(value "$(dump srv)" sent_bytes)
	cmp -n $((16 << 20)) mixed back
	# The rest of the disk may hold what other cases left there, 5 MiB.
	at_most $((after - before)) $((10 << 20)) "bytes read from a disk of 4 MiB of data"
}

# A device that somebody uses is refused by the system; one of 20 MiB takes 16, and its rest stays, but not 48.
onto_a_device() {
	truncate -s 20M backing
	io backing "write -P 0x7a 0 20M" >/dev/null
	copy mixed "$DEVICE" --verify
	cmp -n $((16 << 20)) mixed "$DEVICE"
	io backing "read -P 0x7a 16M 4M"
	at_most "$(allocated backing)" $((9 << 10)) "KiB under the device"
	refuses 1 "has 20M, and the source 48M" image "$DEVICE"
	copy "$DEVICE" "$(url srv)" --verify
	copy "$DEVICE" back --verify
	cmp "$DEVICE" back
	same "$(stat -c %s back)" $((20 << 20))
}

odd_length() {
	head -c 1000001 image >odd
	copy odd "$(url srv)" --verify
	copy "$(url srv)" back
	cmp -n 1000001 odd back
	head -c 1000448 back | tail -c 447 | cmp - <(head -c 447 /dev/zero)
	: >empty
	copy empty "$(url srv)" --verify
	copy empty other
	same "$(stat -c %s other)" 0
}

verify_can_fail() {
	local said code=0 pid
	copy image "$(url srv)"
	# Somebody writes while it copies, or between copy and check: within many tries it is seen.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		(for _ in 1 2 3 4 5 6; do qemu-io -f raw -c "write -P 0x66 40M 4M" "$(url srv)" >/dev/null; done) &
		pid=$!
		said=$(copy image "$(url srv)" --verify --iodepth 1) || code=$?
		wait $pid
		[ $code = 0 ] || break
	done
	echo "$said"
	same "$code" 1
	says "$said" "VERIFY FAILED"
}

refuses() {
	local want=$1 words=$2 code=0 said
	shift 2
	said=$(copy "$@") || code=$?
	echo "said: $said"
	same "$code" "$want"
	says "$said" "$words"
}

too_small() {
	truncate -s 65M large
	refuses 1 "has 48M, and the source 65M" large "$(url srv)"
}

# An image that is served: written it would be spoiled, read it would be old.
in_use() {
	truncate -s 48M served
	start owner served
	refuses 7 "served: in use by another process" image served
	refuses 7 "served: in use by another process" served new
	refused test -e new
	same "$(stat -c %s served)" $((48 << 20))
	stop owner
	copy image served --verify
}

# Whatever ends it before there is anything to keep: what was not there is not there afterwards, what was is.
leaves_nothing_new() {
	head -c 8M /dev/urandom >bad.img
	start bad bad.img,error=read
	echo old >old
	refuses 4 "No such file" nowhere new
	refuses 2 "neither a file nor a block device" . new
	refuses 3 "Connection refused" iscsi://127.0.0.1:1/iqn.2026-11.x:y/0 new
	refuses 4 "no such LUN" "$(url srv | sed 's,0$,7,')" new
	refuses 1 "MEDIUM ERROR" "$(url bad)" new
	silent_on "$(copy "$(url bad)" new || true)" "holds only a part"
	refused test -e new
	refuses 2 "neither a file nor a block device" . old
	same "$(cat old)" old
	refuses 4 "nowhere/new: No such file or directory" image nowhere/new
	refuses 2 "folder: neither a file nor a block device" image folder
	stop bad
	start bad bad.img,error=read:lba=8192
	refuses 1 "(new holds only a part of the copy: 4M of 8M)" "$(url bad)" new --iodepth 1
	test -e new
	rm new
	stop bad
}

a_pipe() {
	mkfifo pipe
	refuses 2 "pipe: neither a file nor a block device" pipe "$(url srv)"
	refuses 2 "pipe: neither a file nor a block device" image pipe
}

plan 20
it "serves two disks" start srv --ram 48M --ram 64M
it "a file to a disk and back, holes stay holes" to_a_disk_and_back
it "over old data" over_old_data
it "from disk to disk, the rest is left alone" between_disks
it "from file to file" between_files
it "zeros among data are holes in the copy" zeros_among_data
if command -v qemu-io >/dev/null && truncate -s 20M backing && DEVICE=$(losetup --find --show backing 2>/dev/null); then
	at_end losetup --detach "$DEVICE"
	it "onto a block device, and from it" onto_a_device
else
	echo "ok $((++n_cases)) - onto a block device, and from it # SKIP no loop device or no qemu-io"
fi
it "lengths that fill no block" odd_length
if command -v qemu-io >/dev/null; then
	it "--verify sees a copy that differs" verify_can_fail
else
	echo "ok $((++n_cases)) - --verify sees a copy that differs # SKIP qemu-io is not installed"
fi
it "a disk that is too small" too_small
it "no such source" refuses 4 "nowhere: No such file or directory" nowhere "$(url srv)"
it "an image that is served" in_use
it "a pipe" a_pipe
it "a copy that fails leaves nothing new" leaves_nothing_new
it "onto itself" refuses 2 "is the source itself" image image
it "a disk onto itself" refuses 2 "is the source itself" "$(url srv)" "$(url srv)"
it "no such LUN" refuses 4 "the target has no such LUN" image "$(url srv | sed 's,0$,7,')"
it "nobody there" refuses 3 "Connection refused" image iscsi://127.0.0.1:1/iqn.2026-11.x:y/0
it "words missing" refuses 2 "needs a source and a destination" image
it "no server of ours is left behind" stop srv
the_end
