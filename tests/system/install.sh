#!/bin/bash
# install.sh - what `make install` puts down is enough for a program of somebody else: the header in C and in C++, pkg-config,
# the shared library with nothing in it but its interface, the manual. The programs are examples/.
. "$(dirname "$0")/lib.sh"
need meson pkg-config cc readelf
SOURCE=$(cd "$HERE/../.." && pwd)
: "${BUILD:?is the build folder}"
ROOT=$DIR/root

# The prefix of the build as it is, under a root of our own.
installs() {
	DESTDIR=$ROOT meson install -C "$BUILD" --no-rebuild --quiet
	find "$ROOT" -name berth.pc | grep . >"$DIR/pc"
	find "$ROOT" -path '*include/berth/initiator.h' | grep .
	local page
	for page in berth.1 berth-serve.1 berth-bench.1 berth-copy.1 berth-initiator.3; do
		find "$ROOT" -path "*man/man?/$page*" | grep . || fail "no $page"
	done
}

flags() {
	PKG_CONFIG_LIBDIR=$(dirname "$(cat "$DIR/pc")") PKG_CONFIG_SYSROOT_DIR=$ROOT pkg-config "$@" berth
}

libdir() {
	dirname "$(find "$ROOT" -name 'libberth.so.0' | head -1)"
}

builds() {
	local compiler=$1 program=$2 file=$3
	shift 3
	# shellcheck disable=SC2046
	$compiler -Wall -Wextra -Werror "$@" "$file" $(flags --cflags --libs) -o "$DIR/$program"
}

run() {
	LD_LIBRARY_PATH=$(libdir) timeout 30 "$DIR/$@"
}

looks() {
	local said
	said=$(run look "$(portal srv)")
	says "$said" "$(url srv | cut -d/ -f4) at "
	said=$(run look "$(url srv)")
	says "$said" "32768 blocks of 512 bytes, thin"
	refused run look iscsi://127.0.0.1:1/iqn.2026-11.x:y/0
}

# The sum of what was written, found by another way.
sums() {
	head -c 16M /dev/urandom >"$DIR/image"
	"$BERTH" copy "$DIR/image" "$(url srv)"
	same "$(run sum "$(url srv)")" "$(python3 -c '
import struct, sys
data = open(sys.argv[1], "rb").read()
words = struct.unpack("<%dQ" % (len(data) // 8), data)
print("%016x" % (sum(w * (16 * i + 1) for i, w in enumerate(words)) % 2**64))' "$DIR/image")"
}

cat >"$DIR/plus.cc" <<'PROGRAM'
#include <berth/initiator.h>
#include <cstdio>
#include <vector>

int main(int argc, char **argv)
{
	berth_url url;
	char err[256];
	berth_session *s = nullptr;
	berth_disk d;
	bool ended = false;

	if (argc != 2 || berth_url_parse(&url, argv[1], err, sizeof(err)))
		return 2;
	berth_options o{};
	o.depth = 4;
	if (berth_open_wait(&s, &url, &o, err, sizeof(err)) || berth_disk_wait(s, &d))
		return 1;
	std::vector<char> block(d.block_len, 'x');
	iovec iov = {block.data(), block.size()};
	berth_done *done = [](void *ctx, const berth_result *r) { *static_cast<bool *>(ctx) = !r->error; };
	if (berth_write(s, 7, 1, &iov, 1, done, &ended) < 0 || berth_wait(s, &ended))
		return 1;
	std::vector<char> back(d.block_len);
	if (berth_read_wait(s, 7, 1, back.data(), back.size(), nullptr) || back != block)
		return 1;
	berth_close(s);
	std::puts("as written");
}
PROGRAM

calls_of_header() {
	grep -v ^typedef "$SOURCE/include/berth/initiator.h" | grep -o '\bberth_[a-z_]*(' | tr -d '(' | sort -u
}

exports_only_its_own() {
	local names
	names=$(readelf --dyn-syms -W "$(libdir)/libberth.so.0" | awk '$5 == "GLOBAL" && $7 != "UND" { print $8 }')
	says "$names" berth_open
	same "$(grep -vc '^berth_' <<<"$names" || true)" 0
	# What the header declares is there, each of it.
	local name
	for name in $(calls_of_header); do
		grep -qx "$name" <<<"$names" || fail "$name is declared and not there"
	done
}

manual_has_all() {
	local name page
	page=$(sed 's/\\-/-/g' "$SOURCE/docs/berth-initiator.3")
	for name in $(calls_of_header); do
		grep -q "\b$name\b" <<<"$page" || fail "$name is not in the manual"
	done
}

plan 9
it "serves" start srv --ram 16M
it "everything is installed" installs
it "a program in C is built by pkg-config" builds cc look "$SOURCE/examples/look.c" -std=c11 -D_DEFAULT_SOURCE
it "and another" builds cc sum "$SOURCE/examples/sum.c"
it "it finds targets, and tells what a disk is" looks
it "it reads a disk in an event loop" sums
if command -v c++ >/dev/null; then
	plus() { builds c++ plus "$DIR/plus.cc" -std=c++11 -pedantic && says "$(run plus "$(url srv)")" "as written"; }
	it "the header suits C++" plus
else
	echo "ok $((++n_cases)) - the header suits C++ # SKIP c++ is not installed"
fi
it "the library exports its interface, all of it and nothing else" exports_only_its_own
it "the manual tells of each call" manual_has_all
the_end
