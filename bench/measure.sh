#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# CPU time per request of one server: bench/measure.sh 'server command' /path [load [argument]]
#
# The server runs on core 0 and must print a line with http://host:port; wrk runs on core 1 for two seconds of warm-up
# and then for SECONDS_EACH (5) with CONNECTIONS (64), as load.lua says (plain). Prints user, system and total CPU time per
# request from /proc/PID/stat, all threads, requests per second, and resident memory.
set -euo pipefail

command=$1 path=$2
shift 2
seconds=${SECONDS_EACH:-5} connections=${CONNECTIONS:-64}

out=$(mktemp)
# shellcheck disable=SC2086 # the command is words
taskset -c 0 $command >"$out" 2>&1 &
pid=$!
trap 'kill $pid 2>/dev/null; wait $pid 2>/dev/null; rm -f "$out"' EXIT

url=
for _ in $(seq 100); do
  url=$(grep -om1 'http://[^ /]*:[0-9]*' "$out" || true)
  [ -n "$url" ] && break
  sleep 0.05
done
[ -n "$url" ] || { echo "the server did not start:" >&2; cat "$out" >&2; exit 1; }

script="$(dirname "$0")/load.lua"
load() { taskset -c 1 wrk -t1 -c"$connections" -d"$1" -s "$script" "$url$path" -- "${@:2}"; }
if [ $# = 0 ]; then set -- plain; fi
ticks() { awk '{ sub(/.*\) /, ""); print $12, $13 }' "/proc/$pid/stat"; }

load 2 "$@" >/dev/null
read -r user0 system0 < <(ticks)
result=$(load "$seconds" "$@")
read -r user1 system1 < <(ticks)

echo "$result" | grep -E 'Non-2xx|Socket errors' || true
echo "$result" | awk -v user=$((user1 - user0)) -v sys=$((system1 - system0)) -v hz="$(getconf CLK_TCK)" \
  -v rss="$(awk '/VmRSS/ { print $2 }' "/proc/$pid/status")" '
  /requests in/ { n = $1 }
  /Requests\/sec/ { rate = $2 }
  END {
    us = 1000000 / hz / n
    printf "user %.2f us, system %.2f us, total %.2f us a request; %d requests/s; RSS %.1f MB\n",
      user * us, sys * us, (user + sys) * us, rate, rss / 1024
  }'
