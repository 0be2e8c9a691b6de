#!/bin/bash
# engines.sh - where io_uring is forbidden (containers, hardened hosts): found out, told, lived without.
. "$(dirname "$0")/lib.sh"
need python3 qemu-io

# without_uring COMMAND... - a seccomp filter: system call 425 (io_uring_setup) ends in EPERM.
cat >"$DIR/without_uring" <<'END'
#!/usr/bin/env python3
import ctypes, os, struct, sys
STEPS = ((0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000))
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in STEPS))
program = struct.pack("HxxxxxxP", len(STEPS), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program):
    sys.exit(77)
os.execvp(sys.argv[1], sys.argv[1:])
END
chmod +x "$DIR/without_uring"
AS=$DIR/without_uring
"$AS" true || skip_all "no seccomp filters here"

falls_back() {
	ENGINE=auto start srv --ram 8M "$DIR/disk.img,size=8M"
	says "$(cat "$DIR/srv.err")" "engine epoll (io_uring: io_uring_setup: Operation not permitted)"
	io "$(url srv 1)" "write -P 0x21 0 2M" "flush" "read -P 0x21 0 2M"
	stop srv
}

says_why_not() {
	local code=0 said
	said=$("$AS" "$BERTH" serve --engine uring --listen 127.0.0.1:0 --ram 8M 2>&1) || code=$?
	same "$code" 5
	same "$said" "berth: --engine uring: Operation not permitted"
}

plan 2
it "without io_uring epoll is taken, and the log says why" falls_back
it "--engine uring is refused with the reason, exit code 5" says_why_not
the_end
