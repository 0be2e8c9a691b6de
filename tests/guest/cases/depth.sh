# random writes at depth 1 and 32, small and large, read back and compared
# limit: 120
attach
try "fio verify, depth 1" verify_job "$DEV" 4 --iodepth=1 --bsrange=512-64k
try "fio verify, depth 32" verify_job "$DEV" 24 --iodepth=32 --bsrange=512-64k
try "fio verify, depth 32, 4 KiB" verify_job "$DEV" 8 --iodepth=32 --bs=4k
