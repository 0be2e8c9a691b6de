# the target is stopped in order and started again three times under fio verify: no error at the initiator
# limit: 120
attach node.session.timeo.replacement_timeout=60 \
	node.conn[0].timeo.noop_out_interval=1 node.conn[0].timeo.noop_out_timeout=2
under_load 24 3m
for i in 1 2 3; do
	kill -0 $fio 2>/dev/null || fail "fio was done before stop $i"
	host target stop || fail "stop $i: $ANSWER"
	host target start || fail "start $i"
	wait_up "$E2E_PORTAL1" 30 || fail "not logged in again after stop $i"
	sleep 1
done
load_ended
