#!/bin/bash
# bench.sh - `berth bench` against a server of ours: every byte checked, in every way of asking for it; numbers that
# agree with each other; clear words for what cannot be.
. "$(dirname "$0")/lib.sh"
need python3

bench() {
	timeout 60 "$BERTH" bench "$@" 2>&1
}

# verified ARGUMENT... - a short run whose every read was checked; there were some.
verified() {
	local said
	said=$(bench "$(url srv)" --time 1 --size 32M --verify "$@") || { fail "$said"; return 1; }
	echo "$said"
	says "$said" "all as written"
	silent_on "$said" " 0 reads checked"
}

# Where one of many reads fails its answer comes among their data, where data was expected: it is told as it came.
fails_among_many() {
	local said code=0
	start bad --ram 64M,error=read:lba=50000
	for _ in 1 2 3 4 5 6 7 8; do
		said=$(bench "$(url bad)" --time 5 --rw read --offset 20M --iodepth 32) || code=$?
		same "$code" 1
		says "$said" "read at offset 25600000: CHECK CONDITION: MEDIUM ERROR (03h/11h/00h)"
	done
	stop bad
}

# Something else in a block that was written shows: the check is one that can fail.
sees_what_is_wrong() {
	local said code=0 pid
	bench "$(url srv)" --time 20 --size 1M --rw randread --iodepth 4 --rate 2000 --verify >"$DIR/said" &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		qemu-io -f raw -c "write -P 0x5a 0 1M" "$(url srv)" >/dev/null
	done
	wait $pid || code=$?
	said=$(cat "$DIR/said")
	echo "$said"
	same "$code" 1
	says "$said" "VERIFY FAILED: offset"
	says "$said" "no write of this run"
}

# found_instead CHANGE - what the region held is put back under a bench that verifies, as CHANGE makes it of a file: what was said is
# in $DIR/said.
found_instead() {
	local pid code=0
	start small --ram 1M
	bench "$(url small)" --time 20 --rw randrw --iodepth 4 --rate 4000 --verify >"$DIR/said" &
	pid=$!
	sleep 1
	"$BERTH" copy "$(url small)" "$DIR/snap"
	sleep 1
	$1 "$DIR/snap"
	"$BERTH" copy "$DIR/snap" "$(url small)"
	wait $pid || code=$?
	cat "$DIR/said"
	same "$code" 1
	stop small
	says "$(cat "$DIR/said")" "VERIFY FAILED: offset"
}

blocks_are_moved() {
	python3 -c '
import sys
d = open(sys.argv[1], "rb").read()
open(sys.argv[1], "wb").write(d[4096:] + d[:4096])' "$1"
}

# 1: where it was looked for, 2: what should be there, 3: and what is, 4: from where.
HOLDS='s/.*offset \([0-9]*\) should hold write \([0-9]*\) of it, and holds write \([0-9]*\) of offset \([0-9]*\).*/'

sees_stale_blocks() {
	found_instead true
	same "$(sed "$HOLDS\\1/" "$DIR/said")" "$(sed "$HOLDS\\4/" "$DIR/said")"
	at_least "$(sed "$HOLDS\\2/" "$DIR/said")" $(($(sed "$HOLDS\\3/" "$DIR/said") + 1)) "the number of the write"
}

sees_blocks_of_others() {
	found_instead blocks_are_moved
	same $((($(sed "$HOLDS\\1/" "$DIR/said") + 4096) % 1048576)) "$(sed "$HOLDS\\4/" "$DIR/said")"
}

