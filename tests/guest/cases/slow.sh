# a disk that takes longer than the initiator waits: aborts and LUN resets while it works, and nothing is lost
# limit: 120
in_mode write-through delay=write:4s:rate=0.02:seed=3
attach node.session.err_timeo.abort_timeout=10 node.session.err_timeo.lu_reset_timeout=10
echo 2 > "/sys/block/$DISK/device/timeout"
try "fio verify" verify_job "$DEV" 6 --bsrange=4k-64k
kernel_log | grep -E 'I/O error' && fail "I/O errors reached the block layer"
true
