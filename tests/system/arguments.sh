#!/bin/bash
# arguments.sh - what a person gets to read for a wrong word: exit code, and one line that names it.
. "$(dirname "$0")/lib.sh"
cd "$DIR" || exit 1
truncate -s 1M there.img
truncate -s 1000 odd.img
: >empty.img
mkdir folder
mkfifo pipe
echo "what was traced before" >old.trace
printf 'me secret\nyou\n' >wrong
printf 'me one\nyou two\n' >many
echo "me secret" >open
chmod 600 wrong many
chmod 644 open
URL=iscsi://127.0.0.1:1/iqn.2026-11.io.berth:nobody/0

# code | arguments | words of the one line on standard error
TABLE='
2 | serve                                          | no disk to serve
2 | serve --ram                                    | --ram: needs SIZE
2 | serve --ram 12x                                | --ram 12x: not a size (try 512M, 1G)
2 | serve --ram 1000                               | not a multiple of the block size
2 | serve there.img,block=1024                     | there.img,block=1024: block=1024: must be 512 or 4096
2 | serve there.img,colour=red                     | colour
2 | serve there.img there.img                      | there.img: given twice
2 | serve --listen 3260 there.img                  | --listen 3260: not ADDR:PORT
2 | serve --listen 127.0.0.1:99999 there.img       | --listen 127.0.0.1:99999
2 | serve --threads none there.img                 | --threads none: must be a number
2 | serve --engine kqueue there.img                | --engine kqueue: must be epoll, uring or auto
2 | serve --r2t each there.img                     | --r2t each: must be burst or line
2 | serve --target iqn.bad_name there.img          | --target iqn.bad_name: not an iSCSI name
2 | serve --param MaxBurstLength=1 there.img       | --param MaxBurstLength=1
2 | serve --param Nonsense=1 there.img             | --param Nonsense=1
2 | serve --frobnicate there.img                   | --frobnicate: no such option
2 | frobnicate                                     | frobnicate: no such subcommand
2 | version extra                                  | version: extra: one word too many (see berth version --help)
2 | --version extra                                | version: extra: one word too many
2 | version --frobnicate                           | version: --frobnicate: no such option
2 | help serve extra                               | help: extra: one word too many
2 | help frobnicate                                | frobnicate: no such subcommand
2 | bench one two                                  | two: one word too many (see berth bench --help)
2 | bench --rw= url                                | --rw: needs HOW
2 | copy one two three                             | three: one word too many
4 | serve --listen 127.0.0.1:0 not-there.img       | not-there.img: No such file or directory
1 | serve --listen 127.0.0.1:0 --ram 12T           | berth: --ram 12T: this machine has not that much memory free
6 | serve --listen 127.0.0.1:0 --ram 900T          | berth: --ram 900T: more than a disk in memory can be
1 | serve --listen 127.0.0.1:0 --cache 100T there.img | --cache 100T: 
2 | serve --cache 1M there.img                     | --cache 1M: must be at least 32M
2 | serve --cache 64M --dirty-limit 1G there.img   | --dirty-limit 1G: must be at most 48M
2 | bench --bs 100 url                             | --bs 100: not a size of 512 bytes to 16M
6 | serve --listen 127.0.0.1:0 odd.img             | odd.img: its size, 1000 bytes, is no multiple of block=512
6 | serve --listen 127.0.0.1:0 empty.img           | empty.img: is empty
6 | serve --listen 127.0.0.1:0 there.img,block=4096 odd.img,block=4096 | odd.img: its size, 1000 bytes, is no multiple of block=4096
2 | serve there.img,physical=1K                    | there.img,physical=1K: physical=1K: must be 512 or 4096
2 | serve there.img,size=12x                       | there.img,size=12x: size=12x: not a size
4 | serve --ram 1M --chap-file nowhere             | berth: --chap-file nowhere: No such file or directory
6 | serve --ram 1M --chap-file folder              | berth: --chap-file folder: Is a directory
6 | serve --ram 1M --chap-file wrong               | berth: --chap-file wrong:2: not NAME SECRET
5 | serve --ram 1M --chap-file open                | berth: --chap-file open: everybody may read
4 | bench URL --chap-file nowhere                  | berth: bench: --chap-file nowhere: No such file or directory
6 | bench URL --chap-file folder                   | berth: bench: --chap-file folder: Is a directory
6 | copy URL x --chap-file wrong                   | berth: copy: --chap-file wrong:2: not NAME SECRET
2 | bench URL --chap-file many                     | berth: bench: --chap-file many: has several users
4 | serve --ram 1M --state-dir there.img           | berth: --state-dir there.img: Not a directory
4 | serve there.img --run-dir odd.img              | berth: --run-dir odd.img: Not a directory
4 | serve there.img --trace nowhere/deeper         | berth: --trace nowhere/deeper: No such file or directory
4 | serve --ram 1M --state-dir nowhere/deeper      | --state-dir nowhere/deeper: No such file or directory
6 | serve --listen 127.0.0.1:0 folder              | folder: is neither a file nor a block device
6 | serve --listen 127.0.0.1:0 pipe,ro             | pipe: is neither a file nor a block device
6 | serve --listen 127.0.0.1:0 /dev/null           | /dev/null: is neither a file nor a block device
2 | bench iscsi://127.0.0.1:65536/iqn.2026-11.x:y  | not HOST[:PORT] behind iscsi:// (ports are 1 to 65535
2 | bench iscsi://::1/iqn.2026-11.x:y              | IPv6 addresses stand in brackets
2 | bench --rw shuffle URL                         | --rw shuffle: must be read, write
2 | bench --bs 1000 URL                            | --bs 1000 bytes: must be a multiple of 512 bytes
2 | bench --bs 16M --iodepth 960 --connections 9 URL | is 135G of memory: must be less than 64G
3 | bench URL                                      | berth: bench: iscsi://127.0.0.1:1/iqn.2026-11.io.berth:nobody/0: 
6 | serve --listen 127.0.0.1:0 there.img,size=2M   | there.img: is there and has 1M, not size=2M
'

