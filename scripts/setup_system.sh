#!/bin/sh
# scripts/setup_system.sh          the system packages that rendering needs
# scripts/setup_system.sh tests    those, and Chromium, in which tests look at the report
# Installs them where apt and root are there; otherwise says exactly what is missing. Exit code 0
# when nothing that rendering needs is missing afterwards; without Chromium its tests are skipped.
set -u

# What each package is for: EGL and OpenGL without a screen, Mesa's drivers (software rendering),
# and three libraries that OpenCV's wheel links.
packages="libegl1 libopengl0 libgl1-mesa-dri libgl1 libglib2.0-0 libxcb1"
# Names of libraries to look for, so that a system of another packaging passes too.
libraries="libEGL.so.1 libOpenGL.so.0 libGL.so.1 libgthread-2.0.so.0 libxcb.so.1"

python=${PYTHON:-python3}

missing_libraries() {
    for library in $libraries; do
        "$python" -c "import ctypes; ctypes.CDLL('$library')" 2>/dev/null || printf '%s ' "$library"
    done
    # Mesa's drivers are loaded by name at run time, so only the package itself can be asked for.
    if command -v dpkg >/dev/null && ! dpkg -s libgl1-mesa-dri >/dev/null 2>&1; then
        ls /dev/nvidia0 >/dev/null 2>&1 || printf 'libgl1-mesa-dri '
    fi
}

# Debian splits venv off Python; without it `scripts/setup.sh` falls back to virtualenv.
venv_package() {
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        "$python" -c 'import sys; print("python3.%d-venv" % sys.version_info.minor)' 2>/dev/null
}

browser_package() {
    for name in chromium chromium-browser google-chrome; do
        ! command -v "$name" >/dev/null || return 0
    done
    echo chromium
}

missing=$(missing_libraries)
wanted=$(venv_package)
browser=
[ "${1:-}" != tests ] || browser=$(browser_package)
[ -n "$missing$wanted$browser" ] || { echo "system packages: all there"; exit 0; }

echo "system packages: missing $missing$wanted $browser"
give_up() {
    echo "$1" >&2
    [ -z "$missing" ]
    exit
}
if ! command -v apt-get >/dev/null; then
    give_up "no apt-get here: install what provides $missing$wanted with this system's own tool"
fi
sudo=
if [ "$(id -u)" -ne 0 ]; then
    if sudo -n true 2>/dev/null; then
        sudo=sudo
    else
        give_up "not root: ask an administrator for: apt-get install $packages $wanted"
    fi
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q
# Ubuntu's Chromium is a snap, which a container cannot run: apt knows none there.
[ -z "$browser" ] || $sudo apt-get install -q -y --no-install-recommends "$browser" ||
    echo "no Chromium from apt: tests of the report in a browser are skipped" >&2
# On Debian 13 and Ubuntu 24.04 libglib2.0-0 is a name that libglib2.0-0t64 provides.
# shellcheck disable=SC2086
$sudo apt-get install -q -y --no-install-recommends $packages $wanted || exit 1

missing=$(missing_libraries)
[ -z "$missing" ] || { echo "still missing: $missing" >&2; exit 1; }
