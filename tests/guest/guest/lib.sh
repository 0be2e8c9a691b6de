# Sourced by main and by every case (POSIX sh: dash).
#
# A case is a file cases/NAME.sh.  It runs in a shell of its own.  It has
# passed when it comes to its end and failed when a step (see "try") does not
# do what it should, when it takes longer than its line "# limit: SECONDS"
# says (30 without), when the kernel reports a bug or when the target dies.
# Nothing is logged in when it starts; what it leaves (sessions, mounts,
# multipath maps) is cleaned up after it.  It has the target for itself, just
# started, with an empty LUN.

. /e2e/env

# ------------------------------------------------------------------ reporting

say() { echo "# $*" >&4; }		# a line in the output of the run
bail() {
	echo "Bail out! $*" >&4
	[ ! -s /tmp/main.log ] || sed 's/^/#   /' /tmp/main.log | tail -n 20 >&4
	sync; poweroff -f
}
now() { cut -d' ' -f1 /proc/uptime; }
seconds_since() { echo "$1 $(now)" | awk '{ printf "%.1f", $2 - $1 }'; }

fail() { echo "$*" > /tmp/case.why; exit 1; }
skip() { echo "$*" > /tmp/case.why; exit 77; }

# try WHAT COMMAND...: the command must succeed.  Its output is in $OUT.
# refuse WHAT COMMAND...: it must end with an error.
OUT=/tmp/case.last
try() {
	what=$1; shift
	echo "+ [$(now)] $*" >> /tmp/case.log
	"$@" >$OUT 2>&1 3<&- 4>&- && rc=0 || rc=$?
	cat $OUT >> /tmp/case.log
	[ $rc = 0 ] || fail "$what (status $rc)"
}
refuse() {
	what=$1; shift
	echo "+ [$(now)] ! $*" >> /tmp/case.log
	"$@" >$OUT 2>&1 3<&- 4>&- && rc=0 || rc=$?
	cat $OUT >> /tmp/case.log
	[ $rc != 0 ] || fail "$what"
}
# saw WHAT PATTERN: $OUT, the output of the last try or refuse, has it.
saw() { grep -q -E -e "$2" $OUT || fail "$1"; }
# until_true SECONDS COMMAND...: poll.
until_true() {
	polls=$(($1 * 10 * E2E_TIMESCALE)); shift
	while ! "$@" >/dev/null 2>&1; do
		[ $((polls -= 1)) -gt 0 ] || return 1
		sleep 0.1
	done
}

# What there is to say about a failed case.
report() {
	for f in /tmp/case.out /tmp/case.log; do
		[ -s $f ] && tail -n 25 $f | cut -c1-200 | sed 's/^/#   /' >&4
	done
	echo "#   kernel:" >&4
	kernel_log | tail -n 25 | cut -c1-160 | sed 's/^/#   /' >&4
	echo "#   iscsid:" >&4
	tail -n 10 /tmp/iscsid.log | cut -c1-160 | sed 's/^/#   /' >&4
}
kernel_log() { dmesg | awk '/e2e: case /{ s = "" } { s = s $0 "\n" } END { printf "%s", s }'; }
kernel_trouble() {
	kernel_log | grep -m 1 -E \
	'BUG:|WARNING:|Oops|general protection|hung_task|blocked for more than'
}

# Lost connections so far in this case, as the kernel tells.
conn_errors() { kernel_log | grep -c 'detected conn error'; }
more_errors_than() { [ "$(conn_errors)" -gt "$1" ]; }

# ---------------------------------------------------------------- the host side

# host VERB ARG...: have run-guest do something.  Only one at a time.
#   fresh               stop the target and start it with an empty LUN
#   target VERB         run the target script: kill, start, pause, resume ...
# The answer's text, if any, is in $ANSWER.
host() {
	echo "@host $*" >&4
	ANSWER=
	while read -r word status text <&3; do
		[ "$word" = @done ] || continue
		ANSWER=$text
		return "$status"
	done
	return 1
}

