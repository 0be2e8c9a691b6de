#!/bin/bash
# lock.sh - one image, one server.
. "$(dirname "$0")/lib.sh"
need qemu-io
truncate -s 32M "$DIR/disk.img"
ln -s disk.img "$DIR/symbolic.img"
ln "$DIR/disk.img" "$DIR/hard.img"

second_is_refused() {
	local code=0 said
	said=$(timeout 20 "$BERTH" serve --listen 127.0.0.1:0 "$DIR/$1" 2>&1 </dev/null) || code=$?
	echo "said: $said"
	same "$code" 7
	says "$said" "$1"
	silent_on "$said" ready
}

first_is_well() {
	io "$(url first)" "write -P 0x42 0 1M" "read -P 0x42 0 1M"
}

twice_in_one() {
	local code=0 said
	truncate -s 1M "$DIR/one.img"
	ln "$DIR/one.img" "$DIR/other.img"
	said=$(timeout 20 "$BERTH" serve --listen 127.0.0.1:0 "$DIR/one.img" "$DIR/other.img" 2>&1 </dev/null) || code=$?
	echo "said: $said"
	same "$code" 7
}

after_kill() {
	kill -KILL "$(pid_of first)"
	eventually is_gone first
	rm "$DIR/first.pid"
	start next "$DIR/disk.img"
	io "$(url next)" "read -P 0x42 0 1M"
	stop next
}

plan 7
it "a first server starts" start first "$DIR/disk.img"
it "a second one is refused, exit code 7" second_is_refused disk.img
it "through a symbolic link too" second_is_refused symbolic.img
it "through a hard link too" second_is_refused hard.img
it "twice in one server is refused" twice_in_one
it "the first is not disturbed" first_is_well
it "after kill -9 the next one may, and finds the data" after_kill
the_end
