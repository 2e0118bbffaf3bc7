#!/usr/bin/env bash
# Makes the Debian packages of the last commit: deb.sh FOLDER. They are built in the unpacked source
# archive (scripts/dist.sh), without a network. The same commit and the same tools make the same
# bytes. `make setup PACKAGES=1` installs the tools.
set -euo pipefail
umask 022
(($# == 1)) || { echo "usage: scripts/deb.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."

die() { echo "deb: $*" >&2; exit 1; }
for tool in dpkg-buildpackage dh dh_python3; do
    command -v "$tool" >/dev/null || die "missing: $tool: \`make setup PACKAGES=1\` installs it"
done
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
archive=$(scripts/dist.sh "$stage")
tar -x -C "$stage" -f "$archive"
rm "$archive"
name=$(basename "$archive" .tar.gz)
version=${name#datablock-}
cd "$stage/$name"
noted=$(dpkg-parsechangelog -S Version)
[[ $noted == "$version" ]] || die "debian/changelog has version $noted, include/datablock.h has $version"

# Debian has no Go that is new enough: the one on PATH counts. Debhelper would give Go an empty
# cache in the build folder.
GOCACHE=$(go env GOCACHE)
export GOCACHE
unset GOFLAGS GOWORK MAKEFLAGS MAKELEVEL DESTDIR PREFIX
dpkg-buildpackage --no-sign --build=full --build-profiles=pkg.datablock.go >"$stage/log" 2>&1 || {
    cat "$stage/log" >&2
    die "dpkg-buildpackage failed"
}
cd "$stage"
for file in datablock_* *.deb; do
    mv "$file" "$folder/"
done
echo "$folder"/*_"$version"_*.deb
