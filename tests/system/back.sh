#!/bin/bash
# back.sh - what was acknowledged outlives the server: it is killed, and the next one has all of it.
. "$(dirname "$0")/lib.sh"
need qemu-io

# hold NAME COMMAND [N] - qemu-io does it to the Nth disk, and is then killed before it flushes.
hold() {
	local words=$DIR/words.$1 pid
	mkfifo "$words"
	: >"$DIR/held" # what the one before said
	qemu-io -f raw -t writeback "$(url "$1" "${3:-0}")" <"$words" >"$DIR/held" 2>&1 &
	pid=$!
	exec 8>"$words"
	echo "$2" >&8
	eventually grep -q "^.*wrote" "$DIR/held"
	kill -KILL $pid
	exec 8>&-
	wait $pid || true
	rm "$words"
}

kill_it() {
	kill -KILL "$(pid_of "$1")"
	eventually is_gone "$1"
	wait "$(pid_of "$1")" || true
	rm "$DIR/$1.pid"
}

byte() {
	od -A n -t x1 -j "$2" -N 1 "$1"
}

said() {
	says "$(cat "$DIR/$1.err")" "$2"
}

# cannot_start TEXT ARGUMENT...
cannot_start() {
	local text=$1
	shift
	refused start srv "$@"
	said srv "$text"
}

survives() {
	start srv "$DIR/a.img,size=64M"
	hold srv "write -P 0x41 1M 8M"
	same "$(byte "$DIR/a.img" 1M)" " 00"
	kill_it srv
	start srv "$DIR/a.img"
	said srv "8M that were acknowledged before are adopted"
	io "$(url srv)" "read -P 0x41 1M 8M" "read -P 0 0 1M" "read -P 0 9M 4M"
	stop srv
	same "$(byte "$DIR/a.img" $(((9 << 20) - 1)))" " 41"
	same "$(ls "$RUN")" ""
}

# Twice killed, with more written in between.
survives_again() {
	start srv "$DIR/a.img"
	hold srv "write -P 0x42 1M 8M"
	kill_it srv
	start srv "$DIR/a.img"
	hold srv "write -P 0x43 2M 64K"
	kill_it srv
	start srv "$DIR/a.img"
	io "$(url srv)" "read -P 0x42 1M 1M" "read -P 0x43 2M 64K" "read -P 0x42 2112K 1M"
	stop srv
}

# Neither the cache's size nor a run without the disk keeps it from being found.
survives_change() {
	start srv "$DIR/a.img" "$DIR/b.img,size=8M"
	hold srv "write -P 0x44 0 1M"
	kill_it srv
	start srv --cache 32M "$DIR/b.img"
	said srv "1M of disks that are not served here wait"
	hold srv "write -P 0x45 0 1M"
	stop srv
	start srv --cache 128M "$DIR/a.img" "$DIR/b.img"
	io "$(url srv)" "read -P 0x44 0 1M"
	hold srv "write -P 0x46 0 1M"
	kill_it srv
	start srv "$DIR/b.img" "$DIR/a.img"
	io "$(url srv 1)" "read -P 0x46 0 1M"
	stop srv
	same "$(byte "$DIR/a.img" 0)" " 46"
	same "$(byte "$DIR/b.img" 0)" " 45"
	same "$(ls "$RUN")" ""
}

# Both wait in one memory, and one of them is served.
survives_alone() {
	start srv "$DIR/a.img" "$DIR/b.img"
	hold srv "write -P 0x47 0 1M"
	hold srv "write -P 0x48 0 1M" 1
	kill_it srv
	start srv "$DIR/b.img"
	said srv "a.img: is not served now; 1M"
	io "$(url srv)" "read -P 0x48 0 1M" "write -P 0x49 1M 4M" "flush"
	stop srv
	start srv "$DIR/a.img"
	io "$(url srv)" "read -P 0x47 0 1M"
	stop srv
	same "$(ls "$RUN")" ""
}

foreign_change() {
	local disk=$DIR/a.img,uuid=3d0f5a52-6c1e-4b44-8d7a-0b1c2d3e4f50
	start srv "$disk"
	hold srv "write -P 0x45 0 1M"
	kill_it srv
	touch "$DIR/a.img"
	cannot_start "somebody else has changed it" "$disk"
	start srv --adopt-anyway "$disk"
	io "$(url srv)" "read -P 0x45 0 1M"
	hold srv "write -P 0x46 0 1M"
	kill_it srv
	cp "$DIR/a.img" "$DIR/c.img"
	mv "$DIR/c.img" "$DIR/a.img"
	cannot_start "--discard-dirty" "$disk"
	start srv --discard-dirty "$disk"
	said srv "are dropped"
	refused io "$(url srv)" "read -P 0x46 0 1M"
	stop srv
}

size_change() {
	start srv "$DIR/e.img,size=16M"
	hold srv "write -P 0x4a 0 1M"
	kill_it srv
	truncate -s 15M "$DIR/e.img"
	cannot_start "its size has changed while 1M of acknowledged data waited" "$DIR/e.img"
	cannot_start "its size has changed" --adopt-anyway "$DIR/e.img"
	start srv --discard-dirty "$DIR/e.img"
	stop srv
	same "$(byte "$DIR/e.img" 0)" " 00"
}

