#!/bin/bash
# arguments.sh - what berth-sim says of a wrong word: one line that names it, as `berth` does, and exit code 2.
#
#   arguments.sh BERTH-SIM
set -u
TABLE='--frobnicate | --frobnicate: no such option (see berth-sim --help)
-q           | -q: no such option (see berth-sim --help)
word         | word: one word too many (see berth-sim --help)
--seed       | --seed: needs a value (see berth-sim --help)
--seed x     | --seed x: must be a number from 1 to 18446744073709551615
--seeds -1   | --seeds -1: must be a number from 1 to 4294967295
--steps 0    | --steps 0: must be a number from 1 to 100000000
--jobs 65    | --jobs 65: must be a number from 1 to 64'
echo "1..$(wc -l <<<"$TABLE")"
n=0 bad=0
while IFS='|' read -r words want; do
	n=$((n + 1))
	# shellcheck disable=SC2086
	said=$("$1" $words 2>&1 </dev/null)
	code=$?
	if [ $code = 2 ] && [ "$said" = "berth-sim:$want" ]; then
		echo "ok $n - berth-sim $words"
	else
		echo "not ok $n - berth-sim $words"
		echo "# exit code $code: $said"
		bad=1
	fi
done <<<"$TABLE"
exit $bad
