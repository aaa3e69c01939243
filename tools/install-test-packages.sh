#!/bin/sh
# Debian packages that the tests use, installed when we may: a browser to look at the report, fonts
# with Korean letters, a database server, a broker. The tests start servers of their own in folders
# of their own. Without a package the tests that need it are skipped, and say so.
set -eu
packages=""
command -v chromium >/dev/null || packages="$packages chromium"
[ -e /usr/share/doc/fonts-noto-cjk ] || packages="$packages fonts-noto-cjk"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || packages="$packages postgresql"
{ command -v mosquitto || [ -x /usr/sbin/mosquitto ]; } >/dev/null || packages="$packages mosquitto"
[ -n "$packages" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "not installed:$packages (install them to run every test)"
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 - a list of words
apt-get install -qq -y --no-install-recommends $packages >/dev/null
