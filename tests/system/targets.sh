#!/bin/bash
# targets.sh - several targets, LUNs, listeners and kinds of disk in one server, as clients see them.
. "$(dirname "$0")/lib.sh"
need iscsi-ls iscsi-readcapacity16 qemu-io qemu-img
A=iqn.2026-11.com.example:a
B=iqn.2026-11.com.example:b
truncate -s 8M "$DIR/ro.img"
printf 'written before' | dd of="$DIR/ro.img" conv=notrunc 2>/dev/null

starts() {
	start srv --target $A --ram 8M --ram 16M,block=4096 \
		--target $B "$DIR/ro.img,ro" --ram=4M,physical=512
}

prints_urls() {
	local port
	port=$(portal srv)
	same "$(cat "$DIR/srv.out")" "$port/$A/0
$port/$A/1
$port/$B/0
$port/$B/1
ready"
}

lists_all() {
	local said
	said=$(iscsi-ls -s "$(portal srv)")
	says "$said" "Target:$A"
	says "$said" "Target:$B"
	same "$(grep -c 'Lun:' <<<"$said")" 4
}

sizes_and_blocks() {
	same "$(iscsi-readcapacity16 -s "$(url srv 0)")" $((8 << 20))
	local said
	said=$(iscsi-readcapacity16 "$(url srv 1)")
	says "$said" "LOGICAL BLOCK LENGTH IN BYTES:4096"
	says "$said" "RETURNED LOGICAL BLOCK ADDRESS:4095"
	said=$(iscsi-readcapacity16 "$(url srv 0)")
	says "$said" "LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT:3"
	said=$(iscsi-readcapacity16 "$(url srv 3)")
	says "$said" "LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT:0"
}

# The reads from the disk with blocks of 4096 bytes are short: QEMU 7.2 asks for the status of 2^31 - 512 bytes
# before a longer one, and ends itself because that is no multiple of 4096.
disks_are_apart() {
	io "$(url srv 0)" "write -P 0xaa 0 4M"
	io "$(url srv 1)" "write -P 0xbb 0 4M" "write -P 0xbc 4K 4K"
	io "$(url srv 3)" "write -P 0xdd 0 4M"
	io "$(url srv 0)" "read -P 0xaa 0 4M" "read -P 0 4M 4M"
	io "$(url srv 1)" "read -P 0xbb 0 4K" "read -P 0xbc 4K 4K" "read -P 0xbb 8K 16K" \
		"read -P 0 4M 28K"
	io "$(url srv 3)" "read -P 0xdd 0 4M"
}

read_only() {
	local before
	before=$(sha256sum <"$DIR/ro.img")
	qemu-io -r -f raw -c "read -P 0 4M 1M" "$(url srv 2)"
	refused io "$(url srv 2)" "write -P 1 0 4K"
	same "$(sha256sum <"$DIR/ro.img")" "$before"
}

read_only_ram() {
	start zeros --ram 8M,ro
	says "$(cat "$DIR/zeros.err")" "--ram 8M,ro: a disk in memory that is read-only reads as zeros"
	qemu-io -r -f raw -c "read -P 0 4M 1M" "$(url zeros)"
	refused io "$(url zeros)" "write -P 1 0 4K"
	stop zeros
}

# More LUNs than peripheral addressing has: found by REPORT LUNS, and opened by the URLs that we print.
many_luns() {
	local disks=() i
	for ((i = 0; i < 260; i++)); do
		disks+=("$DIR/many-$i.img,size=1M")
	done
	start many "${disks[@]}"
	same "$(iscsi-ls -s "$(portal many)" | grep -c 'Lun:')" 260
	io "$(url many 255)" "write -P 0x55 0 64K"
	io "$(url many 256)" "write -P 0x56 0 64K"
	io "$(url many 259)" "write -P 0x59 0 64K"
	io "$(url many 256)" "read -P 0x56 0 64K" "read -P 0 64K 64K"
	stop many
	same "$(head -c 65536 "$DIR/many-259.img" | tr -d 'Y' | wc -c)" 0
	rm "$DIR"/many-*.img
}

# The list is longer than 64 KiB.
many_targets() {
	local args=() i long
	long=$(printf 'n%.0s' {1..180})
	for ((i = 0; i < 330; i++)); do
		args+=(--target "iqn.2026-11.com.example:$long.$i" "$DIR/name-$i.img,size=1M")
	done
	start names "${args[@]}"
	same "$(iscsi-ls "$(portal names)" | grep -c "Target:iqn.2026-11.com.example:$long")" 330
	stop names
	rm "$DIR"/name-*.img
}

not_there() {
	refused iscsi-readcapacity16 "$(portal srv)/$A/7"
	refused iscsi-readcapacity16 "$(portal srv)/iqn.2026-11.com.example:none/0"
	is_running srv
}

ipv6() {
	LISTEN="[::1]" start six --ram 8M
	says "$(url six)" "iscsi://[::1]:"
	says "$(iscsi-ls "$(portal six)")" "Portal:$(portal six | cut -c9-),"
	same "$(iscsi-readcapacity16 -s "$(url six)")" $((8 << 20))
	stop six
}

# The URLs name the first listener; the ports of the others are told on standard error.
several_listeners() {
	start two --ram 8M --listen "[::1]:0"
	local second
	second=$(sed -n 's/^berth: info: listening on \(\[::1\]:[0-9]*\)$/\1/p' "$DIR/two.err")
	says "$(iscsi-ls "iscsi://$second")" "Portal:$second,"
	stop two
}

advertised() {
	start far --ram 8M --advertise 192.0.2.7:3260
	says "$(iscsi-ls "$(portal far)")" "Portal:192.0.2.7:3260,"
	stop far
	start far --ram 8M --advertise 192.0.2.8 --advertise "[2001:db8::1]"
	local port said
	port=$(portal far)
	said=$(iscsi-ls "$port")
	says "$said" "Portal:192.0.2.8:${port##*:},"
	says "$said" "Portal:[2001:db8::1]:${port##*:},"
	stop far
}

plan 14
it "starts" starts
it "prints one line a LUN, then ready" prints_urls
it "iscsi-ls lists both targets and all LUNs" lists_all
it "sizes and block sizes" sizes_and_blocks
it "no disk shows another's bytes" disks_are_apart
it "260 LUNs, each at its URL" many_luns
it "330 targets with long names" many_targets
it "a read-only disk refuses writes" read_only
it "a read-only RAM disk does too, and the log says what it is good for" read_only_ram
it "no such LUN, no such target" not_there
it "IPv6 addresses stand in brackets" ipv6
it "a second listener tells its port" several_listeners
it "--advertise is what SendTargets tells" advertised
it "stops" stop srv
the_end
