#!/usr/bin/env bash
# Installs what the peers of the benchmark need, and builds them in build/peers. `make bench
# PEERS=1` calls the script. A peer that cannot be had gets a file `missing` with the reason, and
# the benchmark runs without that peer. Nothing of this is part of the library or of its tests.
set -uo pipefail
cd "$(dirname "$0")/../.."

ICEORYX2_VERSION=0.10.0
AERON_VERSION=1.51.0
NUMPY_VERSION=2.2.6

build=${DATABLOCK_BUILD:-$PWD/build}
peers=$build/peers
tools=$PWD/.tools/peers
sources=bench/peers
strict=(-O3 -Wall -Wextra -Wpedantic -Werror)
log=$peers/setup.log
mkdir -p "$peers" "$tools"
: >"$log"

say() { echo "peers: $*"; }
has() { command -v "$1" >/dev/null 2>&1; }

missing() { # peer, reason
    mkdir -p "$peers/$1"
    echo "$2" >"$peers/$1/missing"
    say "$1 will not run: $2"
}

there() { # peer, version
    mkdir -p "$peers/$1"
    rm -f "$peers/$1/missing"
    echo "$2" >"$peers/$1/version"
}

# True if a peer's program is newer than all of its sources.
current() { # program, sources...
    local program=$1 source
    shift
    [[ -e $program ]] || return 1
    for source in "$@"; do
        [[ $source -nt $program ]] && return 1
    done
    return 0
}

as_root=()
may_install() {
    has apt-get || { reason="there is no apt-get here"; return 1; }
    [[ $(id -u) == 0 ]] && return 0
    if has sudo && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
        return 0
    fi
    reason="this user may not install packages"
    return 1
}

updated=0
debian() { # file that proves it, packages...
    local proof=$1
    shift
    [[ -e $proof ]] && return 0
    may_install || { reason="$reason: as root, install $*"; return 1; }
    say "installing $*"
    if ((!updated)); then
        "${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=300 update </dev/null >>"$log" 2>&1
        updated=1
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "$@" </dev/null >>"$log" 2>&1 && [[ -e $proof ]] && return 0
    reason="apt-get could not install $*: see $log"
    return 1
}

debian_version() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null; }

# Compiles one program, unless it is current.
compile() { # peer, source, compiler and flags...
    local peer=$1 source=$2
    shift 2
    mkdir -p "$peers/$peer"
    current "$peers/$peer/peer" "$source" bench/measure.h bench/ring.h $sources/peer.h \
        $sources/boost/boost.h && return 0
    say "building $peer"
    "$@" "${strict[@]}" "$source" -o "$peers/$peer/peer" "${libraries[@]}" >>"$log" 2>&1 && return 0
    reason="it does not compile: see $log"
    return 1
}

zeromq() {
    libraries=(-lzmq)
    debian /usr/include/zmq.h libzmq3-dev &&
        compile zeromq $sources/zeromq/zeromq.c cc -std=gnu11 &&
        there zeromq "$(debian_version libzmq3-dev)"
}

boost() { # peer, source
    libraries=(-lpthread -lrt)
    debian /usr/include/boost/version.hpp libboost-dev &&
        compile "$1" "$2" c++ -std=gnu++17 &&
        there "$1" "$(sed -n 's/^#define BOOST_LIB_VERSION "\(.*\)"/\1/p' /usr/include/boost/version.hpp | tr _ .)"
}

iceoryx() {
    local headers
    debian /usr/bin/iox-roudi libiceoryx-posh-dev libiceoryx-hoofs-dev iceoryx || return 1
    headers=$(echo /usr/include/iceoryx/v*)
    libraries=(-liceoryx_posh -liceoryx_hoofs -liceoryx_platform)
    compile iceoryx $sources/iceoryx/iceoryx.cpp c++ -std=gnu++17 -isystem "$headers" &&
        there iceoryx "$(debian_version libiceoryx-posh-dev)"
}

