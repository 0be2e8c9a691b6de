#!/bin/bash
# copy-fs.sh - the conversations of copies again, with the files on file systems that share extents: images of them,
# mounted on loop devices (root, mkfs.xfs, mkfs.btrfs). COPY is the program that has the conversations.
: "${BERTH:?}" "${COPY:?}"
KINDS="xfs btrfs"
set -- $KINDS
echo "1..$#"
DIR=$(mktemp -d "${TMPDIR:-/tmp}/berth-fs-XXXXXX")
trap 'for kind in $KINDS; do umount "$DIR/$kind" 2>/dev/null; done; rm -rf "$DIR"' EXIT
n=0
for kind in $KINDS; do
	n=$((n + 1))
	mkdir -p "$DIR/$kind"
	truncate -s 512M "$DIR/$kind.img"
	if [ "$(id -u)" != 0 ]; then
		echo "ok $n $kind # SKIP needs root"
	elif ! command -v "mkfs.$kind" >/dev/null; then
		echo "ok $n $kind # SKIP mkfs.$kind is not installed"
	elif ! "mkfs.$kind" -q "$DIR/$kind.img" >/dev/null 2>&1 || ! mount -o loop "$DIR/$kind.img" "$DIR/$kind" 2>/dev/null; then
		echo "ok $n $kind # SKIP it cannot be mounted here"
	elif said=$(TMPDIR="$DIR/$kind" "$COPY" 2>&1); then
		echo "ok $n $kind"
	else
		echo "$said" | sed 's/^/# /'
		echo "not ok $n $kind"
	fi
done
