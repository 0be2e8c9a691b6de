#!/bin/bash
# client.sh - our clients when things go wrong: a server that is killed under them, one that never answers, an image that
# rots, Ctrl-C in the middle; and how they prove who they are.
. "$(dirname "$0")/lib.sh"
need python3
cd "$DIR" || exit 1
SECRETS=hidden-one

# client WORD... - a subcommand with a time limit; what it says in $said, its exit code in $code. Signals reach it as at
# a terminal, though a script's background jobs would not have SIGINT.
client() {
	code=0
	said=$(timeout 60 env --default-signal=INT "$BERTH" "$@" 2>&1) || code=$?
	echo "exit code $code: $said"
}

fails_with() { # CODE WORDS COMMAND...: in one line
	local want=$1 words=$2
	shift 2
	client "$@"
	same "$code" "$want"
	says "$said" "$words"
	same "$(wc -l <<<"$said")" 1
	silent_on "$said" "$SECRETS"
}

# --- a server that dies ---

# A port that stays: the first start takes any, the next ones add it.
serve_file() {
	truncate -s 64M "$DIR/disk"
	start srv "$DIR/disk"
	url srv >"$DIR/url"
	sed 's,.*127.0.0.1:\([0-9]*\)/.*,\1,' "$DIR/url" >"$DIR/port"
}

kill_and_serve_again() {
	kill -KILL "$(pid_of srv)"
	eventually is_gone srv
	sleep 0.3
	start srv "$DIR/disk" --listen "127.0.0.1:$(cat "$DIR/port")"
}

# What was acknowledged is there after a kill -9, what was under way is sent again: every read finds what was written last.
survives_kills() {
	serve_file
	"$BERTH" bench "$(cat "$DIR/url")" --rw randrw --verify --size 16M --iodepth 16 --connections 2 \
		--time 3 --reconnect 20 --json >"$DIR/json" 2>"$DIR/said" &
	local pid=$! rc=0
	sleep 1
	kill_and_serve_again
	sleep 0.5
	kill_and_serve_again
	wait $pid || rc=$?
	cat "$DIR/said"
	same "$rc" 0
	python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
assert d["reconnects"] >= 2, d
assert d["verify"]["checked"] > 1000, d' "$DIR/json"
	stop srv
}

gives_up() {
	serve_file
	"$BERTH" bench "$(cat "$DIR/url")" --time 5 >"$DIR/said" 2>&1 &
	local pid=$! rc=0
	sleep 0.5
	kill -KILL "$(pid_of srv)"
	wait $pid || rc=$?
	cat "$DIR/said"
	at_least "$rc" 1
	same "$(wc -l <"$DIR/said")" 1
	rm -f "$DIR/srv.pid"
}

# Until the server was really killed in the middle of a copy.
copy_survives_a_kill() {
	head -c 60M /dev/urandom >"$DIR/image"
	serve_file
	local i pid rc=0
	for i in 1 2 3 4 5 6 7 8; do
		"$BERTH" copy "$DIR/image" "$(cat "$DIR/url")" --iodepth 2 >"$DIR/said" 2>&1 &
		pid=$!
		eventually grep -q 'normal login' "$DIR/srv.err"
		sleep 0.0$((i * 2))
		kill_and_serve_again
		wait $pid || rc=$?
		cat "$DIR/said"
		same "$rc" 0
		cmp -n $((60 << 20)) "$DIR/image" "$DIR/disk"
		! grep -q "was lost" "$DIR/said" || break
	done
	says "$(cat "$DIR/said")" "was lost"
	stop srv
}

# --- one that does not answer ---

# Connections are made by the kernel, and nobody takes them.
deaf() {
	python3 -c '
import socket, time
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
time.sleep(60)' >"$DIR/deaf" &
	echo $! >"$DIR/deaf.pid"
	eventually grep -q . "$DIR/deaf"
	local begin=$SECONDS deaf_url
	deaf_url=iscsi://127.0.0.1:$(cat "$DIR/deaf")/iqn.2026-11.x:y/0
	fails_with 1 "no login within 1000 ms" bench "$deaf_url" --timeout 1
	fails_with 1 "no login within 1000 ms" copy "$deaf_url" "$DIR/never" --timeout 1s
	refused test -e "$DIR/never"
	at_most $((SECONDS - begin)) 6 "seconds"
	kill "$(cat "$DIR/deaf.pid")"
	rm "$DIR/deaf.pid"
}

# It has answered, and then stops in the middle.
falls_silent() {
	start srv --ram 64M
	"$BERTH" bench "$(url srv)" --time 10 --timeout 1 >"$DIR/said" 2>&1 &
	local pid=$! rc=0 begin
	sleep 0.7
	kill -STOP "$(pid_of srv)"
	begin=$SECONDS
	wait $pid || rc=$?
	kill -CONT "$(pid_of srv)"
	cat "$DIR/said"
	same "$rc" 1
	same "$(wc -l <"$DIR/said")" 1
	at_most $((SECONDS - begin)) 5 "seconds"
	stop srv
}

