#!/bin/sh
# bootstrap.sh demo | test: from a bare Debian or Ubuntu to a running example, or to the whole test suite.
# Installs what is missing (as root, or through sudo), configures build/, builds, runs.
set -eu
cd "$(dirname "$0")/.."

case "${1-}" in
  demo) packages="cmake ninja-build g++ libeigen3-dev" ;;
  test) packages="cmake ninja-build g++ clang libeigen3-dev libgtest-dev libbenchmark-dev libopenblas-dev libdnnl-dev" ;;
  *) sed -n 2,3p "$0" >&2; exit 2 ;;
esac

missing=
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  as_root=
  [ "$(id -u)" = 0 ] || as_root=sudo
  export DEBIAN_FRONTEND=noninteractive
  $as_root apt-get update -qq
  # shellcheck disable=SC2086  # a list of names
  $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

if [ "$1" = demo ]; then
  cmake --preset default -DNIBBLE_BUILD_TESTS=OFF -DNIBBLE_BUILD_BENCH=OFF -DNIBBLE_BUILD_EXAMPLES=ON
  cmake --build build --target layer_report
  build/examples/layer_report
else
  cmake --preset default -DNIBBLE_BUILD_TESTS=ON -DNIBBLE_BUILD_BENCH=ON -DNIBBLE_BUILD_EXAMPLES=ON
  cmake --build build
  ctest --test-dir build --output-on-failure -j "$(nproc)"
fi
