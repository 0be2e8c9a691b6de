# an unreadable block: MEDIUM ERROR with its address, an I/O error there and nowhere else
# limit: 40
in_mode write-through error=read:lba=8000-8007
attach
refuse "a read of it" sg_raw -r 65536 "$DEV" 88 00 00 00 00 00 00 00 1f 00 00 00 00 80 00 00
saw "not 'unrecovered read error'" '[Uu]nrecovered read error'
refuse "a read that covers it" sg_raw -r 65536 "$DEV" 88 00 00 00 00 00 00 00 1f 10 00 00 00 80 00 00
saw "its address is not told" '1f40|8000'
refuse "the kernel reads it" dd if="$DEV" of=/dev/null bs=4k skip=1000 count=1 iflag=direct
try "the one before" dd if="$DEV" of=/dev/null bs=4k skip=999 count=1 iflag=direct
try "the one behind" dd if="$DEV" of=/dev/null bs=4k skip=1001 count=1 iflag=direct
kernel_log | grep -q 'sector 8000' || fail "the kernel has not heard which block it is"
