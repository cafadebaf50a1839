#!/bin/sh
# Makes docs/images/flower.png from a running dashboard. Needs chromium (or
# CHROMIUM=command), and the ports below free. Run it from anywhere.
set -eu
cd "$(dirname "$0")/../.."
python=.venv/bin/python
chromium=${CHROMIUM:-chromium}
server=127.0.0.1:50151
flower=127.0.0.1:5655

folder=$(mktemp -d)
export QDISPATCH_DATA_DIR="$folder/data" QDISPATCH_SERVER__ADDRESS="$server"
export QDISPATCH_ADDRESS="$server" PYTHONPATH=.
$python -m app up --flower "$flower" >"$folder/log" 2>&1 &
service=$!
trap 'kill $service; wait $service || true; rm -rf "$folder"' EXIT

until grep -qs "ready on" "$folder/log"; do
    kill -0 $service || { cat "$folder/log"; exit 1; }
    sleep 1
done
$python docs/images/flower_jobs.py
# As root, chromium runs without its sandbox only; it opens nothing but the
# dashboard.
sandbox=
[ "$(id -u)" -ne 0 ] || sandbox=--no-sandbox
"$chromium" --headless $sandbox --disable-gpu --hide-scrollbars \
    --user-data-dir="$folder/chromium" --window-size=1620,640 \
    --virtual-time-budget=8000 --screenshot="$PWD/docs/images/flower.png" \
    "http://$flower/tasks" 2>"$folder/chromium.log" || { cat "$folder/chromium.log"; exit 1; }
