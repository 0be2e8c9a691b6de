# a removable disk: the target is started anew, and the network is cut, under fio verify: no error at the initiator
# limit: 120
# Linux would take a unit attention other than 29h/00h of such a disk for a change of its medium and fail all I/O from then on.
host target stop && host target option removable && host target start || fail "the target does not start"
attach node.session.timeo.replacement_timeout=60 \
	node.conn[0].timeo.noop_out_interval=1 node.conn[0].timeo.noop_out_timeout=1
[ "$(cat "/sys/block/$DISK/removable")" = 1 ] || fail "the disk is not removable"
under_load 32 3m
host target stop || fail "stop: $ANSWER"
host target start || fail "start"
wait_up "$E2E_PORTAL1" 30 || fail "not logged in again after a stop"
sleep 1
kill -0 $fio 2>/dev/null || fail "fio was done before the network was cut"
errors=$(conn_errors)
ip link set eth0 down
until_true 15 more_errors_than "$errors" || fail "no ping timeout"
ip link set eth0 up
wait_up "$E2E_PORTAL1" 30 || fail "not logged in again after a cut"
load_ended
