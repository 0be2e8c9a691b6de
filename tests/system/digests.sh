#!/bin/bash
# digests.sh KIND - data digests out of checksums that are kept beside the pages: right, whatever has become of
# a page meanwhile, and without reading it again.
. "$(dirname "$0")/lib.sh"
need qemu-io
kind=$1
SIZE=16M

serve() {
	case $kind in
	ram) start srv --ram $SIZE ;;
	file)
		truncate -s $SIZE "$DIR/disk.img"
		start srv "$DIR/disk.img"
		;;
	esac
}

bench() {
	timeout 60 "$BERTH" bench "$(url srv)" --time 1 --size $SIZE "$@" 2>&1
}

verified() {
	local said
	said=$(bench --verify --digest "$@") || { fail "$said"; return 1; }
	echo "$said"
	says "$said" "all as written"
}

# What was written whole, with or without a digest, is read at most once for any number of digests.
read_at_most_once() {
	local before after
	io "$(url srv)" "write -P 0x33 0 $SIZE" >/dev/null
	bench --digest --rw read --bs 1M >/dev/null
	before=$(dump srv)
	bench --digest --rw randread --bs 64k --iodepth 8 >/dev/null
	after=$(dump srv)
	# what a login asks about the disk lies in no page
	at_most $(($(value "$after" 'digest_bytes{read}') - $(value "$before" 'digest_bytes{read}'))) 4095 "read"
	at_least $(($(value "$after" 'digest_bytes{kept}') - $(value "$before" 'digest_bytes{kept}'))) 1000000 "joined"
}

# Pages change under their readers: by writes with and without digests, of whole pages and of parts, by UNMAP.
changing() {
	local pids=() pid
	verified --rw randrw --bs 4k --iodepth 16 >"$DIR/a" & pids+=($!)
	for _ in 1 2 3; do
		io "$(url srv)" "read 0 $SIZE" "write -P 0x11 1536 3072" "discard 1M 1M" "write -P 0 4M 1M" >/dev/null || true
	done
	wait "${pids[0]}" || true # the patterns of others are not its own
	silent_on "$(dump srv)" 'refused_pdus{data_digest} 1'
	verified --rw randrw --bs 512 --iodepth 16
	verified --rw randrw --bs 5632 --iodepth 16
	verified --rw randrw --bs 1M --iodepth 4 --pdu 8k
	io "$(url srv)" "discard 0 $SIZE" >/dev/null
	bench --digest --rw read --bs 1M >/dev/null
}

# Reads that nobody checks, of blocks that differ, many at once: none may land on another before its digest is known.
many_at_once() {
	bench --rw write --bs 1M --iodepth 4 >/dev/null
	bench --digest --rw randread --bs 4k --iodepth 32 || fail "a digest was wrong"
	bench --digest --rw read --bs 64k --iodepth 8 || fail "a digest was wrong"
}

without_them_nothing() {
	local said
	start plain --ram $SIZE
	timeout 60 "$BERTH" bench "$(url plain)" --time 1 --size $SIZE --rw randrw >/dev/null 2>&1
	said=$(dump plain)
	same "$(value "$said" 'digest_bytes{read}') $(value "$said" 'digest_bytes{kept}')" "0 0"
	stop plain
}

plan 6
it "serves" serve
it "reads a page at most once for its digests" read_at_most_once
it "is right while pages change" changing
it "is right for many reads of different blocks" many_at_once
it "keeps nothing without digests" without_them_nothing
it "ends well" stop srv
the_end
