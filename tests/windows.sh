#!/bin/bash
# Cross-build hubvault for Windows (x86_64-pc-windows-gnu) on Debian and run its tests under wine.
#
#   tests/windows.sh                 cargo test --workspace
#   tests/windows.sh ARGUMENTS...    cargo ARGUMENTS... (for example: tests/windows.sh test --lib store::)
#
# Debian's own rustc is used here, not rustup's: the standard library for Windows is built once from the
# sources that Debian ships beside it, and both must be of one version. As root the script installs what it
# needs; as an ordinary user it says what is missing. Repeating it is harmless and quick.
# Environment: WINDOWS_TARGET_DIR (default target/windows), WINDOWS_WINEPREFIX (default in the cache folder).
set -euo pipefail
cd "$(dirname "$0")/.."

target=x86_64-pc-windows-gnu
packages=(ca-certificates rustc-web cargo-web rust-web-src gcc libc6-dev
  gcc-mingw-w64-x86-64-win32 g++-mingw-w64-x86-64-win32 wine64 libwine)
say() { printf '%s %s\n' '-- windows:' "$*"; }
die() { printf 'tests/windows.sh: %s\n' "$*" >&2; exit 1; }

# Nothing set for the Linux legs (flags, wrappers, toolchain choice, target folder) may reach this one.
unset RUSTFLAGS RUSTDOCFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_ENCODED_RUSTDOCFLAGS CARGO_BUILD_RUSTFLAGS \
  CARGO_BUILD_TARGET CARGO_BUILD_TARGET_DIR CARGO_TARGET_DIR RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER \
  CARGO_BUILD_RUSTC_WRAPPER RUSTUP_TOOLCHAIN RUSTC_BOOTSTRAP HUBVAULT_DIR
export DEBIAN_FRONTEND=noninteractive
export LC_ALL=C.UTF-8 # wine maps file names by locale: under C every non-ASCII name fails

# 1. Programs.
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if ((${#missing[@]})); then
  ((EUID == 0)) || die "missing packages; as root: apt-get install --no-install-recommends ${missing[*]}"
  say "installing ${missing[*]}"
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
# By full path: rustup's proxies come first on many a PATH.
export RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc
cargo=/usr/bin/cargo
say "$($RUSTC -V), $(/usr/lib/wine/wine64 --version)"

# 2. The standard library for the target, built once into the compiler's own folder (kept while rustc is the same).
libdir=/usr/lib/rustlib/$target/lib
version=$($RUSTC -V)
if [ "$(cat "$libdir/.stamp" 2>/dev/null || true)" != "$version" ]; then
  ((EUID == 0)) || die "the standard library for $target is not in $libdir yet; run this once as root"
  say "building the standard library for $target"
  work=$(mktemp -d)
  mkdir "$work/src"
  : >"$work/src/lib.rs"
  printf '[package]\nname = "stdlibs"\nversion = "0.0.0"\nedition = "2021"\n[profile.release]\ndebug = 1\n' >"$work/Cargo.toml"
  (
    cd "$work"
    RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$work/out $cargo build -q --release --target $target \
      -Zbuild-std=core,alloc,std,proc_macro,panic_unwind,panic_abort,test
  )
  rm -rf "$libdir"
  mkdir -p "$libdir"
  for rlib in "$work/out/$target"/release/deps/lib*.rlib; do
    case $rlib in */libstdlibs-*) ;; *) cp "$rlib" "$libdir/" ;; esac
  done
  echo "$version" >"$libdir/.stamp"
  rm -rf "$work"
fi

# 3. A wine prefix of our own, with the one DLL that wine 8 lacks and every Rust program asks for.
export WINEPREFIX=${WINDOWS_WINEPREFIX:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/hubvault-windows/wine}
export WINEARCH=win64 WINEDEBUG=-all RUST_BACKTRACE=0
wineserver=/usr/lib/wine/wineserver64
dll=$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll
if [ ! -e "$dll" ]; then
  say "creating the wine prefix $WINEPREFIX"
  mkdir -p "$WINEPREFIX"
  /usr/lib/wine/wine64 wineboot -i >/dev/null 2>&1 </dev/null
  $wineserver -w || true
  work=$(mktemp -d)
  cat >"$work/shim.c" <<'C'
#include <windows.h>
BOOLEAN WINAPI SystemFunction036(PVOID, ULONG); /* RtlGenRandom */
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE p, SIZE_T n) {
  while (n) {
    ULONG k = n > 0x10000000 ? 0x10000000 : (ULONG)n;
    if (!SystemFunction036(p, k)) return FALSE;
    p += k; n -= k;
  }
  return TRUE;
}
C
  x86_64-w64-mingw32-gcc -O2 -shared -o "$work/shim.dll" "$work/shim.c" -ladvapi32
  mv "$work/shim.dll" "$dll"
  rm -rf "$work"
fi
# Ends this prefix's wine server and whatever a test left running in it; nothing else.
trap '$wineserver -k >/dev/null 2>&1 || true' EXIT

# 4. Build and test. Artefacts stay apart, so that the Linux ones survive.
export CC_x86_64_pc_windows_gnu=x86_64-w64-mingw32-gcc CXX_x86_64_pc_windows_gnu=x86_64-w64-mingw32-g++
export AR_x86_64_pc_windows_gnu=x86_64-w64-mingw32-ar
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=/usr/lib/wine/wine64
export CARGO_TARGET_DIR=${WINDOWS_TARGET_DIR:-$PWD/target/windows}
export PROPTEST_CASES=${PROPTEST_CASES:-32} # wine is slow; the full count runs on Linux
if (($# == 0)); then set -- test --workspace --locked --no-fail-fast; fi
verb=$1
shift
say "cargo $verb --target $target $*"
$cargo "$verb" --target $target "$@" </dev/null
