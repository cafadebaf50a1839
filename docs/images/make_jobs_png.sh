#!/bin/sh
# Makes docs/images/jobs.png and job.png from a page with jobs of every kind.
# Needs chromium (or CHROMIUM=command), and the port below free. Run it from
# anywhere.
set -eu
cd "$(dirname "$0")/../.."
python=.venv/bin/python
chromium=${CHROMIUM:-chromium}
page=127.0.0.1:5656

folder=$(mktemp -d)
export QDISPATCH_DATA_DIR="$folder" QDISPATCH_PAGE__ADDRESS="$page" PYTHONPATH=.:client/src
$python -m tests.page.gallery "$folder" >"$folder/ids"
. "$folder/ids"
$python -m page 2>"$folder/log" &
service=$!
trap 'kill $service; wait $service || true; rm -rf "$folder"' EXIT

until grep -qs "the page is on" "$folder/log"; do
    kill -0 $service || { cat "$folder/log"; exit 1; }
    sleep 1
done
# As root, chromium runs without its sandbox only; it opens nothing but the
# page.
sandbox=
[ "$(id -u)" -ne 0 ] || sandbox=--no-sandbox
picture() {
    "$chromium" --headless $sandbox --disable-gpu --hide-scrollbars \
        --user-data-dir="$folder/chromium" --window-size="1280,$3" \
        --screenshot="$PWD/docs/images/$1" "http://$page$2" \
        2>"$folder/chromium.log" || { cat "$folder/chromium.log"; exit 1; }
}
picture jobs.png / 640
picture job.png "/jobs/$sweep?point=30" 900