# lacks FEATURE: the target script says that its target does not have it.
lacks() { case " $E2E_LACKS " in *" $1 "*) return 0 ;; esac; return 1; }

# ------------------------------------------------------------------- sessions

# record PORTAL [SETTING=VALUE...]: make the node record.  Only by hand: what
# SendTargets answers is the target's address on the host, 127.0.0.1, which
# is the guest itself.
record() {
	portal=$1; shift
	iscsiadm -m node -T "$E2E_IQN" -p "$portal" -o delete >/dev/null 2>&1
	iscsiadm -m node -T "$E2E_IQN" -p "$portal" -o new || return
	[ "$E2E_CHAP" = no ] ||
	set -- node.session.auth.authmethod=CHAP \
		node.session.auth.username="$E2E_USER" \
		node.session.auth.password="$E2E_PASS" "$@"
	args=
	for setting; do
		args="$args -n ${setting%%=*} -v ${setting#*=}"
	done
	[ -z "$args" ] || iscsiadm -m node -T "$E2E_IQN" -p "$portal" \
		-o update $args
}
# login PORTAL [SETTING=VALUE...]: the full setting names of iscsid.conf.
login() {
	record "$@" && iscsiadm -m node -T "$E2E_IQN" -p "$1" -l
}
# Log in without CHAP.
login_bare() ( E2E_CHAP=no; login "$@" )
logout() { iscsiadm -m node -T "$E2E_IQN" -p "$1" -u; }

