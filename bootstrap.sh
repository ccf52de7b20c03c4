#!/usr/bin/env bash
# Installs what seglab needs on a Debian or Ubuntu machine, then runs it or its tests.
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: ./bootstrap.sh reproduce [ARG...]  install what is missing, then: seglab reproduce ARG...
       ./bootstrap.sh test [ARG...]       install what is missing, then: tox ARG...
       ./bootstrap.sh install             install what is missing for `reproduce`, run nothing
       ./bootstrap.sh --help

System packages come from apt; sudo is used only if one is missing and you are not root.
All Python packages go into .venv beside this file; nothing else on the machine changes.
Run it as often as you like, from anywhere: it does not install again what is there already.

Exit codes: 2 wrong usage; 3 the machine lacks something, and the message says what; otherwise
the exit code of seglab (0 reproduced, 1 not) or of tox.
HELP
}

say() { printf 'bootstrap: %s\n' "$*" >&2; }
lacks() {
  say "$*"
  exit 3
}

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
venv=$here/.venv
# This file exists while pip works in .venv. Anyone who finds it knows that pip never finished.
unfinished=$venv/seglab-unfinished
# Programs such as ethtool live where an ordinary user of Debian does not look.
export PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Each program that the lab starts, and the package that brings it.
readonly run_tools=(mnexec:mininet ifconfig:net-tools ethtool:ethtool ip:iproute2
  unshare:util-linux mount:mount nft:nftables)
# gcc is for what setup.py compiles; only the tests need that, see CONTRIBUTING.md.
test_tools=(tshark:tshark gcc:gcc)
# Ubuntu's Chromium is a snap, which scripts cannot use: there the tests of the report's page skip.
! grep -qx 'ID=debian' /etc/os-release 2>/dev/null ||
  test_tools+=(chromium:chromium chromedriver:chromium-driver)
readonly test_tools

# --- Python -------------------------------------------------------------------------------

# Prints the first Python on PATH that is new enough: the interpreter behind any venv or shim.
find_python() {
  local name
  for name in python3 python3.13 python3.12 python3.11; do
    "$name" -I -c 'if True:
      import sys
      if sys.version_info < (3, 11): sys.exit(1)
      print(getattr(sys, "_base_executable", "") or sys.executable)' 2>/dev/null && return
  done
  return 1
}

# Prints the package that lets Python $1 make virtual environments; nothing if it can already.
venv_package() {
  "$1" -I -c 'if True:
    import os, sys
    try:
        import ensurepip, venv
    except ImportError:
        name = "python%d.%d" % sys.version_info[:2]
        default = os.path.basename(os.path.realpath("/usr/bin/python3"))
        print("python3-venv" if name == default else name + "-venv")'
}

# Prints the package with the C headers of Python $1; nothing if they are there.
headers_package() {
  "$1" -I -c 'if True:
    import os, sys, sysconfig
    if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
        name = "python%d.%d" % sys.version_info[:2]
        default = os.path.basename(os.path.realpath("/usr/bin/python3"))
        print("python3-dev" if name == default else name + "-dev")'
}

# Succeeds if .venv holds all that $1 ("run" or "dev") needs, for this pyproject.toml and folder.
# With "mark" as $2, it also writes down that .venv does.
venv_ready() {
  [[ -x $venv/bin/python && ! -e $unfinished ]] || return 1
  "$venv/bin/python" -I - "$here" "$venv" "$@" 2>/dev/null <<'PY'
import hashlib, pathlib, re, sys
from importlib.metadata import requires, version

here, venv, needs = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
for requirement in requires("seglab"):
    name, _, marker = requirement.partition(";")
    if "extra" not in marker or (needs == "dev" and "dev" in marker):
        version(re.match(r"[\w.-]+", name)[0])
import seglab

state = f"{hashlib.sha256((here / 'pyproject.toml').read_bytes()).hexdigest()} {sys.version} {here}"
if sys.argv[4:] == ["mark"]:
    for stage in {needs, "run"}:  # "dev" holds all that "run" needs
        (venv / f"seglab-{stage}").write_text(state)
sys.exit((venv / f"seglab-{needs}").read_text() != state)
PY
}