numbers_agree() {
	bench "$(url srv)" --time 1 --rw randrw --rwmixread 70 --iodepth 16 --connections 2 --numjobs 2 --json |
		python3 -c '
import json, sys
d = json.load(sys.stdin)
r, w = d["read"], d["write"]
n = r["requests"] + w["requests"]
assert n > 100, n
assert 0.6 < r["requests"] / n < 0.8, (r["requests"], n)
for x in r, w:
    l = x["latency_ns"]
    assert 1000 < l["min"] <= l["p50"] <= l["p90"] <= l["p99"] <= l["p99.9"] <= l["max"], l
    assert l["min"] <= l["mean"] <= l["max"], l
    assert abs(x["iops"] * d["seconds"] / x["requests"] - 1) < 0.01, x
    assert abs(x["bytes_per_s"] / 4096 - x["iops"]) < 1, x
# Little: what is under way is rate times latency.
under_way = sum(x["iops"] * x["latency_ns"]["mean"] / 1e9 for x in (r, w))
assert 20 < under_way < 34, under_way
assert d["client"]["cpu_us_per_request"] > 0
'
}

# On a busy machine the best of some runs counts.
rate_is_kept() {
	[ -z "${BERTH_SLOW:-}" ] || return 0
	local i iops=0
	for i in 1 2 3 4; do
		iops=$(bench "$(url srv)" --time 1 --rate 2000 --iodepth 8 --json |
			python3 -c 'import json, sys; print(int(json.load(sys.stdin)["read"]["iops"]))')
		at_most "$iops" 2100 "requests a second"
		[ "$iops" -lt 1500 ] || return 0
	done
	at_least "$iops" 1500 "requests a second"
}

# A server that is stopped for a second: that is in the latency of the few requests under way, and in that of each request that
# was due meanwhile. How long it was stopped is by the clock of a busy machine: at least so long.
nobody_is_left_out() {
	start still --ram 64M
	bench "$(url still)" --time 4 --rate 500 --iodepth 2 --connections 2 --numjobs 2 --rw randrw --json >"$DIR/json" &
	local pid=$!
	sleep 1.5
	kill -STOP "$(pid_of still)"
	sleep 1
	kill -CONT "$(pid_of still)"
	wait $pid
	stop still
	python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
n = sum(d[way]["requests"] for way in ("read", "write"))
assert 1900 <= n <= 2001, n
for way in "read", "write":
    began, due = d[way]["latency_ns"], d[way]["latency_due_ns"]
    assert began.keys() == due.keys()
    assert all(began[k] <= due[k] for k in began), (began, due)
    assert due["p90"] > 300e6, due
    assert due["p99"] > 800e6, due
assert min(d[way]["latency_ns"]["p90"] for way in ("read", "write")) < 300e6, d
' "$DIR/json"
}

# code | arguments | words
TABLE='
2 |                                         | no disk is named
2 | URL another                             | another: one word too many
2 | URL --rw sideways                       | --rw sideways: must be read
2 | URL --bs 1000                           | --bs 1000 bytes: must be a multiple of 512 bytes
2 | URL --bs 17M                            | --bs 17M: not a size
2 | URL --iodepth 0                         | --iodepth 0: not a number
2 | URL --size 1T                           | --size 1T: the disk has 64M
2 | URL --offset 63M --size 2M               | --size 2M: the disk has 1M behind --offset
2 | URL --offset 1G                          | --offset 1G: the disk ends at 64M
2 | URL --offset 100                        | --offset 100 bytes: must be a multiple of
2 | URL --verify --size 8k --iodepth 4      | the region of 8K is too small for all requests
2 | URL --frobnicate                        | --frobnicate: no such option
2 | iscsi://127.0.0.1/disk/0                | not the name of an iSCSI target
2 | PORTAL                                  | the URL names no target
3 | iscsi://127.0.0.1:1/iqn.2026-11.x:y/0   | Connection refused
4 | PORTAL/iqn.2026-11.x:nobody/0           | no such target
4 | PORTAL/TARGET/5                         | the target has no such LUN
'

refuses() {
	local want=$1 words=$2 code=0 said
	shift 2
	said=$(bench "$@") || code=$?
	echo "said: $said"
	same "$code" "$want"
	says "$said" "$words"
	same "$(wc -l <<<"$said")" 1
}

