#!/bin/bash
# other-target.sh - our client with a target that none of us wrote: tgt, with one file on tmpfs.
. "$(dirname "$0")/lib.sh"
need tgtd tgtadm
[ "$(id -u)" = 0 ] || skip_all "tgtd takes root"
MIB=64
URL=iscsi://127.0.0.1:PORT/iqn.2026-11.test:other/1

: >"$DIR/numbers"

manage() {
	read -r CONTROL PORT <"$DIR/numbers"
	tgtadm -C "$CONTROL" --lld iscsi "$@"
}

begin_tgt() {
	read -r CONTROL PORT <"$DIR/numbers"
	echo "/run/tgtd/socket.$CONTROL" >"$DIR/sockets"
	tgtd -f -C "$CONTROL" --iscsi portal=127.0.0.1:"$PORT" >"$DIR/tgt.err" 2>&1 &
	echo $! >"$DIR/tgt.pid"
}

add_target() {
	manage --op new --mode target --tid 1 -T iqn.2026-11.test:other || return 1
	manage --op new --mode logicalunit --tid 1 --lun 1 -b "$DIR/disk.img"
	manage --op update --mode logicalunit --tid 1 --lun 1 --params thin_provisioning=1
	manage --op bind --mode target --tid 1 -I ALL
}

# Without its port a tgtd lives on, and takes orders.
can_be_reached() {
	add_target 2>/dev/null && ! grep -q "unable to bind" "$DIR/tgt.err"
}

# A control number and port of our own; where somebody has them, the next. The ports that the system gives to
# connections begin above them. A tgt that this machine runs as a service has number 0 and port 3260, and is not touched.
serve_with_tgt() {
	local n pid
	truncate -s ${MIB}M "$DIR/disk.img"
	for n in 1 2 3 4 5; do
		echo $((RANDOM % 20000 + 100)) $((RANDOM % 20000 + 10000)) >"$DIR/numbers"
		begin_tgt
		pid=$(cat "$DIR/tgt.pid")
		for _ in $(seq 40); do
			can_be_reached && break 2
			kill -0 $pid 2>/dev/null || break
			sleep 0.05
		done
		kill -KILL $pid 2>/dev/null
	done
	kill -0 $pid
	read -r CONTROL PORT <"$DIR/numbers"
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

# exercise.c speaks TAP of its own: a case that fails is shown. It comes last: tgt frees tasks that were aborted, or whose
# connection has gone, while its threads still read for them, and what others then get from it is a matter of luck.
every_call() {
	local said
	said=$(timeout 60 "$EXERCISE" "iscsi://me%the-secret-of-me@$(cut -c9- "$DIR/url")") || { fail "$said"; return 1; }
	echo "$said"
	silent_on "$said" "not ok"
}

# As the initiator, and with an account for each direction.
with_chap() {
	manage --op new --mode account --user me --password the-secret-of-me
	manage --op new --mode account --user disk --password the-other-way-it
	manage --op bind --mode account --tid 1 --user me
	manage --op bind --mode account --tid 1 --user disk --outgoing
	local me code=0
	me=iscsi://me%the-secret-of-me@$(cut -c9- "$DIR/url")
	timeout 20 "$BERTH" bench "$me" --time 1 --verify --size 1M
	timeout 20 "$BERTH" bench "$me?target_user=disk&target_password=the-other-way-it" --time 1 --verify --size 1M
	timeout 20 "$BERTH" bench "$me?target_password=not-the-one" --time 1 || code=$?
	same "$code" 5
	code=0
	timeout 20 "$BERTH" bench "$(cat "$DIR/url")" --time 1 || code=$?
	same "$code" 5
}

# Killed in the middle, it comes back as it was: listening before it knows its target.
killed_once() {
	timeout 60 "$BERTH" bench "$(cat "$DIR/url")" --time 4 --rw randread --iodepth 8 --reconnect 30 >"$DIR/said" 2>&1 &
	local pid=$! rc=0
	sleep 1
	kill -KILL "$(cat "$DIR/tgt.pid")"
	sleep 0.3
	begin_tgt
	sleep 0.5
	add_target
	wait $pid || rc=$?
	cat "$DIR/said"
	[ $rc = 0 ] && grep -q "made again" "$DIR/said"
}

# Of three times once at least: now and then a tgt that has just begun answers one READ with sense data of nobody's
# (02h/1dh/04h), and that ends a bench.
comes_back() {
	killed_once || killed_once || killed_once
}

plan 11
it "tgt serves" serve_with_tgt
it "random reads and writes" verified --rw randrw --iodepth 32
it "two threads, eight connections" verified --rw randrw --iodepth 8 --numjobs 2 --connections 8
it "1 MiB in order" verified --rw rw --bs 1M --iodepth 4
it "PDUs of 8 KiB" verified --rw randrw --bs 128k --iodepth 4 --pdu 8k
it "digests" verified --rw randrw --bs 20k --iodepth 8 --digest
it "copies there and back" copies
it "from there to us, and back" from_there_to_us
it "it is killed under load, and comes back" comes_back
it "CHAP, both ways" with_chap
it "every call of the library" every_call
the_end
