#!/bin/bash
# copies.sh - how much of what real initiators write is moved twice: nothing but what was read ahead or guessed
# wrong, and little of that.
. "$(dirname "$0")/lib.sh"
need qemu-img
MIB=96
head -c ${MIB}M /dev/urandom >"$DIR/random.img"

image() { # URL - a file's content, in order
	qemu-img convert -n -f raw -O raw "$DIR/random.img" "$1"
}

deep() { # KIB DEPTH URL - as many bytes in requests of KIB, DEPTH of them at once
	qemu-img bench -w -f raw -s "$1K" -d "$2" -c $((MIB * 1024 / $1)) "$3" >/dev/null
}

# write_and_count HOW PERCENT ARGUMENT... - MIB by one of these; then the counters
write_and_count() {
	local how=$1 percent=$2 said placed tail guess calls
	shift 2
	start srv --ram ${MIB}M "$@"
	$how "$(url srv)"
	said=$(dump srv)
	echo "$said"
	placed=$(value "$said" placed_bytes)
	tail=$(value "$said" "copied_bytes{tail}")
	guess=$(value "$said" "copied_bytes{guess}")
	calls=$(value "$said" receive_calls)
	same "$(value "$said" "copied_bytes{merge}")" 0
	same "$(value "$said" "refused_pdus{")" 0
	same "$(value "$said" drained_bytes)" 0
	at_least $((placed + tail + guess)) $((MIB << 20)) "bytes placed or copied"
	at_most $(((tail + guess) * 1000 / (MIB << 20))) $((percent * 10)) "tail and guess, in thousandths,"
	# Under a checker the server takes what little has come by the time it looks: more calls, and they say nothing.
	# Commands whose data are all unsolicited take a call each.
	[ -n "${BERTH_SLOW:-}" ] || [ "$how" = "deep 64 64" ] || at_most $((calls / MIB)) 10 "receive calls a MiB"
	stop srv
}

# A line of the trace for each thing that Figure 9 shows, on one write of 64 KiB.
traced() {
	start srv --ram 8M --r2t line --trace "$DIR/trace" --param InitialR2T=Yes --param ImmediateData=No
	qemu-io -f raw -c "write -P 9 16K 64K" "$(url srv)"
	eventually grep -q "^status " "$DIR/trace" # of a connection that has ended, while the server runs on
	stop srv
	local word
	for word in command r2t entry data status; do
		grep -q "^$word conn=[0-9]* itt=0x[0-9a-f]*" "$DIR/trace" || fail "no '$word' line in: $(cat "$DIR/trace")"
	done
	same "$(grep '^r2t ' "$DIR/trace" | grep -o 'offset=[^ ]* length=[^ ]*')" "offset=0x00000000 length=0x00004000
offset=0x00004000 length=0x00008000
offset=0x0000c000 length=0x00004000"
	same "$(grep '^data ' "$DIR/trace" | grep -c 'place=0x')" "$(grep -c '^data ' "$DIR/trace")"
}

plan 7
it "an image in PDUs of 256 KiB: at most 2 % are copied" write_and_count image 2
it "an image in PDUs of 8 KiB: at most 5 % are copied" write_and_count image 5 --param MaxRecvDataSegmentLength=8192
it "8 requests of 1 MiB at once: at most 2 % are copied" write_and_count "deep 1024 8" 2
it "8 requests of 1 MiB at once in PDUs of 8 KiB: at most 5 % are copied" write_and_count "deep 1024 8" 5 --param MaxRecvDataSegmentLength=8192
it "64 requests of 64 KiB at once: at most 2 % are copied" write_and_count "deep 64 64" 2
it "64 requests of 64 KiB at once in PDUs of 8 KiB: at most 5 % are copied" \
	write_and_count "deep 64 64" 5 --param MaxRecvDataSegmentLength=8192
it "--trace shows where each byte of a write was placed, once the connection has ended" traced
the_end