# sid_of PORTAL: the session number.
sid_of() {
	for c in /sys/class/iscsi_connection/connection*; do
		[ -e "$c" ] || continue
		[ "$(cat $c/persistent_address):$(cat $c/persistent_port)" = \
			"$1" ] || continue
		c=${c##*/connection}; echo "${c%%:*}"; return 0
	done
	return 1
}
session_is() { [ "$(cat "/sys/class/iscsi_session/session$1/state")" = "$2" ]; }
# wait_up PORTAL [SECONDS]: until the session is logged in (again).
wait_up() { until_true "${2:-10}" session_is "$(sid_of "$1")" LOGGED_IN; }

# negotiated PORTAL NAME: a result of the login, by its name in sysfs
# (initial_r2t, immediate_data, first_burst_len, max_burst_len of the session;
# header_digest, data_digest, max_recv_dlength, max_xmit_dlength of the
# connection).
negotiated() {
	cat "/sys/class/iscsi_session/session$(sid_of "$1")/$2" 2>/dev/null ||
	cat "/sys/class/iscsi_connection/connection$(sid_of "$1"):0/$2"
}

# disk_of PORTAL [LUN]: "sdX", as soon as it is there and has a size.
disk_of() {
	polls=$((100 * E2E_TIMESCALE))
	while [ $((polls -= 1)) -gt 0 ]; do
		for b in /sys/class/iscsi_session/session"$(sid_of "$1")"/device/target*/*:"${2:-$E2E_LUN}"/block/sd*; do
			[ -e "$b" ] && [ "$(cat "$b/size")" != 0 ] &&
			[ -b "/dev/${b##*/}" ] && { echo "${b##*/}"; return 0; }
		done
		sleep 0.1
	done
	return 1
}
# attach [SETTING=VALUE...]: log in on the first path; DISK=sdX, DEV=/dev/sdX.
attach() {
	try "login" login "$E2E_PORTAL1" "$@"
	DISK=$(disk_of "$E2E_PORTAL1") || fail "no disk after the login"
	DEV=/dev/$DISK
}

# Undo what a case may have left.
no_sessions() { [ -z "$(ls /sys/class/iscsi_session)" ]; }
tidy() {
	killall -9 fio >/dev/null 2>&1
	for dir in $(awk '$2 ~ "^/mnt" { print $2 }' /proc/mounts); do
		umount "$dir" || umount -f "$dir"
	done
	if killall multipathd >/dev/null 2>&1; then
		until_true 5 sh -c '! pidof multipathd'
		timeout 10 dmsetup remove_all --force >/dev/null 2>&1
		rm -rf /run/udev
	fi
	ip link set eth0 up; ip link set eth1 up
	no_sessions ||
		timeout 30 iscsiadm -m node -u >/dev/null 2>&1
	no_sessions ||	# without a node record
		timeout 30 iscsiadm -m session -u >/dev/null 2>&1
	rm -rf /etc/iscsi/nodes /etc/iscsi/send_targets
	no_sessions && ! grep -q ' /mnt' /proc/mounts
}

# ------------------------------------------------------------------------ I/O

# verify_job DEV MIB [FIO OPTION...]: write at random, read back and compare.
verify_job() {
	dev=$1 mib=$2; shift 2
	fio --name=verify --filename="$dev" --ioengine=libaio --direct=1 \
		--rw=randwrite --bsrange=512-256k --iodepth=16 --size="${mib}M" \
		--verify=crc32c --verify_fatal=1 --do_verify=1 --randseed=1 \
		--output-format=terse --terse-version=3 "$@"
}

# --------------------------------------------------------------- the target dies

# in_mode MODE [OPTION]: the disk anew in this mode (of target-berth), with another option besides.
in_mode() {
	host target stop && host target mode "$1" && host target option "$2" &&
		host target start || fail "the target does not start in mode $1"
}
# under_load MIB RATE: fio writes and verifies in the background, slowly enough that it is under way all the
# time; load_ended waits for it: it must find every block, and no error may have reached it.
under_load() {
	verify_job "$DEV" "$1" --rate="$2" > /tmp/case.fio 2>&1 3<&- 4>&- &
	fio=$!
	sleep 1
}
load_ended() {
	wait $fio && rc=0 || rc=$?
	cat /tmp/case.fio >> /tmp/case.log
	[ $rc = 0 ] || fail "fio verify (status $rc)"
	kernel_log | grep -E 'I/O error' && fail "I/O errors reached the block layer"
	true
}
# under_rounds MIB RATE: the same, again and again, for as long as it takes until rounds_ended. A recovery takes the
# initiator two seconds or fifteen, so one job would be over too early or last too long.
under_rounds() {
	rm -f /tmp/case.enough
	(
		round=0
		while [ ! -e /tmp/case.enough ]; do
			verify_job "$DEV" "$1" --rate="$2" --randseed=$((round += 1)) || exit
		done
	) > /tmp/case.fio 2>&1 3<&- 4>&- &
	fio=$!
	sleep 1
}
rounds_ended() {
	: > /tmp/case.enough
	load_ended
}
# killed TIMES [FORGET]: SIGKILL and a new start, under fio; nothing acknowledged is lost: fio reads all of it
# back. With "forget" the target's run directory is deleted in between.
killed() {
	attach node.session.timeo.replacement_timeout=120 \
		node.conn[0].timeo.noop_out_interval=1 node.conn[0].timeo.noop_out_timeout=2
	under_rounds 12 2500k
	i=0
	while [ $((i += 1)) -le "$1" ]; do
		kill -0 $fio 2>/dev/null || { load_ended; fail "fio was done before kill $i"; }
		host target kill || fail "kill"
		[ -z "$2" ] || host target "$2" || fail "$2"
		host target start || fail "start after kill $i"
		from=$(now)
		wait_up "$E2E_PORTAL1" 30 || fail "not logged in again after kill $i"
		say "logged in again $(seconds_since "$from") s after start $i"
		sleep 0.7
	done
	rounds_ended
	[ "$(kernel_log | grep -c 'detected conn error')" -ge "$1" ] ||
		fail "the initiator saw too few connection errors: nothing was tested"
}
