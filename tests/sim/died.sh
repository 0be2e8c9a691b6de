#!/bin/bash
# died.sh - a job of berth-sim that dies of a signal: the seed that it played is told, and the signal.
#
#   died.sh BERTH-SIM
set -u
said=$(mktemp)
"$1" --seeds 1000000 --jobs 2 >/dev/null 2>"$said" &
sim=$!
trap 'kill -KILL $sim 2>/dev/null; rm -f "$said"' EXIT
echo 1..1
for ((i = 0; i < 200; i++)); do
	job=$(awk -v parent=$sim '$4 == parent { print $1 }' /proc/[0-9]*/stat 2>/dev/null | tail -n 1)
	[ -n "$job" ] && break
	sleep 0.05
done
sleep 0.2 # it plays
kill -KILL "$job"
wait $sim
code=$?
if [ $code = 1 ] && grep -Eqx 'berth-sim: seed [1-9][0-9]*: ended by signal 9 \(Killed\)' "$said" &&
	grep -Eqx 'berth-sim: repeat with: berth-sim --seed [1-9][0-9]* --steps 5000 --verbose' "$said"; then
	echo "ok 1 - a job that dies is told of by its seed"
else
	echo "not ok 1 - a job that dies is told of by its seed"
	echo "# exit code $code"
	sed 's/^/# /' "$said"
fi