# --- an image that rots ---

# The image is larger than the server's cache, and somebody else writes into it: a read that comes from the disk shows
# it, with its place.
sees_rot() {
	truncate -s 64M "$DIR/disk"
	start srv "$DIR/disk" --cache 32M
	"$BERTH" bench "$(url srv)" --rw randread --bs 64k --iodepth 4 --verify --time 20 >"$DIR/said" 2>&1 &
	local pid=$! rc=0 i
	for i in $(seq 40); do
		sleep 0.5
		kill -0 $pid 2>/dev/null || break
		python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
for at in range(0, 64 << 20, 1 << 20):
    os.pwrite(fd, b"\x5a", at + 4660)
os.fsync(fd)' "$DIR/disk"
	done
	wait $pid || rc=$?
	cat "$DIR/said"
	same "$rc" 1
	same "$(wc -l <"$DIR/said")" 1
	says "$(cat "$DIR/said")" "VERIFY FAILED: offset"
	# One byte of a sector: its number, and what is wrong there.
	local at
	at=$(sed 's/.*VERIFY FAILED: offset \([0-9]*\) .*/\1/' "$DIR/said")
	same $((at % (1 << 20))) 4608
	stop srv
}

# --- Ctrl-C ---

interrupted_bench() {
	start srv --ram 16M
	env --default-signal=INT "$BERTH" bench "$(url srv)" --time 30 --json >"$DIR/json" 2>"$DIR/said" &
	local pid=$! rc=0
	sleep 1
	kill -INT $pid
	wait $pid || rc=$?
	same "$rc" 130
	python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
assert d["interrupted"] is True and 0 < d["seconds"] < 5, d
assert d["read"]["requests"] > 0, d' "$DIR/json"
	stop srv
}

has_data() {
	[ -e "$1" ] && [ "$(allocated "$1")" -gt 0 ]
}

# A copy that stands still says what it has left behind, and leaves nothing under way.
interrupted_copy() {
	start srv --ram 64M,delay=read:50ms # a MiB at a time: three seconds
	head -c 60M /dev/urandom >"$DIR/image"
	local rc=0 pid
	"$BERTH" copy "$DIR/image" "$(url srv)" >/dev/null
	env --default-signal=INT "$BERTH" copy "$(url srv)" "$DIR/part" --iodepth 1 >"$DIR/said" 2>&1 &
	pid=$!
	eventually has_data "$DIR/part"
	kill -STOP "$(pid_of srv)"
	kill -INT $pid
	wait $pid || rc=$?
	kill -CONT "$(pid_of srv)"
	cat "$DIR/said"
	same "$rc" 130
	same "$(wc -l <"$DIR/said")" 1
	says "$(cat "$DIR/said")" "interrupted ($DIR/part holds only a part of the copy: "
	client copy "$(url srv)" "$DIR/part" --verify
	same "$code" 0
	stop srv
}

# --- who we are ---

proves_itself() {
	printf 'me %s\n=disk the-other-way\n' $SECRETS >"$DIR/users"
	printf 'me %s\n' $SECRETS >"$DIR/mine"
	printf 'me %s\nyou something-else\n' $SECRETS >"$DIR/ours"
	printf 'me %s\n=disk not-the-one\n' $SECRETS >"$DIR/wrong"
	chmod 600 "$DIR/users" "$DIR/mine" "$DIR/ours" "$DIR/wrong"
	start srv --ram 16M --chap-file "$DIR/users"
	local plain me
	plain=$(url srv)
	me=iscsi://me%$SECRETS@${plain#iscsi://}
	for words in "$me" "iscsi://me:$SECRETS@${plain#iscsi://}" "$me?target_password=the-other-way" \
		"$me?target_user=disk&target_password=the-other-way" \
		"$plain --chap-file users" "$plain --chap-file mine" "iscsi://me@${plain#iscsi://} --chap-file ours"; do
		# shellcheck disable=SC2086
		client bench $words --time 1 --verify --rw randrw --size 1M --iodepth 4
		same "$code" 0
	done
	head -c 1M /dev/urandom >"$DIR/small"
	client copy "$DIR/small" "$me" --verify
	same "$code" 0
	fails_with 5 "authentication failed, or is demanded" bench "$plain" --time 1
	fails_with 5 "authentication failed, or is demanded" bench "iscsi://me%other@${plain#iscsi://}" --time 1
	fails_with 5 "another name or secret than it should" bench "$me?target_password=not-the-one" --time 1
	fails_with 5 "another name or secret than it should" bench "$plain" --chap-file wrong --time 1
	fails_with 5 "another name" bench "$me?target_user=other&target_password=the-other-way" --time 1
	fails_with 2 "the target's password is the user's too" bench "$me?target_password=$SECRETS" --time 1
	fails_with 2 "a user without a password" bench "iscsi://me@${plain#iscsi://}" --time 1
	fails_with 2 "has several users" bench "$plain" --chap-file ours --time 1
	fails_with 2 "behind '?'" bench "$me?password=x" --time 1
	fails_with 4 "nowhere: No such file" bench "$plain" --chap-file nowhere --time 1
	fails_with 5 "authentication failed" copy "$DIR/small" "iscsi://me%$SECRETS-not@${plain#iscsi://}"
	chmod 644 "$DIR/mine"
	fails_with 5 "everybody may read" bench "$plain" --chap-file mine --time 1
	stop srv
	# A target that wants no proof is good enough, unless it has to give one.
	start srv --ram 16M
	client bench "iscsi://me%$SECRETS@$(url srv | cut -c9-)" --time 1
	same "$code" 0
	fails_with 5 "does not prove who it is" bench "$(url srv)" --chap-file users --time 1
	stop srv
}

