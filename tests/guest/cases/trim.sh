# ext4: what was removed goes back to the image, by fstrim and by discard at once
# limit: 60
attach
try "mkfs" mkfs.ext4 -q -F -E lazy_itable_init=0,nodiscard "$DEV" 200M
mkdir -p /mnt/a
try "mount" mount -t ext4 "$DEV" /mnt/a
freed() { # HOW COMMAND: it gives back most of 16 MiB
	try "write" dd if=/dev/urandom of=/mnt/a/big bs=1M count=16 conv=fsync
	try "sync" sync
	host target used; before=$ANSWER
	try "$1" sh -c "$2"
	until_true 5 less_used || fail "$1 freed $((before - ANSWER)) KiB, not about 16384"
	say "$1 freed $((before - ANSWER)) KiB"
}
less_used() { host target used; [ $((before - ANSWER)) -gt 12000 ]; }
freed "fstrim" 'rm /mnt/a/big && sync && fstrim /mnt/a'
try "mount with discard" mount -o remount,discard /mnt/a
freed "discard" 'rm /mnt/a/big && sync'
try "unmount" umount /mnt/a
try "fsck" e2fsck -f -n "$DEV"
