#!/bin/bash
# other-target.sh - our client with a target that none of us wrote: tgt, with one file on tmpfs.
. "$(dirname "$0")/lib.sh"
need tgtd tgtadm
[ "$(id -u)" = 0 ] || skip_all "tgtd takes root"
MIB=64
URL=iscsi://127.0.0.1:PORT/iqn.2026-11.test:other/1

manage() {
	tgtadm -C "$CONTROL" --lld iscsi "$@"
}

# A control number and port of our own; where somebody has them, the next. A tgt that this machine runs as a service
# has number 0 and port 3260, and is not touched.
serve_with_tgt() {
	local n pid
	truncate -s ${MIB}M "$DIR/disk.img"
	for n in 1 2 3 4 5; do
		CONTROL=$((RANDOM % 20000 + 100))
		PORT=$((RANDOM % 20000 + 20000))
		echo "/run/tgtd/socket.$CONTROL" >"$DIR/sockets"
		tgtd -f -C $CONTROL --iscsi portal=127.0.0.1:$PORT >"$DIR/tgt.err" 2>&1 &
		pid=$!
		echo $pid >"$DIR/tgt.pid"
		for _ in $(seq 40); do
			manage --op new --mode target --tid 1 -T iqn.2026-11.test:other 2>/dev/null && break 2
			kill -0 $pid 2>/dev/null || break
			sleep 0.05
		done
		kill -KILL $pid 2>/dev/null
	done
	manage --op new --mode logicalunit --tid 1 --lun 1 -b "$DIR/disk.img"
	manage --op bind --mode target --tid 1 -I ALL
	echo "${URL/PORT/$PORT}" >"$DIR/url"
}

forget_sockets() {
	local path
	for path in $(cat "$DIR/sockets"); do
		rm -f "$path" "$path.lock"
	done
}
at_end forget_sockets

verified() {
	local said
	said=$(timeout 60 "$BERTH" bench "$(cat "$DIR/url")" --time 1 --verify "$@" 2>&1) || { fail "$said"; return 1; }
	says "$said" "all as written"
}

copies() {
	head -c ${MIB}M /dev/urandom >"$DIR/image"
	truncate -s $((MIB - 8))M "$DIR/image"
	truncate -s ${MIB}M "$DIR/image"
	timeout 60 "$BERTH" copy "$DIR/image" "$(cat "$DIR/url")" --verify
	timeout 60 "$BERTH" copy "$(cat "$DIR/url")" "$DIR/back"
	cmp "$DIR/image" "$DIR/back"
}

from_there_to_us() {
	start srv --ram ${MIB}M
	timeout 60 "$BERTH" copy "$(cat "$DIR/url")" "$(url srv)" --verify
	timeout 60 "$BERTH" copy "$(url srv)" "$(cat "$DIR/url")" --verify
	stop srv
}

plan 8
it "tgt serves" serve_with_tgt
it "random reads and writes" verified --rw randrw --iodepth 32
it "two threads, eight connections" verified --rw randrw --iodepth 8 --numjobs 2 --connections 8
it "1 MiB in order" verified --rw rw --bs 1M --iodepth 4
it "PDUs of 8 KiB" verified --rw randrw --bs 128k --iodepth 4 --pdu 8k
it "digests" verified --rw randrw --bs 20k --iodepth 8 --digest
it "copies there and back" copies
it "from there to us, and back" from_there_to_us
the_end
