#!/bin/bash
# identity.sh - a disk is the same disk after a restart and after a rename (INQUIRY pages 80h and 83h).
. "$(dirname "$0")/lib.sh"
need iscsi-inq
UUID=12345678-9abc-4def-8123-456789abcdef

# names URL - serial number and designators
names() {
	iscsi-inq -e 1 -c 128 "$1" && iscsi-inq -e 1 -c 131 "$1"
}

# seen ARGUMENT... - what a server started now shows for its only disk
seen() {
	start srv "$@" >&2
	names "$(url srv)"
	stop srv >&2
}

after_restart() {
	local before
	before=$(seen "$@")
	[ -n "$before" ]
	same "$(seen "$@")" "$before"
}

after_rename() {
	local before
	before=$(seen "$DIR/old.img,size=4M")
	mv "$DIR/old.img" "$DIR/new.img"
	same "$(seen "$DIR/new.img")" "$before"
	[ "$(seen "$DIR/old.img,size=4M")" != "$before" ] || fail "two images have one name"
}

by_option() {
	local said
	said=$(seen --ram "4M,uuid=$UUID")
	same "$(seen "$DIR/other.img,size=4M,uuid=$UUID")" "$said"
	[ "$(seen --ram 4M)" != "$said" ] || fail "uuid= changes nothing"
}

no_two_alike() {
	start srv --ram 4M --ram 4M "$DIR/x.img,size=4M" "$DIR/y.img,size=4M"
	local n
	n=$(for n in 0 1 2 3; do names "$(url srv $n)" | sha256sum; done | sort -u | wc -l)
	same "$n" 4
	stop srv
}

plan 5
it "a RAM disk after a restart" after_restart --ram 4M
it "an image after a restart" after_restart "$DIR/disk.img,size=4M"
it "an image after a rename" after_rename
it "uuid= is the identity" by_option
it "no two disks are alike" no_two_alike
the_end
