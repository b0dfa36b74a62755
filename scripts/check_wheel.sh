#!/usr/bin/env bash
# Build the wheel, install it in a fresh environment with the exact versions of requirements/lock.txt, and see that it
# answers: first with the one line that says what is missing (the backbone's wheel), then, after that command, with a pose.
#
#   scripts/check_wheel.sh [FOLDER]      # FOLDER (default: a temporary one) keeps the environment and the answers
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONPATH
work=$(realpath -m "${1:-$(mktemp -d)}")
python=${PYTHON:-python3.11}
mkdir -p "$work"

echo "Building the wheel in $work/dist"
rm -rf "$work/dist" "$work/source"
mkdir "$work/source"
git ls-files -z -- pyproject.toml README.md LICENSE NOTICE src | xargs -0 cp --parents --target-directory "$work/source"
"$python" -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip --disable-pip-version-check)
"${pip[@]}" wheel --quiet --no-deps --wheel-dir "$work/dist" "$work/source"

echo "Comparing it with the files in src"
(cd src && git ls-files pose_rft | sort) >"$work/in_src"
unzip -Z1 "$work"/dist/pose_rft-*.whl 'pose_rft/*' | sort >"$work/in_wheel"
diff "$work/in_src" "$work/in_wheel"

echo "Installing it"
"${pip[@]}" install --quiet "$work"/dist/pose_rft-*.whl -c requirements/lock.txt
cd "$work"
answer=("$work/venv/bin/pose-rft" generate "a boxer throwing a left jab" --seed 0 --out "$work/answers")
status=0
POSE_RFT_CACHE="$work/cache" "${answer[@]}" 2>"$work/error" || status=$?
cat "$work/error"
command=$(grep --only-matching 'pip install [^;]*' "$work/error") || true
if [ "$status" != 2 ] || [ "$(wc -l <"$work/error")" != 1 ] || [ -z "$command" ]; then
    echo "expected one line with one command to run, and status 2, not $status"
    exit 1
fi

echo "Running what it says: $command"
# shellcheck disable=SC2086  # the words of the command
"$work/venv/bin/python" -m $command --quiet --disable-pip-version-check
POSE_RFT_CACHE="$work/cache" "${answer[@]}"
test -s "$work/answers/answers.jsonl"
echo "The wheel answers."
