# lib.sh - verbs for the scripts of this folder: a server of our own, cases, what must hold at the end.
#
# A script sources this, then calls `plan N`, then `it "does something" function` N times. A case is a
# function that runs in a shell of its own with `set -e`: it passes when each command does. Output is TAP; what a
# case printed is shown when it fails. Everything a script makes lies in $DIR and goes with it.
#
# BERTH is the program, BERTH_ENGINE epoll or uring; BERTH_SLOW says that it runs under a checker, and how much slower that is.
set -u

# Whatever a script starts is known by a word of its environment, which is inherited: the script begins again with it.
case ${BERTH_SCRIPT:-} in
$$-*) ;;
*) exec env BERTH_SCRIPT="$$-$EPOCHREALTIME" bash "$0" "$@" ;;
esac

: "${BERTH:?is the program to test}"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ENGINE=${BERTH_ENGINE:-auto}
PATIENCE=20 # seconds until something that must happen counts as never happening
DIR=$(mktemp -d "${TMPDIR:-/tmp}/berth-XXXXXX")
chmod 755 "$DIR"
# Buffer memory of our own, on tmpfs where there is one.
RUN=$(mktemp -d /dev/shm/berth-XXXXXX 2>/dev/null || mktemp -d "$DIR/run-XXXXXX")
n_cases=0
bad=0
AT_END=()

# at_end COMMAND... - runs when the script ends, however it ends; the last one first.
at_end() {
	AT_END+=("$(printf '%q ' "$@")")
}