# Succeeds if pip can complete .venv: nobody interrupted pip in it, the folder was not moved, and
# its Python is still there.
venv_sound() {
  [[ ! -e $unfinished ]] && "$venv/bin/python" -I -c 'if True:
    import pathlib, sys
    import pip
    stamps = pathlib.Path(sys.prefix).glob("seglab-*")
    here = f"{sys.version} {sys.argv[1]}"
    sys.exit(sys.version_info < (3, 11) or not all(s.read_text().endswith(here) for s in stamps))
  ' "$here" 2>/dev/null
}

fill_venv() {
  local needs=$1 target=. quiet=(--quiet)
  [[ $needs == run ]] || target=".[$needs]"
  [[ ! -t 2 ]] || quiet=()
  : >"$unfinished"
  rm -f -- "$venv"/seglab-run "$venv"/seglab-dev
  cd -- "$here"
  # "compat" puts a path into the environment instead of an import hook, which would slow down
  # every start of a Python process in the lab.
  PIP_USER=0 "$venv/bin/python" -I -m pip install "${quiet[@]}" --no-input \
    --disable-pip-version-check --config-settings editable_mode=compat --editable "$target" \
    >&2 </dev/null || lacks "pip could not install the Python packages; its reason is above"
  rm -f -- "$unfinished"
}

make_venv() {
  local python=$1
  say "making .venv with $python and installing the Python packages into it (once; a minute or two)"
  rm -rf -- "$venv" || lacks "cannot remove $venv; as its owner or root, run: rm -rf '$venv'"
  mkdir -- "$venv"
  : >"$unfinished"
  "$python" -I -m venv -- "$venv" >&2 </dev/null || lacks "$python cannot make $venv"
}

# --- the system's packages ----------------------------------------------------------------

apt_install() {
  local packages=("$@") as_root=()
  local apt=(apt-get -qq -o DPkg::Lock::Timeout=600)
  local install=("${apt[@]}" install -y --no-install-recommends "${packages[@]}")
  local by_hand="apt-get update && apt-get install --no-install-recommends ${packages[*]}"
  command -v apt-get >/dev/null ||
    lacks "this machine has no apt-get; install what Debian calls: ${packages[*]}"
  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      lacks "only root can install packages and there is no sudo; as root, run: $by_hand"
    as_root=(sudo)
  fi
  say "installing ${packages[*]} by apt"
  "${as_root[@]}" true </dev/null ||
    lacks "only root can install packages and sudo refused; as root, run: $by_hand"
  as_root+=(env DEBIAN_FRONTEND=noninteractive)
  "${as_root[@]}" "${apt[@]}" update >/dev/null </dev/null ||
    say "apt-get update had errors; continuing with the package lists that are there"
  "${as_root[@]}" "${install[@]}" >/dev/null </dev/null ||
    # An interrupted installation blocks all later ones until dpkg completes it.
    { "${as_root[@]}" dpkg --configure -a >/dev/null </dev/null &&
      "${as_root[@]}" "${install[@]}" >/dev/null </dev/null; } ||
    lacks "apt could not install all packages, its reason is above; as root, run: $by_hand"
}

# Sets `missing` to the packages that must be installed for $1 ("run" or "dev").
find_missing() {
  local needs=$1 tool tools=("${run_tools[@]}") python package
  [[ $needs == run ]] || tools+=("${test_tools[@]}")
  missing=()
  for tool in "${tools[@]}"; do
    command -v "${tool%%:*}" >/dev/null || missing+=("${tool#*:}")
  done
  if [[ $needs == dev ]] && python=$(find_python); then
    package=$(headers_package "$python")
    [[ -z $package ]] || missing+=("$package")
  fi
  if venv_ready "$needs" || venv_sound; then
    return
  elif python=$(find_python); then
    package=$(venv_package "$python")
    [[ -z $package ]] || missing+=("$package")
  elif command -v python3 >/dev/null; then
    lacks "seglab needs Python 3.11 or newer; python3 here is $(python3 -V 2>&1 | cut -d' ' -f2)" \
      "and no python3.11, python3.12 or python3.13 is on PATH: install one of them with its venv" \
      "package, or use Debian 12, Ubuntu 24.04 or newer"
  else
    missing+=(python3 python3-venv)
    [[ $needs == run ]] || missing+=(python3-dev)
  fi
}

