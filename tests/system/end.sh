#!/bin/bash
# end.sh - whatever way a script of this folder ends, nothing that it started is left behind.
. "$(dirname "$0")/lib.sh"
cd "$DIR" || exit 1

# script TEXT - another script with the same verbs. It notes where it works, and each server as soon as it is ready.
script() {
	rm -f noted ready folders
	cat >inner.sh <<-END
		. "$HERE/lib.sh"
		printf '%s\n' "\$DIR" "\$RUN" >"$DIR/folders"
		serves() {
			start srv --ram 1M
			pid_of srv >>"$DIR/noted"
		}
		waits() {
			serves
			(sleep 301; sleep 302) &
			echo \$! >>"$DIR/noted"
			touch "$DIR/ready"
			sleep 303
		}
		$1
	END
}

nothing_left() {
	local pid folder
	at_least "$(wc -l <noted)" "$1" "processes noted"
	while read -r pid; do
		[ ! -e "/proc/$pid" ] || grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" || {
			kill -KILL "$pid"
			fail "process $pid is left: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
		}
	done <noted
	while read -r folder; do
		refused test -e "$folder"
	done <folders
}

by_itself() { # NOTED CODE TEXT
	local code=0
	script "$3"
	bash inner.sh >said 2>&1 </dev/null || code=$?
	cat said
	same "$code" "$2"
	nothing_left "$1"
}

by_signal() {
	local pid code=0 begin
	script 'it "waits" waits; the_end'
	env --default-signal=INT bash inner.sh >said 2>&1 </dev/null &
	pid=$!
	eventually test -e ready
	begin=$SECONDS
	kill "-$1" $pid
	wait $pid || code=$?
	same "$code" 1
	at_most $((SECONDS - begin)) 10 "seconds to the end"
	nothing_left 2
}

plan 7
it "at its end" by_itself 1 0 'it "serves" serves; the_end'
it "when it leaves in the middle" by_itself 1 3 'it "serves" serves; exit 3'
it "when it stumbles over itself" by_itself 1 1 'it "serves" serves; echo $nobody'
it "when cases failed and others took their servers' names" by_itself 2 1 \
	'fails() { serves; false; }; it "fails" fails; it "fails again" fails; the_end'
it "by SIGTERM in the middle of a case" by_signal TERM
it "by SIGINT" by_signal INT
it "by SIGHUP" by_signal HUP
the_end