# --- copies of thin disks, onto what may not be written, and what is shown meanwhile ---

holes_are_not_read() {
	start srv --ram 1G
	local before after
	io "$(url srv)" "write -P 7 300M 1M" "write -P 9 777M 512"
	before=$(value "$(dump srv)" sent_bytes)
	client copy "$(url srv)" "$DIR/thin" --verify
	same "$code" 0
	after=$(value "$(dump srv)" sent_bytes)
	at_most $((after - before)) $((4 << 20)) "bytes read"
	at_most "$(allocated "$DIR/thin")" 2048 "KiB of the copy"
	same "$(stat -c %s "$DIR/thin")" $((1 << 30))
	same "$(tr -d '\0' <"$DIR/thin" | wc -c)" $(((1 << 20) + 512))
	io "$DIR/thin" "read -P 7 300M 1M" "read -P 9 777M 512"
	stop srv
	rm "$DIR/thin"
}

read_only() {
	truncate -s 16M "$DIR/disk16"
	start srv "$DIR/disk16,ro"
	fails_with 5 "the disk is read-only" copy "$DIR/small" "$(url srv)"
	fails_with 5 "the disk is read-only" bench "$(url srv)" --rw randwrite --time 1
	client copy "$(url srv)" "$DIR/back"
	same "$code" 0
	stop srv
}

shows_progress() {
	start srv --ram 16M
	local words
	client bench "$(url srv)" --time 1
	silent_on "$said" $'\r'
	words=$(script -qec "'$BERTH' bench $(url srv) --time 2" /dev/null </dev/null)
	says "$words" $'\r'
	says "$words" "requests/s"
	words=$(script -qec "'$BERTH' copy $(url srv) '$DIR/back' --iodepth 1" /dev/null </dev/null)
	says "$words" "copy ["
	stop srv
}

# From file to file nothing ever waits, yet Ctrl-C is heeded. Of five copies, each of most of a second, one at least is met.
interrupted_between_files() {
	local pid rc
	truncate -s 6G "$DIR/image"
	python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
for at in range(0, 6 << 30, 1 << 20):
    os.pwrite(fd, b"x", at)' "$DIR/image"
	for _ in 1 2 3 4 5; do
		rm -f "$DIR/part"
		rc=0
		env --default-signal=INT "$BERTH" copy "$DIR/image" "$DIR/part" >"$DIR/said" 2>&1 &
		pid=$!
		eventually test -s "$DIR/part"
		kill -INT $pid
		wait $pid || rc=$?
		cat "$DIR/said"
		[ $rc = 0 ] || break
	done
	same "$rc" 130
	says "$(cat "$DIR/said")" "interrupted ($DIR/part holds only a part of the copy: "
	silent_on "$(cat "$DIR/said")" ": 6G of 6G"
	rm -f "$DIR/image" "$DIR/part"
}

plan 13
it "a server that is killed under verified load, twice" survives_kills
it "without --reconnect that is the end, in one line" gives_up
it "a server that is killed in the middle of a copy" copy_survives_a_kill
it "a target that never answers a login" deaf
it "one that falls silent" falls_silent
it "a byte of the image that somebody else has changed" sees_rot
it "bench tells what it has when it is interrupted" interrupted_bench
it "copy says what it leaves when it is interrupted" interrupted_copy
it "a copy from file to file is interrupted" interrupted_between_files
it "CHAP, both ways" proves_itself
if command -v qemu-io >/dev/null; then
	it "holes of a thin disk are not read" holes_are_not_read
else
	echo "ok $((++n_cases)) - holes of a thin disk are not read # SKIP qemu-io is not installed"
fi
it "a read-only disk" read_only
it "progress is shown on a terminal alone" shows_progress
the_end
