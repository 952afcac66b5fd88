#!/bin/sh
# scripts/setup.sh render    what `simgen render` needs
# scripts/setup.sh all       that, training and evaluation (torch, Ultralytics), and the tests,
#                            one of which looks at the report in Chromium, 400 MB from apt
# Makes .venv in the repository and installs simgen into it, after the system packages.
set -eu
cd "$(dirname "$0")/.."

case "${1:-}" in
    render) target=. system= ;;
    all) target='.[yolo,cad,cluster,dev]' system=tests ;;
    *) echo "usage: scripts/setup.sh render|all" >&2; exit 2 ;;
esac

python=${PYTHON:-python3}
for candidate in "$python" python3.11 python3.12 python3.13; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        found=yes
        break
    fi
done
[ "${found:-}" = yes ] || { echo "Python 3.11 or newer is needed; set PYTHON=..." >&2; exit 1; }

PYTHON=$python sh scripts/setup_system.sh ${system:+"$system"}
make_environment() {
    "$python" -m venv .venv 2>/dev/null && return
    # No ensurepip, and no right to install it: virtualenv brings its own.
    rm -rf .venv
    tool=$(mktemp -d)
    "$python" -m pip install --quiet --target "$tool" virtualenv
    PYTHONPATH=$tool "$python" -m virtualenv --quiet .venv
    rm -rf "$tool"
}
[ -x .venv/bin/pip ] || make_environment
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e "$target"
.venv/bin/python -m simgen --version
