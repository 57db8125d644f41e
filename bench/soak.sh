#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A mixed load on bench/apps/mixed.lua for some seconds: bench/soak.sh path/to/luaserve seconds
#
# Every route in turn, with keep-alive, pipelining, bodies, clients that leave in the middle. At the end the server is
# stopped with SIGTERM and must exit with status 0 with no report of a sanitizer on its standard error.
set -euo pipefail

luaserve=$1 seconds=$2
out=$(mktemp) err=$(mktemp)
runner=
if setarch -R true 2>/dev/null; then runner="setarch -R"; fi

$runner "$luaserve" -p 0 --grace 5 bench/apps/mixed.lua >"$out" 2>"$err" &
pid=$!
trap 'kill $pid 2>/dev/null || true' EXIT
url=
for _ in $(seq 200); do
  url=$(grep -om1 'http://[^ /]*:[0-9]*' "$out" || true)
  [ -n "$url" ] && break
  sleep 0.05
done
[ -n "$url" ] || { echo "the server did not start" >&2; cat "$err" >&2; exit 1; }

body=$(mktemp)
cat >"$body" <<'LUA'
wrk.method = "POST"
wrk.body = '{"a":[' .. ("1,"):rep(2000) .. '2]}'
LUA

rss() { awk '/VmRSS/ { print $2 }' "/proc/$pid/status"; }
end=$((SECONDS + seconds)) rounds=0 first=
while [ $SECONDS -lt $end ]; do
  for route in plain file stat sleep lookup tasks cancel callback stream json error silent; do
    wrk -t1 -c16 -d1 "$url/$route" >/dev/null # wrk leaves in the middle of its last requests
  done
  wrk -t1 -c16 -d1 -s bench/load.lua "$url/" -- pipelined 16 >/dev/null
  wrk -t1 -c16 -d1 -s "$body" "$url/echo" >/dev/null
  wrk -t1 -c16 -d1 -s "$body" "$url/json" >/dev/null
  kill -0 $pid 2>/dev/null || { echo "the server has died" >&2; tail -50 "$err" >&2; exit 1; }
  rounds=$((rounds + 1)) first=${first:-$(rss)}
done

last=$(rss)
trap - EXIT
kill -TERM $pid
status=0
wait $pid || status=$?
echo "$rounds rounds; RSS after the first $first kB, after the last $last kB; exit status $status"
if [ $status -ne 0 ] || grep -E 'Sanitizer|runtime error' "$err"; then
  grep -vE '^(stack traceback|\s)|on purpose|without answering' "$err" | tail -50 >&2 || true
  exit 1
fi
rm -f "$out" "$err" "$body"