# exercise.c speaks TAP of its own; a disk in memory answers in the order of the commands.
every_call() {
	local said
	said=$(timeout 60 "$EXERCISE" "$(url srv)" in-order) || { fail "$said"; return 1; }
	echo "$said"
	silent_on "$said" "not ok"
}

# Names are an interface: what the manual lists is there, and nothing is missing in it.
json_is_as_told() {
	bench "$(url srv)" --time 1 --rate 2000 --json | python3 -c '
import json, re, sys
d = json.load(sys.stdin)
names = set(d) | set(d["read"]) | set(d["read"]["latency_ns"]) | set(d["client"]) | set(d["verify"])
page = open(sys.argv[1]).read().split(".SH OUTPUT")[1].split(".SH EXIT")[0].replace("\\-", "-")
told = set(re.findall(r"[a-z][a-z0-9_.]*[a-z0-9]", " ".join(l for l in page.split("\n") if re.match(r"\.(B|BR) ", l))))
assert names <= told, names - told
assert told - names <= {"json", "and"}, told - names
assert d["read"]["latency_ns"].keys() == d["write"]["latency_ns"].keys()
assert d["client"]["copied_bytes"] == 0, d["client"]
assert d["client"]["placed_bytes"] >= d["read"]["bytes"], d
' "$HERE/../../docs/berth-bench.1"
}

manual_is_true() {
	local verb name
	for verb in bench copy; do
		"$BERTH" $verb --help | grep -o -- '--[a-z][a-z0-9-]*' | sort -u >"$DIR/helped"
		sed 's/\\-/-/g' "$HERE/../../docs/berth-$verb.1" | grep -o -- '--[a-z][a-z0-9-]*' | sort -u >"$DIR/manual"
		diff "$DIR/helped" "$DIR/manual"
	done
}

plan $((21 + $(grep -c '|' <<<"$TABLE")))
it "serves" start srv --ram 64M
it "random reads" verified --rw randread --iodepth 32
it "random writes" verified --rw randwrite --iodepth 32
it "both, with digests of headers and data" verified --rw randrw --iodepth 16 --digest
it "both, two threads, eight connections" verified --rw randrw --iodepth 16 --numjobs 2 --connections 8
it "one block of 512 bytes" verified --rw randrw --bs 512 --size 1M --iodepth 8
it "1 MiB in order, PDUs of 8 KiB" verified --rw rw --bs 1M --iodepth 4 --pdu 8k
it "1 MiB at random, PDUs of 64 KiB" verified --rw randrw --bs 1M --iodepth 4 --pdu 64k
it "lengths that fill no page" verified --rw randrw --bs 5632 --iodepth 16
it "spinning" verified --rw randrw --spin 50
it "a hundred connections" verified --rw randrw --bs 4k --connections 100
if command -v qemu-io >/dev/null; then
	it "a block that somebody else has written is seen" sees_what_is_wrong
else
	echo "ok $((++n_cases)) - a block that somebody else has written is seen # SKIP qemu-io is not installed"
fi
it "a block as it was before its last write is seen" sees_stale_blocks
it "a block of another place is seen" sees_blocks_of_others
it "one read of many fails" fails_among_many
it "the numbers agree with each other" numbers_agree
it "--rate is kept" rate_is_kept
it "who was due while the server stood still has waited" nobody_is_left_out
while IFS='|' read -r code args words; do
	[ -n "$words" ] || continue
	args=${args//URL/$(url srv)}
	args=${args//PORTAL/$(portal srv)}
	args=${args//TARGET/$(url srv | cut -d/ -f4)}
	# shellcheck disable=SC2086
	it "berth bench $(echo $args | sed 's,iscsi://[^ ]*,URL,')" refuses $code "$(echo $words)" $args
done <<<"$TABLE"
it "every call of the library" every_call
it "the JSON is what the manual says" json_is_as_told
it "the manual pages and --help name the same options" manual_is_true
the_end
