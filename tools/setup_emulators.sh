#!/usr/bin/env bash
# Installs what pip does not have: QEMU, simavr, and cross compilers (Debian, Ubuntu).
# grsn-edge's emulated Cortex-M0, M3, M4, M7, M33 and RISC-V need none of it.
#
#     tools/setup_emulators.sh [--processors]
#
# --processors: cross compilers for the processors that `tools/boards.py` runs under qemu-user, too;
# without them it takes zig's, which builds a C library for each first (minutes).
set -euo pipefail

packages=(
    qemu-system-arm qemu-system-misc qemu-user
    gcc-arm-none-eabi gcc-riscv64-unknown-elf gcc-xtensa-lx106
    gcc-avr avr-libc simavr libsimavr-dev
)
if [ "${1:-}" = --processors ]; then
    packages+=(
        gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-riscv64-linux-gnu libc6-dev-riscv64-cross
        gcc-mips-linux-gnu libc6-dev-mips-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross
    )
fi

if ! command -v apt-get >/dev/null; then
    echo "This is no Debian or Ubuntu. Install by other means: ${packages[*]}" >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif command -v sudo >/dev/null; then
    as_root=(sudo)
else
    echo "Neither root nor sudo. Ask for: apt-get install ${packages[*]}" >&2
    exit 1
fi
missing=()
for package in "${packages[@]}"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
    echo "All there: ${packages[*]}"
    exit 0
fi
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}"
