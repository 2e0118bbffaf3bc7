#!/usr/bin/env bash
# Copies uPlot, which draws the plots of `datablock-admin serve`, from the npm package into the
# source tree. Needs npm and a network. Nothing in the build calls this script: run it to take
# another version, then write the new checksums into the README.md beside the files.
set -euo pipefail
cd "$(dirname "$0")/../cmd/internal/dashboard/page/vendor"

version=$(sed -n 's/^# uPlot //p' README.md)
expected=$(sed -n 's/.*`sha512-\(.*\)`.*/\1/p' README.md)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

(cd "$folder" && npm pack --silent "uplot@$version" >/dev/null)
found=$(openssl dgst -sha512 -binary "$folder/uplot-$version.tgz" | base64 -w 0)
if [[ $found != "$expected" ]]; then
    echo "vendor_uplot: uplot-$version.tgz has the SHA-512 $found, expected $expected" >&2
    exit 1
fi
tar -xzf "$folder/uplot-$version.tgz" -C "$folder"
cp "$folder/package/dist/uPlot.esm.js" "$folder/package/dist/uPlot.min.css" .
cp "$folder/package/LICENSE" uPlot.LICENSE
sha256sum uPlot.*
