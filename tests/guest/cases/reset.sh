# resets of LUN and target, LUN resets while fio writes and verifies
# limit: 90
attach
sid=$(sid_of "$E2E_PORTAL1")
try "LUN reset" sg_reset --device --no-escalate "$DEV"
try "a command after it" until_true 5 sg_turs "$DEV"
# When the target does not know this one, the kernel drops the session.
try "target reset" sg_reset --target --no-escalate "$DEV"
wait_up "$E2E_PORTAL1" || fail "no session after the target reset"
try "a command after it" until_true 5 sg_turs "$DEV"
verify_job "$DEV" 48 > /tmp/case.fio 2>&1 3<&- 4>&- &
fio=$!
for i in 1 2 3 4; do
	sleep 0.7
	kill -0 $fio 2>/dev/null || break
	[ $i = 4 ] || try "LUN reset $i under load" sg_reset --device --no-escalate "$DEV"
	[ $i != 4 ] || try "target reset under load" sg_reset --target --no-escalate "$DEV"
done
[ $i -gt 1 ] || fail "fio was done before a reset: nothing was tested"
wait $fio && rc=0 || rc=$?
cat /tmp/case.fio >> /tmp/case.log
[ $rc = 0 ] || fail "fio verify (status $rc)"
[ "$(sid_of "$E2E_PORTAL1")" = "$sid" ] && wait_up "$E2E_PORTAL1" ||
	fail "the session did not survive"