refuses() {
	local want=$1 words=$2 code=0 said
	shift 2
	said=$(timeout 20 "$BERTH" "$@" 2>&1 >/dev/null </dev/null) || code=$?
	echo "said: $said"
	same "$code" "$want"
	says "$said" "$words"
	same "$(grep -c '^berth: ' <<<"$said")" "$(wc -l <<<"$said")"
	same "$(grep -vc '^berth: info: ' <<<"$said")" 1
}

no_arguments() {
	local code=0 said
	said=$("$BERTH" 2>&1 >/dev/null) || code=$?
	same "$code" 2
	says "$said" "Usage: berth"
}

help_and_version() {
	local word
	for word in "help" "--help" "-h" "serve --help" "help serve" "version" "--version" "-V" "serve --version" \
		"help version" "help help" "version --help" "help --help"; do
		# shellcheck disable=SC2086
		[ -n "$("$BERTH" $word 2>/dev/null)" ] || fail "berth $word prints nothing"
	done
	same "$("$BERTH" version)" "$("$BERTH" serve --version)"
}

# Each option of --help stands in the manual page, and the other way round.
manual_is_true() {
	local page=$HERE/../../docs/berth-serve.1 name
	"$BERTH" serve --help | grep -o -- '--[a-z][a-z0-9-]*' | sort -u >helped
	sed 's/\\-/-/g' "$page" | grep -o -- '--[a-z][a-z0-9-]*' | sort -u >manual
	diff helped manual
}

# Each name and label that SIGUSR1 prints stands in the manual page.
counters_are_told() {
	local page=$HERE/../../docs/berth-serve.1 line name
	start one --ram 1M there.img
	dump one | grep -E '^[a-z0-9_]+(\{[a-z0-9_]+\})? [0-9]+$' >counters
	at_least "$(wc -l <counters)" 30 "counters"
	while read -r line _; do
		for name in $(tr '{}' '  ' <<<"${line%%\{disk*}"); do
			grep -qw -- "$name" "$page" || fail "$name is not in the manual page" || return 1
		done
	done <counters
	stop one
}

# What a start has made and could not serve goes with it; what was there stays.
leaves_nothing_new() {
	local code words
	start one --ram 1M
	while IFS='|' read -r code words; do
		# shellcheck disable=SC2086
		refuses $code : serve --cache 64M --run-dir "$RUN" --trace old.trace new.img,size=4M there.img $words
		refused test -e new.img
		same "$(stat -c %s there.img)" 1048576
		same "$(cat old.trace)" "what was traced before"
	done <<-END
		4|--listen 127.0.0.1:0 not-there.img
		4|--listen 127.0.0.1:0 nowhere/new.img,size=4M
		6|--listen 127.0.0.1:0 odd.img
		1|--listen 127.0.0.1:0 --ram 12T
		7|--listen $(portal one | cut -c9-)
		4|--listen 127.0.0.1:0 --state-dir odd.img
		4|--listen 127.0.0.1:0 --chap-file nowhere
		2|--listen 127.0.0.1:0 --param Nonsense=1
		1|--listen 127.0.0.1:0 --cache 100T
		2|--listen 127.0.0.1:0 new.img
	END
	stop one
}

# Control characters of a name, and a name that fills the line.
one_line() {
	local long
	long=$(printf 'x%.0s' {1..3000})
	refuses 4 "two?lines: No such file or directory" serve --ram 1M --chap-file $'two\nlines'
	refuses 4 $'\xff\xfe: No such file or directory' serve --listen 127.0.0.1:0 $'\xff\xfe'
	refuses 1 ": File name too long" serve --listen 127.0.0.1:0 "$long"
	refuses 1 ": File name too long" bench "$URL" --chap-file "$long"
}

port_in_use() {
	start one --ram 1M
	local address
	address=$(portal one)
	refuses 7 "${address#iscsi://}" serve --ram 1M --listen "${address#iscsi://}"
	stop one
}

plan $(($(grep -c '|' <<<"$TABLE") + 7))
while IFS='|' read -r code args words; do
	[ -n "$args" ] || continue
	args=$(echo ${args//URL/$URL})
	words=$(sed 's/^ *//' <<<"$words")
	# shellcheck disable=SC2086
	it "berth $args" refuses $code "$words" $args
done <<<"$TABLE"
it "no arguments: the help, exit code 2" no_arguments
it "help and version" help_and_version
it "the manual page and --help name the same options" manual_is_true
it "the manual page tells every counter" counters_are_told
it "a start that is refused leaves nothing new" leaves_nothing_new
it "one line, whatever the name" one_line
it "an address in use, exit code 7" port_in_use
the_end