# Memory outlives the server on a tmpfs only: where the directory is none, another is taken, and that is said.
no_tmpfs() {
	[ "$(stat -f -c %T "$DIR")" != tmpfs ] || return 0
	mkdir "$DIR/run"
	start srv --run-dir "$DIR/run" "$DIR/a.img"
	said srv "--run-dir $DIR/run: is no tmpfs; buffer memory lies in /"
	stop srv
	same "$(ls "$DIR/run")" ""
}

# A memory that was spoilt is set aside, and the server starts.
spoilt() {
	start srv "$DIR/a.img"
	kill_it srv
	printf xx | dd of="$RUN/memory.0" bs=1 seek=20 conv=notrunc 2>/dev/null
	start srv "$DIR/a.img"
	said srv "set aside as"
	stop srv
	same "$(ls "$RUN")" "memory.0.bad0"
	rm "$RUN"/*
}

# Written through, the memory is not needed.
through() {
	start srv "$DIR/d.img,size=8M,mode=write-through"
	hold srv "write -P 0x47 0 1M"
	kill_it srv
	rm -rf "$RUN"/*
	start srv "$DIR/d.img,mode=write-through"
	io "$(url srv)" "read -P 0x47 0 1M"
	stop srv
}

# Two servers at once, both killed, started in the other order.
two_servers() {
	start one "$DIR/a.img"
	start two "$DIR/b.img"
	hold one "write -P 0x51 0 1M"
	hold two "write -P 0x52 0 1M"
	kill_it one
	kill_it two
	start two "$DIR/b.img"
	start one "$DIR/a.img"
	io "$(url one)" "read -P 0x51 0 1M"
	io "$(url two)" "read -P 0x52 0 1M"
	stop one
	stop two
	same "$(ls "$RUN")" ""
}

# A service manager keeps the memory, though its directory is gone.
manager() {
	local port=$((20000 + RANDOM % 10000)) pid disk="$DIR/b.img,delay=write:1500ms"
	mkfifo "$DIR/orders"
	"$FDSTORE" "$BERTH" serve --engine "$ENGINE" --listen "127.0.0.1:$port" --cache 64M --run-dir "$RUN" \
		--target iqn.2026-11.io.berth:kept "$disk" <"$DIR/orders" >"$DIR/fd.out" 2>"$DIR/fd.err" &
	pid=$!
	exec 7>"$DIR/orders"
	echo "iscsi://127.0.0.1:$port/iqn.2026-11.io.berth:kept/0" >"$DIR/kept.out"
	eventually grep -qx "stored berth-memory" "$DIR/fd.out"
	eventually ready_times 1
	hold kept "write -P 0x61 0 1M"
	rm -rf "$RUN"/*
	echo kill >&7
	eventually ready_times 2
	io "$(url kept)" "read -P 0x61 0 1M"
	hold kept "write -P 0x62 1M 1M" # takes longer to write than a manager is told nothing
	echo stop >&7
	wait $pid
	exec 7>&-
	grep -qx "more time: Writing back, [0-9]*[KMG] left" "$DIR/fd.out"
	grep -qx "removed berth-memory" "$DIR/fd.out"
	same "$(byte "$DIR/b.img" 0)" " 61"
	same "$(byte "$DIR/b.img" 1M)" " 62"
}

# The program's own `ready` lines and the manager's.
ready_times() {
	[ "$(grep -cx ready "$DIR/fd.out")" -ge $((2 * $1)) ]
}

second_signal() {
	local left
	start srv "$DIR/d.img,delay=write:2s"
	hold srv "write -P 0x71 0 8M"
	kill -TERM "$(pid_of srv)"
	sleep 0.5
	is_running srv
	kill -TERM "$(pid_of srv)"
	eventually is_gone srv
	wait "$(pid_of srv)" && fail "exit code 0" || same $? 1
	rm "$DIR/srv.pid"
	said srv "are left in memory"
	left=$(sed -n 's/.*stopped; \([0-9]*[KM]\) of acknowledged data are not on their disks.*/\1/p' "$DIR/srv.err")
	at_least "$(numfmt --from=iec "$left")" 4096 "bytes left"
	at_most "$(numfmt --from=iec "$left")" $((8 << 20)) "bytes left"
	start srv "$DIR/d.img"
	said srv "$left that were acknowledged before are adopted"
	io "$(url srv)" "read -P 0x71 0 8M"
	stop srv
	same "$(byte "$DIR/d.img" $(((8 << 20) - 1)))" " 71"
}

FDSTORE=${BERTH_FDSTORE:-}
plan 13
it "what was acknowledged before SIGKILL is served and written by the next" survives
it "and by the one after it" survives_again
it "with another cache size, after a run without the disk" survives_change
it "two disks in one memory, of which one is served" survives_alone
it "an image that somebody else has changed is refused, until one says what is to be done" foreign_change
it "nor is one of another size" size_change
it "a run directory that is no tmpfs is not used" no_tmpfs
it "a memory that does not validate is set aside" spoilt
it "written through, the run directory is not needed" through
it "two servers find their own" two_servers
it "a service manager may keep the memory" manager
it "a second SIGTERM leaves the rest in memory" second_signal
it "no memory is left behind" same "$(ls "$RUN")" ""
the_end