iceoryx2() {
    local crate=$peers/iceoryx2/crate program=$peers/iceoryx2/peer
    [[ $(cat "$peers/iceoryx2/version" 2>/dev/null) == "$ICEORYX2_VERSION" ]] &&
        current "$program" $sources/iceoryx2/Cargo.toml $sources/iceoryx2/src/*.rs &&
        { there iceoryx2 "$ICEORYX2_VERSION"; return; }
    has cargo || debian /usr/bin/cargo cargo || return 1
    say "building iceoryx2 $ICEORYX2_VERSION (this takes minutes)"
    mkdir -p "$crate"
    cp -r $sources/iceoryx2/src "$crate/"
    sed "s/^iceoryx2 = .*/iceoryx2 = \"=$ICEORYX2_VERSION\"/" $sources/iceoryx2/Cargo.toml >"$crate/Cargo.toml"
    (cd "$crate" && cargo build --release --quiet) >>"$log" 2>&1 &&
        cp "$crate/target/release/peer" "$program" && there iceoryx2 "$ICEORYX2_VERSION" && return
    reason="cargo could not build iceoryx2 $ICEORYX2_VERSION: see $log"
    return 1
}

aeron() {
    local jar=$peers/aeron/aeron-all.jar
    { has javac || debian /usr/bin/javac default-jdk-headless; } &&
        { has mvn || debian /usr/bin/mvn maven; } || return 1
    mkdir -p "$peers/aeron/classes"
    if [[ ! -e $jar || $(cat "$peers/aeron/version" 2>/dev/null) != "$AERON_VERSION" ]]; then
        say "Aeron $AERON_VERSION from Maven Central"
        mvn -q -B dependency:copy "-Dartifact=io.aeron:aeron-all:$AERON_VERSION" \
            "-DoutputDirectory=$peers/aeron" >>"$log" 2>&1 &&
            mv "$peers/aeron/aeron-all-$AERON_VERSION.jar" "$jar" ||
            { reason="Maven Central did not give io.aeron:aeron-all:$AERON_VERSION: see $log"; return 1; }
    fi
    javac -Xlint:all -Werror -cp "$jar" -d "$peers/aeron/classes" $sources/aeron/*.java >>"$log" 2>&1 &&
        there aeron "$AERON_VERSION" && return
    reason="it does not compile: see $log"
    return 1
}

# The peers in Python have an environment of their own. The library's tests do not see it.
python_environment() {
    local python=$tools/venv/bin/python wanted="iceoryx2 $ICEORYX2_VERSION numpy $NUMPY_VERSION"
    [[ $(cat "$tools/venv/stamp" 2>/dev/null) == "$wanted" ]] && return 0
    say "Python environment in .tools/peers"
    { [[ -x $python ]] || python3 -m venv --clear "$tools/venv"; } >>"$log" 2>&1 &&
        "$python" -m pip install --quiet --disable-pip-version-check --no-input \
            "iceoryx2==$ICEORYX2_VERSION" "numpy==$NUMPY_VERSION" >>"$log" 2>&1 &&
        echo "$wanted" >"$tools/venv/stamp" && return 0
    reason="pip could not install iceoryx2 $ICEORYX2_VERSION: see $log"
    return 1
}

peer() { # name, command...
    local name=$1
    shift
    reason="unknown"
    "$@" || missing "$name" "$reason"
}

peer zeromq zeromq
peer boost-queue boost boost-queue $sources/boost/queue.cpp
peer boost-ring boost boost-ring $sources/boost/ring.cpp
peer iceoryx iceoryx
peer iceoryx2 iceoryx2
peer aeron aeron
if python_environment; then
    there py-iceoryx2 "$ICEORYX2_VERSION"
    for name in py-ring py-pipe py-queue; do
        there $name "$("$tools/venv/bin/python" -c 'import platform; print("Python", platform.python_version())')"
    done
else
    for name in py-iceoryx2 py-ring py-pipe py-queue; do
        missing $name "$reason"
    done
fi
