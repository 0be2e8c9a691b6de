#!/bin/bash
# chap.sh - who is named in --chap-file may log in and discover, nobody else; and the target proves itself when asked.
. "$(dirname "$0")/lib.sh"
need iscsi-inq iscsi-ls
cat >"$DIR/users" <<'USERS'
# name   secret
user1    password-one
0xuser   password-hex
"0buser" "password b64"
=disk    the-other-way
USERS
chmod 600 "$DIR/users"

as() { # as USER SECRET COMMAND...: with the URL of LUN 0
	local url
	url=$(url srv)
	LIBISCSI_CHAP_USERNAME=$1 LIBISCSI_CHAP_PASSWORD=$2 timeout 10 "${@:3}" "$url"
}

the_named() {
	as user1 password-one iscsi-inq | grep -q BERTH
	as 0xuser password-hex iscsi-inq | grep -q BERTH
	as 0buser "password b64" iscsi-inq | grep -q BERTH
}

nobody_else() {
	local code
	for who in "user1 password-two" "user2 password-one" "0xuser password-one"; do
		code=0
		# shellcheck disable=SC2086
		as $who iscsi-inq >"$DIR/said" 2>&1 || code=$?
		[ "$code" != 0 ] || fail "$who was let in"
	done
	code=0
	timeout 10 iscsi-inq "$(url srv)" >"$DIR/said" 2>&1 || code=$?
	[ "$code" != 0 ] || fail "who shows nothing was let in"
}

discovery_too() {
	local code=0
	timeout 10 iscsi-ls "$(portal srv)" >"$DIR/said" 2>&1 || code=$?
	silent_on "$(cat "$DIR/said")" Target:
	LIBISCSI_CHAP_USERNAME=user1 LIBISCSI_CHAP_PASSWORD=password-one \
		timeout 10 iscsi-ls "$(portal srv)" | grep -q Target:
}

open_discovery() {
	local code=0
	start open --ram 16M --chap-file "$DIR/users" --open-discovery
	timeout 10 iscsi-ls "$(portal open)" | grep -q Target:
	LIBISCSI_CHAP_USERNAME=user1 LIBISCSI_CHAP_PASSWORD=password-one \
		timeout 10 iscsi-ls "$(portal open)" | grep -q Target:
	timeout 10 iscsi-inq "$(url open)" >"$DIR/said" 2>&1 || code=$?
	[ "$code" != 0 ] || fail "who shows nothing was let in"
	stop open
}

both_ways() {
	LIBISCSI_CHAP_TARGET_USERNAME=disk LIBISCSI_CHAP_TARGET_PASSWORD=the-other-way as user1 password-one iscsi-inq |
		grep -q BERTH
	local code=0
	LIBISCSI_CHAP_TARGET_USERNAME=disk LIBISCSI_CHAP_TARGET_PASSWORD=not-the-one as user1 password-one iscsi-inq \
		>"$DIR/said" 2>&1 || code=$?
	[ "$code" != 0 ] || fail "a target with another secret was believed"
}

open_secrets() {
	local code=0 said
	chmod 644 "$DIR/users"
	said=$("$BERTH" serve --ram 16M --listen 127.0.0.1:0 --chap-file "$DIR/users" 2>&1) || code=$?
	chmod 600 "$DIR/users"
	same "$code" 5
	says "$said" "everybody"
}

plan 7
it "starts" start srv --ram 16M --chap-file "$DIR/users"
it "who is named gets in, names that look like numbers too" the_named
it "nobody else gets in" nobody_else
it "discovery asks for it as well" discovery_too
it "open discovery tells everybody, and lets in nobody" open_discovery
it "the target proves itself" both_ways
it "a file that everybody may read is refused" open_secrets
the_end
