#!/bin/bash
# discard.sh - UNMAP and WRITE SAME of zeros give space back: the file's to the disk, RAM to the system.
. "$(dirname "$0")/lib.sh"
need qemu-io qemu-img
KIB=$((48 << 10)) # written, then given back

file_gives_back() {
	start srv "$DIR/disk.img,size=64M"
	io "$(url srv)" "write -P 0x61 0 48M" "flush"
	at_least "$(allocated "$DIR/disk.img")" $KIB "KiB on the disk"
	io "$(url srv)" "$1" "flush"
	at_most "$(allocated "$DIR/disk.img")" 1024 "KiB on the disk"
	io "$(url srv)" "read -P 0 0 48M" "write -P 0x62 4K 4K" "read -P 0x62 4K 4K" "read -P 0 8K 64K"
	stop srv
	same "$(stat -c %s "$DIR/disk.img")" $((64 << 20))
	rm "$DIR/disk.img"
}

# A checker has memory of its own, which comes and goes: it gets more slack.
ram_gives_back() {
	local empty full after slack=4096
	[ -z "${BERTH_SLOW:-}" ] || slack=24576
	start srv --ram 64M
	io "$(url srv)" "read -P 0 0 64M"
	empty=$(resident srv)
	io "$(url srv)" "write -P 0x63 0 48M"
	full=$(resident srv)
	at_least $((full - empty)) $((KIB - slack)) "KiB that 48 MiB of data take"
	io "$(url srv)" "$1"
	after=$(resident srv)
	at_least $((full - after)) $((KIB - slack)) "KiB given back"
	io "$(url srv)" "read -P 0 0 48M" "write -P 0x64 4K 4K" "read -P 0x64 4K 4K" "read -P 0 8K 64K"
	stop srv
}

# Reading what was never written takes nothing, however large the disk is.
thin() {
	local before after
	start srv --ram 256M
	before=$(resident srv)
	io "$(url srv)" "read -P 0 0 128M" "read -P 0 128M 128M"
	after=$(resident srv)
	at_most $((after - before)) 16384 "KiB for 256 MiB of nothing"
	stop srv
}

# QEMU asks with GET LBA STATUS, and says so on standard error when that is refused.
holes_are_told() {
	start srv --ram 64M "$DIR/told.img,size=8M"
	io "$(url srv)" "write -P 0x65 8M 1M"
	local said
	said=$(qemu-img map -f raw --output=json "$(url srv)" 2>&1)
	same "$(grep -o '"start": [0-9]*, "length": [0-9]*' <<<"$said")" '"start": 0, "length": 8388608
"start": 8388608, "length": 1048576
"start": 9437184, "length": 57671680'
	same "$(grep -o '"data": [a-z]*' <<<"$said" | tr '\n' ' ')" '"data": false "data": true "data": false '
	same "$(qemu-img convert -f raw -O raw "$(url srv)" "$DIR/copy.img" 2>&1)" ""
	same "$(qemu-img convert -f raw -O raw "$(url srv 1)" "$DIR/copy.img" 2>&1)" ""
	stop srv
	rm "$DIR/told.img" "$DIR/copy.img"
}

plan 6
it "UNMAP punches holes into the file" file_gives_back "discard 0 48M"
it "WRITE SAME of zeros with UNMAP does so too" file_gives_back "write -z -u 0 48M"
it "UNMAP gives memory back" ram_gives_back "discard 0 48M"
it "WRITE SAME of zeros with UNMAP does so too" ram_gives_back "write -z -u 0 48M"
it "unwritten pages cost nothing" thin
it "GET LBA STATUS tells where nothing is" holes_are_told
the_end
