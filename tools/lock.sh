#!/usr/bin/env bash
# Pins everything of setup.cfg and requirements/*.in, with hashes, for every Python and platform we support.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(realpath "$1")
compile=("$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --custom-compile-command "make lock")
"${compile[@]}" requirements/build.in -o requirements/build.txt
"${compile[@]}" requirements/schema.in -o requirements/schema.txt
"${compile[@]}" requirements/bench.in -o requirements/bench.txt
"${compile[@]}" setup.cfg -o requirements/run.txt
"${compile[@]}" setup.cfg requirements/test.in -c requirements/run.txt -o requirements/test.txt
