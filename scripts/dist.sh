#!/usr/bin/env bash
# Makes the source archive datablock-VERSION.tar.gz of the last commit: dist.sh FOLDER. The archive
# has the Go modules that the library, the programs and the tests require, in vendor/: it builds
# without a network. The same commit and the same tools make the same bytes.
set -euo pipefail
umask 022
export LC_ALL=C
(($# == 1)) || { echo "usage: scripts/dist.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."

die() { echo "dist: $*" >&2; exit 1; }
top=$(git rev-parse --show-toplevel 2>/dev/null) && [[ $top -ef . ]] ||
    die "this source tree is no clone of the repository: make the archive in a clone"
changed=$(git status --porcelain)
[[ -z $changed ]] || printf 'dist: the archive has the last commit, without these changes:\n%s\n' "$changed" >&2

part() { git show HEAD:include/datablock.h | sed -n "s/^#define DATABLOCK_VERSION_$1 //p"; }
name=datablock-$(part MAJOR).$(part MINOR).$(part PATCH)
time=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

git archive --format=tar --prefix="$name/" HEAD | tar -x -C "$stage"
# GOWORK, GOFLAGS: those of the caller do not count. The modules come from the module cache or from
# the network, and go.sum has their hashes.
(cd "$stage/$name" && env -u GOWORK GOFLAGS= go work vendor) || die "go work vendor failed"
[[ -e $stage/$name/vendor/modules.txt ]] || die "go work vendor made no vendor/modules.txt"
tar -c -C "$stage" --format=gnu --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner \
    --mode=u=rwX,go=rX "$name" | gzip -n -9 >"$stage/archive"
chmod 644 "$stage/archive"
cp "$stage/archive" "$folder/$name.tar.gz.new"
mv "$folder/$name.tar.gz.new" "$folder/$name.tar.gz"
echo "$folder/$name.tar.gz"