# left_over - the processes that the script and its offspring have started, but for itself and whoever looks for them.
left_over() {
	local file pid
	for file in $(grep -lzFx "BERTH_SCRIPT=$BERTH_SCRIPT" /proc/[0-9]*/environ 2>/dev/null); do
		pid=${file#/proc/}
		pid=${pid%/environ}
		[ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ] || [ ! -e "/proc/$pid" ] || echo "$pid"
	done
}

# end_them - some cannot die before a device is let go, and some start others meanwhile.
end_them() {
	local pids tries
	for ((tries = 0; tries < $1; tries++)); do
		pids=$(left_over)
		[ -n "$pids" ] || return 0
		# shellcheck disable=SC2086
		kill -KILL $pids 2>/dev/null
		sleep 0.05
	done
}

finish() {
	local i
	trap '' INT TERM HUP
	end_them 2
	for ((i = ${#AT_END[@]} - 1; i >= 0; i--)); do
		eval "${AT_END[i]}" >/dev/null 2>&1
	done
	end_them 100
	rm -rf "$DIR" "$RUN"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

plan() {
	echo "1..$1"
}

# skip_all REASON - this machine cannot run the script. In TAP the plan says so; meson takes any exit code but 0
# for a failure.
skip_all() {
	echo "1..0 # SKIP $1"
	exit 0
}

need() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null || skip_all "$tool is not installed"
	done
}

it() {
	local title=$1
	shift
	n_cases=$((n_cases + 1))
	# A signal ends the script at once, not only when the case has ended: `wait` can be interrupted.
	( set -e; "$@" ) >"$DIR/case.log" 2>&1 &
	if wait $!; then
		echo "ok $n_cases - $title"
		return
	fi
	bad=1
	echo "not ok $n_cases - $title"
	sed 's/^/# /' "$DIR/case.log"
	tail -n 20 "$DIR"/*.err 2>/dev/null | sed 's/^/# server: /'
}

# the_end - the script's own exit code.
the_end() {
	exit $bad
}

# --- expectations; each says what it saw when it does not hold ---

fail() {
	echo "$*"
	return 1
}

same() {
	[ "$1" = "$2" ] || fail "it is '$1' and should be '$2'"
}

says() {
	case $1 in
	*"$2"*) ;;
	*) fail "no '$2' in: $1" ;;
	esac
}

silent_on() {
	case $1 in
	*"$2"*) fail "'$2' is in: $1" ;;
	esac
}

at_most() {
	[ "$1" -le "$2" ] || fail "${3:-it} is $1 and should be at most $2"
}

at_least() {
	[ "$1" -ge "$2" ] || fail "${3:-it} is $1 and should be at least $2"
}

refused() {
	if "$@"; then
		fail "should have failed: $*"
	fi
}

# eventually COMMAND... - until it succeeds, or patience ends.
eventually() {
	local end=$((SECONDS + PATIENCE))
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "never happened: $*" || return 1
		sleep 0.05
	done
}

# --- a server; NAME lets a script have several ---

# start NAME ARGUMENT... - serves on a free port of $LISTEN (127.0.0.1); $DIR/NAME.{out,err,pid} belong to it. 0 when it is ready.
start() {
	local name=$1
	shift
	: >"$DIR/$name.out"
	${AS:-} "$BERTH" serve --engine "$ENGINE" --listen "${LISTEN:-127.0.0.1}:0" \
		--cache 64M --run-dir "$RUN" "$@" \
		>"$DIR/$name.out" 2>"$DIR/$name.err" </dev/null &
	echo $! >"$DIR/$name.pid"
	eventually is_ready_or_gone "$name" && is_ready "$name"
}

is_ready() {
	grep -qx ready "$DIR/$1.out"
}

is_running() {
	local state
	state=$(sed -n 's/^State:[[:space:]]*//p' "/proc/$(pid_of "$1")/status" 2>/dev/null) &&
		[ -n "$state" ] && [ "${state:0:1}" != Z ]
}

is_gone() {
	! is_running "$1"
}

is_ready_or_gone() {
	is_ready "$1" || is_gone "$1"
}

pid_of() {
	cat "$DIR/$1.pid"
}

# url NAME [N] - of its Nth disk, counted from 0.
url() {
	grep '^iscsi://' "$DIR/$1.out" | sed -n "$((${2:-0} + 1))p"
}

portal() {
	url "$1" | sed 's,^\(iscsi://[^/]*\)/.*,\1,'
}

# stop NAME - SIGTERM; it must end well within five seconds, and no checker may have spoken.
stop() {
	local name=$1 pid start=$SECONDS
	pid=$(pid_of "$name")
	kill -TERM "$pid"
	eventually is_gone "$name"
	[ -n "${BERTH_SLOW:-}" ] || at_most $((SECONDS - start)) 5 "the time to stop, in seconds,"
	ended_well "$name"
	rm -f "$DIR/$name.pid"
}

# The exit code of a server is known to the shell that started it: wait works in the case that did, elsewhere
# the server's own words must do.
ended_well() {
	local code=0
	wait "$(pid_of "$1")" 2>/dev/null || code=$?
	[ $code = 127 ] || same "$code" 0
	silent_on "$(cat "$DIR/$1.err")" "ERROR: AddressSanitizer"
	silent_on "$(cat "$DIR/$1.err")" "ERROR: LeakSanitizer"
	silent_on "$(cat "$DIR/$1.err")" "runtime error:"
	silent_on "$(cat "$DIR/$1.err")" "WARNING: ThreadSanitizer"
}

# dump NAME - what SIGUSR1 prints, the counters and tables of this moment.
dump() {
	local err=$DIR/$1.err before
	before=$(wc -c <"$err")
	kill -USR1 "$(pid_of "$1")"
	eventually dump_is_whole "$err" "$before"
	tail -c +$((before + 1)) "$err"
}

dump_is_whole() {
	local now
	now=$(tail -c +$(($2 + 1)) "$1")
	[ -n "$now" ] || return 1
	sleep 0.1
	[ "$now" = "$(tail -c +$(($2 + 1)) "$1")" ]
}

# value DUMP NAME - of one line "name value"; sum over all lines when NAME ends with a brace.
value() {
	awk -v name="$2" '$1 == name || (name ~ /{$/ && index($1, name) == 1) { n += $2; found = 1 }
		END { if (!found) exit 1; printf "%.0f\n", n }' <<<"$1"
}

# cpu_ticks NAME - user and system time of the server so far, in clock ticks.
cpu_ticks() {
	is_running "$1" || fail "no server is running" || return 1
	sed 's/.*) //' "/proc/$(pid_of "$1")/stat" | awk '{ print $12 + $13 }'
}

# resident NAME - KiB of memory that the server holds, shared memory included.
resident() {
	is_running "$1" || fail "no server is running" || return 1
	awk '/^VmRSS:/ { print $2 }' "/proc/$(pid_of "$1")/status"
}

# allocated FILE - KiB on the disk.
allocated() {
	echo $(($(stat -c '%b * %B' "$1") / 1024))
}

# --- clients ---

# io URL COMMAND... - qemu-io; it ends well even when a pattern does not match, so its words are read.
io() {
	local target=$1 words=() command
	shift
	for command; do
		words+=(-c "$command")
	done
	local said
	said=$(qemu-io -f raw -t none -d unmap "${words[@]}" "$target" 2>&1) || { fail "$said"; return 1; }
	echo "$said"
	case $said in
	*"verification failed"* | *"failed:"* | *"error"*) return 1 ;;
	esac
}
