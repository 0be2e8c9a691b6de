#!/bin/bash
# clients.sh ram|file|loop - initiators that none of us wrote, against one kind of disk: they find it, see its
# size, and every byte that they write comes back.
. "$(dirname "$0")/lib.sh"
kind=$1
need iscsi-ls iscsi-inq iscsi-readcapacity16 iscsi-perf qemu-img qemu-io
MIB=64
MAX_TRANSFER=32768 # blocks: 16 MiB

case $kind in
ram) disk=(--ram ${MIB}M) ;;
file) disk=("$DIR/disk.img,size=${MIB}M") ;;
loop)
	[ "$(id -u)" = 0 ] || skip_all "loop devices take root"
	truncate -s ${MIB}M "$DIR/backing.img"
	device=$(losetup --find --show "$DIR/backing.img") || skip_all "no loop device to be had"
	at_end losetup --detach "$device"
	disk=("$device")
	;;
esac

lists_targets_and_luns() {
	local said
	said=$(iscsi-ls -s "$(portal srv)")
	says "$said" "Target:iqn."
	says "$said" "Portal:127.0.0.1:"
	says "$said" "Type:DIRECT_ACCESS"
	says "$said" "$(url srv | awk -F/ '{ print "Lun:" $NF }')"
}

inquires() {
	local said
	said=$(iscsi-inq "$(url srv)")
	says "$said" "Peripheral Device Type:DIRECT_ACCESS"
	says "$said" "CmdQue:1"
	said=$(iscsi-inq -e 1 -c 0 "$(url srv)") # iscsi-inq takes decimal numbers only
	says "$said" "Page:0x80 UNIT_SERIAL_NUMBER"
	says "$said" "Page:0xb2 LOGICAL_BLOCK_PROVISIONING"
	says "$(iscsi-inq -e 1 -c 128 "$(url srv)")" "Unit Serial Number:"
	says "$(iscsi-inq -e 1 -c 131 "$(url srv)")" "Designator Type:(3) NAA"
	says "$(iscsi-inq -e 1 -c 176 "$(url srv)")" "maximum transfer length:$MAX_TRANSFER"
}

knows_the_size() {
	local said
	said=$(iscsi-readcapacity16 "$(url srv)")
	says "$said" "LOGICAL BLOCK LENGTH IN BYTES:512"
	says "$said" "RETURNED LOGICAL BLOCK ADDRESS:$(((MIB << 11) - 1))"
	same "$(iscsi-readcapacity16 -s "$(url srv)")" $((MIB << 20))
	said=$(qemu-img info "$(url srv)")
	says "$said" "virtual size: $MIB MiB"
}

# A whole disk there and back, by way of two formats.
image_there_and_back() {
	head -c ${MIB}M /dev/urandom >"$DIR/random.img"
	qemu-img convert -n -f raw -O raw "$DIR/random.img" "$(url srv)"
	says "$(qemu-img compare -f raw -F raw "$DIR/random.img" "$(url srv)")" "Images are identical"
	qemu-img convert -f raw -O qcow2 "$(url srv)" "$DIR/back.qcow2"
	says "$(qemu-img compare -F raw "$DIR/back.qcow2" "$DIR/random.img")" "Images are identical"
	rm -f "$DIR/back.qcow2"
}

# Each line: pattern, offset, length; they overlap, begin and end inside pages, one is of 16 MiB.
patterns() {
	local target
	target=$(url srv)
	io "$target" "write -P 0x11 0 1M" "write -P 0x22 512 512" "write -P 0x33 4608 8K" \
		"write -P 0x44 130560 1024" "write -P 0x55 16M 16M" "write -P 0x66 17M 1536"
	io "$target" "read -P 0x11 0 512" "read -P 0x22 512 512" "read -P 0x11 1K 3584" \
		"read -P 0x33 4608 8K" "read -P 0x11 12800 117760" "read -P 0x44 130560 1024" \
		"read -P 0x11 131584 916992" "read -P 0x55 16M 1M" "read -P 0x66 17M 1536" \
		"read -P 0x55 17827328 14M"
}

many_at_once() {
	io "$(url srv)" "aio_write -P 0x71 0 4K" "aio_write -P 0x72 4K 64K" "aio_write -P 0x73 1M 2M" \
		"aio_write -P 0x74 8M 512" "aio_write -P 0x75 8389120 512" "aio_flush" \
		"read -P 0x71 0 4K" "read -P 0x72 4K 64K" "read -P 0x73 1M 2M" "read -P 0x74 8M 512" \
		"read -P 0x75 8389120 512"
}

zeros() {
	io "$(url srv)" "write -P 0x77 32M 4M" "write -z 33M 1M" "write -z -u 34M 1M" "discard 35M 512K" \
		"read -P 0x77 32M 1M" "read -P 0 33M 1M" "read -P 0 34M 1M" "read -P 0 35M 512K" \
		"read -P 0x77 37224448 512K"
}

nothing_beyond_the_end() {
	refused io "$(url srv)" "write -P 1 $((MIB - 1))M 2M"
	io "$(url srv)" "write -P 0x7e $((MIB * 1048576 - 512)) 512" \
		"read -P 0x7e $((MIB * 1048576 - 512)) 512"
}

reads_in_bulk() {
	local said
	said=$(timeout 60 iscsi-perf -t 2 -m 32 -b 8 -r "$(url srv)" 2>&1)
	says "$said" "iops"
	silent_on "$said" "failed"
}

nothing_is_left() {
	local now
	sleep 0.3
	now=$(dump srv)
	same "$(value "$now" sessions)" 0
	same "$(value "$now" tasks)" 0
}

plan 11
it "serves a $kind disk" start srv "${disk[@]}"
it "iscsi-ls finds target and LUN" lists_targets_and_luns
it "iscsi-inq reads the inquiry pages" inquires
it "iscsi-readcapacity16 and qemu-img know the size" knows_the_size
it "an image goes there and back (qemu-img convert, compare)" image_there_and_back
it "patterns at odd places (qemu-io)" patterns
it "many commands at once (qemu-io)" many_at_once
it "zeros and holes read as zeros (qemu-io)" zeros
it "nothing can be written beyond the end" nothing_beyond_the_end
it "iscsi-perf reads at depth 32" reads_in_bulk
it "no session and no task is left, and it stops" eval 'nothing_is_left; stop srv'
the_end