# --- together -----------------------------------------------------------------------------

complete() {
  local needs=$1 missing python
  venv_ready "$needs" || writable "$([[ $needs == run ]] && echo install || echo test)"
  find_missing "$needs"
  # apt does not inherit the lock: a daemon that a package starts would keep it for ever.
  ((${#missing[@]} == 0)) || apt_install "${missing[@]}" 9<&-
  ! venv_ready "$needs" || return 0
  if venv_sound; then
    say "completing .venv"
    fill_venv "$needs"
    ! venv_ready "$needs" mark || return 0
  fi
  python=$(find_python) || lacks "seglab needs Python 3.11 or newer; apt gave $(python3 -V 2>&1)"
  make_venv "$python"
  fill_venv "$needs"
  venv_ready "$needs" mark || lacks "$venv is still not complete after installing; please report it"
}

# Fails if nothing can be written here; $1 is the command that the folder's owner could run.
writable() {
  [[ ! -w $here || (-e $venv && ! -w $venv) ]] || return 0
  if ((EUID == 0)) || [[ -O $here ]]; then
    lacks "$here is read-only, and .venv must be written there: take a copy of it, and run that"
  fi
  lacks "$(id -un) cannot write to $here: let its owner run './bootstrap.sh $1', or take a copy" \
    "of your own"
}

ensure() {
  local needs=$1 missing
  find_missing "$needs"
  if ((${#missing[@]} == 0)) && venv_ready "$needs"; then
    return
  fi
  (
    trap 'say "interrupted; run it again to continue"; exit 130' INT
    flock --nonblock 9 || {
      say "waiting for another bootstrap.sh in this folder"
      flock 9
    }
    complete "$needs"
  ) 9<"$here"
}

# Prints user and group of this folder if root runs this for somebody else's checkout (sudo, or a
# container with the folder mounted); fails otherwise.
foreign_owner() {
  local owner
  ((EUID == 0)) && owner=$(stat -c %u:%g -- "$here") && [[ ${owner%%:*} != 0 ]] && echo "$owner"
}

# Gives what root has made here to the owner of the folder, who could not run anything otherwise.
keep_owner() {
  local name owner=$1
  for name in .venv .tox build runs lab; do
    [[ ! -e $here/$name || -L $here/$name ]] ||
      find "$here/$name" -xdev -user 0 -exec chown -h -- "$owner" {} + || true
  done
}

# Replaces this script by a program, or runs it and then keeps the owner.
run_last() {
  [[ -n ${owner-} ]] || exec "$@"
  "$@" && exit 0 || exit $?
}

if owner=$(foreign_owner); then
  trap 'keep_owner "$owner"' EXIT
fi

case ${1-} in
  reproduce)
    shift
    ensure run
    run_last "$venv/bin/seglab" reproduce "$@"
    ;;
  test)
    shift
    ensure dev
    cd -- "$here"
    mkdir -p .tox 2>/dev/null && [[ -w .tox ]] ||
      lacks "$here is read-only, and the tests run in .tox there: take a copy of it, and run that"
    # One tox at a time: two would rebuild each other's environments.
    exec 9<.tox
    flock --nonblock 9 || {
      say "waiting for another run of the tests in this folder"
      flock 9
    }
    run_last "$venv/bin/python" -m tox "$@"
    ;;
  install)
    (($# == 1)) || { usage >&2; exit 2; }
    ensure run
    say "ready: $venv/bin/seglab --help"
    ;;
  -h | --help | help) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
