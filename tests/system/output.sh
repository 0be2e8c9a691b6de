#!/bin/bash
# output.sh - standard output that cannot be written: whoever reads it must not take the exit code for success.
. "$(dirname "$0")/lib.sh"
cd "$DIR" || exit 1
head -c 1M /dev/urandom >image
FULL="berth: standard output: No space left on device"

# client ARGUMENT... - with what $OUT says as its standard output; what it says in $said, its exit code in $code.
client() {
	code=0
	case $OUT in
	full) said=$(timeout 60 "$BERTH" "$@" 2>&1 >/dev/full) || code=$? ;;
	closed) said=$(timeout 60 "$BERTH" "$@" 2>&1 >&-) || code=$? ;;
	esac
	echo "exit code $code: $said"
}

is_told() {
	OUT=full client "$@"
	same "$code" 1
	same "$said" "$FULL"
	OUT=closed client "$@"
	same "$code" 1
	same "$said" "berth: standard output: Bad file descriptor"
}

# An exit code that says more stays.
another_error() {
	OUT=full client copy nowhere else
	same "$code" 4
	same "$said" "berth: copy: nowhere: No such file or directory"
}

copy_is_whole() {
	is_told copy image other
	cmp image other
}

interrupted() {
	local code=0 pid
	env --default-signal=INT "$BERTH" bench "$(url srv)" --time 30 >/dev/full 2>said &
	pid=$!
	sleep 1
	kill -INT $pid
	wait $pid || code=$?
	same "$code" 130
	same "$(cat said)" "$FULL"
}

# The server goes on, and its descriptors are nobody else's.
serves() {
	local listen pid code=0
	truncate -s 8M disk
	if [ "$1" = full ]; then
		"$BERTH" serve --listen 127.0.0.1:0 --cache 64M --run-dir "$RUN" disk 2>err >/dev/full &
	else
		"$BERTH" serve --listen 127.0.0.1:0 --cache 64M --run-dir "$RUN" disk 2>err <&- >&- &
	fi
	pid=$!
	eventually grep -q "berth: error: standard output: $2: the URLs and .ready. are lost" err
	listen=$(sed -n 's/.*listening on //p' err)
	"$BERTH" bench "iscsi://$listen/$(iqn)/0" --time 1 --rw randrw --verify --size 1M
	kill -TERM $pid
	wait $pid || code=$?
	cat err
	same "$code" 0
	# What was checked lies in the first MiB: the rest is as it was.
	cmp -n $((7 << 20)) -i $((1 << 20)):0 disk /dev/zero
}

iqn() {
	url srv | cut -d/ -f4
}

plan 14
it "a server to talk to" start srv --ram 8M
for words in version --version help "serve --help" "bench --help" "copy --help"; do
	# shellcheck disable=SC2086
	it "berth $words" is_told $words
done
it "bench" is_told bench "$(url srv)" --time 1
it "bench --json" is_told bench "$(url srv)" --time 1 --json
it "copy, which is whole all the same" copy_is_whole
it "bench that is interrupted" interrupted
it "another error" another_error
it "serve goes on" serves full "No space left on device"
it "serve without any" serves closed "Bad file descriptor"
the_end
