#!/bin/bash
# signals.sh - SIGUSR1 tells, SIGTERM and SIGINT end in time, and doing nothing costs nothing.
. "$(dirname "$0")/lib.sh"
need qemu-io iscsi-perf
TICKS=$(getconf CLK_TCK)

COUNTERS="placed_bytes copied_bytes{merge} copied_bytes{tail} copied_bytes{guess} copied_bytes{copy} shared_bytes cloned_bytes receive_calls send_calls
	received_bytes sent_bytes wrong_guesses commands r2ts drained_bytes refused_pdus{tag_foreign}
	refused_pdus{tag_stale} refused_pdus{offset} refused_pdus{overrun} refused_pdus{datasn}"

tells() {
	local said name
	start srv --ram 64M
	io "$(url srv)" "write -P 1 0 8M" "read -P 1 0 8M"
	said=$(dump srv)
	for name in $COUNTERS; do
		value "$said" "$name" >/dev/null || fail "no line '$name VALUE' in: $said"
	done
	at_least "$(value "$said" placed_bytes)" $((7 << 20)) placed_bytes
	at_least "$(value "$said" sent_bytes)" $((8 << 20)) sent_bytes
	same "$(value "$said" "refused_pdus{")" 0
	same "$(cat "$DIR/srv.out" | grep -vc '^iscsi://')" 1 # standard output has the URLs and `ready`, no more
}

# A reactor sleeps for good: what is left is less than one tick a second, keepalives included.
idles() {
	local before after
	sleep 0.5
	before=$(cpu_ticks srv)
	sleep 3
	after=$(cpu_ticks srv)
	at_most $((after - before)) 2 "CPU of three idle seconds, in ticks of 1/$TICKS s,"
}

# The same with a session that is logged in and silent.
idles_with_a_guest() {
	local before after
	mkfifo "$DIR/words"
	qemu-io -f raw "$(url srv)" <"$DIR/words" >"$DIR/guest.out" 2>&1 &
	echo $! >"$DIR/guest.pid"
	exec 9>"$DIR/words"
	echo "write -P 5 0 64K" >&9
	eventually grep -q "wrote 65536/65536" "$DIR/guest.out"
	sleep 0.5
	before=$(cpu_ticks srv)
	sleep 3
	after=$(cpu_ticks srv)
	at_most $((after - before)) 2 "CPU of three idle seconds, in ticks of 1/$TICKS s,"
	echo "read -P 5 0 64K" >&9
	eventually grep -q "read 65536/65536" "$DIR/guest.out"
	silent_on "$(cat "$DIR/guest.out")" "verification failed"
	echo quit >&9
	exec 9>&-
	wait "$(cat "$DIR/guest.pid")"
	rm "$DIR/guest.pid"
}

# ends_by SIGNAL with somebody reading as fast as it can
ends_under_load() {
	local pid start
	start load --ram 64M
	timeout 60 iscsi-perf -t 30 -m 32 -b 64 -x 0 "$(url load)" >"$DIR/perf.out" 2>&1 &
	pid=$!
	sleep 1
	start=$SECONDS
	kill "-$1" "$(pid_of load)"
	eventually is_gone load
	at_most $((SECONDS - start)) 5 "seconds to the end"
	ended_well load
	rm -f "$DIR/load.pid"
	kill "$pid" 2>/dev/null || true
	wait "$pid" || true
}

ends_with_its_terminal() {
	start srv --ram 1M
	kill -HUP "$(pid_of srv)"
	eventually is_gone srv
	ended_well srv
	says "$(cat "$DIR/srv.err")" "SIGHUP: stopping"
	rm "$DIR/srv.pid"
	AS="env --ignore-signal=HUP" start srv --ram 1M
	kill -HUP "$(pid_of srv)"
	sleep 0.3
	is_running srv
	stop srv
}

plan 7
it "SIGUSR1 prints counters as 'name{label} value', on standard error only" tells
it "idle takes no CPU" idles
it "a silent session takes no CPU" idles_with_a_guest
it "SIGTERM ends it while idle" stop srv
it "SIGTERM ends it under load, with exit code 0" ends_under_load TERM
it "SIGINT does the same" ends_under_load INT
it "SIGHUP is the end of the terminal, unless it is ignored" ends_with_its_terminal
the_end
