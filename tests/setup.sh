#!/usr/bin/env bash
# Brings what the tests need and the project does not ship: a registry, skopeo, curl, openssl, podman, Chromium
# with its driver, Python with the pinned packages of tests/fixtures/requirements.txt in target/python and
# with those of tests/fixtures/schemathesis.txt in target/schemathesis, and where there is Node, the packages
# of tests/fixtures/node in target/node.
# Runs on Debian 12 as root or with sudo; a second run finds everything there and changes nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

requirements=tests/fixtures/requirements.txt
python=target/python
policy=/usr/sbin/policy-rc.d

say() { echo "setup: $*"; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    say "\`$*\` needs root; run as root, or install sudo" >&2
    exit 1
  fi
}

# The Python that the pins are for, wherever it is; Debian 12 has it as python3.
find_python() {
  local candidate
  for candidate in python3.11 python3 /usr/bin/python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
}

has_venv() {
  local found
  found=$(find_python)
  [ -n "$found" ] && "$found" -c 'import ensurepip, venv' 2>/dev/null
}

# A server package starts its server when it is installed. Only the tests start a registry, on
# ports of their own, so Debian's policy hook says no while we install, and is taken away again.
policy_is_ours=no
forget_policy() {
  if [ "$policy_is_ours" = yes ]; then
    as_root rm -f "$policy"
    policy_is_ours=no
  fi
}
trap forget_policy EXIT

install_packages() {
  if ! command -v apt-get >/dev/null; then
    say "no apt-get here; install $* by hand and run this again" >&2
    exit 1
  fi
  say "installing $*"
  if [ ! -e "$policy" ]; then
    policy_is_ours=yes
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  forget_policy
  # Nor at the next boot: the package's unit is enabled even when it was not started.
  if [[ " $* " == *" docker-registry "* ]] && [ -d /run/systemd/system ]; then
    as_root systemctl disable --now --quiet docker-registry.service
  fi
}

missing=()
for command in docker-registry skopeo curl openssl chromium faketime podman runc podman-compose; do
  command -v "$command" >/dev/null || missing+=("$command")
done
command -v ip >/dev/null || missing+=(iproute2)
command -v strip >/dev/null || missing+=(binutils)
# Podman's network, what it calls for its rules without its package saying so, and the names in it.
[ -x /usr/lib/podman/netavark ] || missing+=(netavark)
[ -x /usr/sbin/iptables ] || missing+=(iptables)
[ -x /usr/lib/podman/aardvark-dns ] || missing+=(aardvark-dns)
command -v chromedriver >/dev/null || missing+=(chromium-driver)
has_venv || missing+=(python3-venv)
if [ "${#missing[@]}" -gt 0 ]; then
  install_packages "${missing[@]}"
else
  say "docker-registry, skopeo, curl, openssl, podman, chromium with its driver, faketime, and python3-venv are there"
fi

# An environment in $1 with the pins of $2.
make_environment() {
  local environment=$1 pins=$2 interpreter
  if cmp -s "$pins" "$environment/requirements.txt" && [ -x "$environment/bin/python" ]; then
    say "$environment has what $pins asks for"
    return
  fi
  interpreter=$(find_python)
  if [ -z "$interpreter" ]; then
    say "the pins of $pins are for Python 3.11, and there is none on PATH" >&2
    exit 1
  fi
  say "making $environment with $pins"
  "$interpreter" -m venv --clear "$environment"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
    --only-binary :all: -r "$pins"
  # Last, so that an installation that was interrupted is done again.
  cp "$pins" "$environment/requirements.txt"
}

make_environment "$python" "$requirements"
make_environment target/schemathesis tests/fixtures/schemathesis.txt

# Node is no part of the set-up: where it is missing, the tests say what was not run.
packages=tests/fixtures/node
node=target/node
if ! command -v npm >/dev/null; then
  say "npm is not on PATH; the tests go on without $packages"
elif cmp -s "$packages/package-lock.json" "$node/package-lock.json" && [ -d "$node/node_modules" ]; then
  say "$node has what $packages asks for"
else
  say "making $node with $packages"
  rm -rf "$node"
  mkdir -p "$node"
  cp "$packages/package.json" "$packages/package-lock.json" "$node"
  if ! npm ci --prefix "$node" --ignore-scripts --no-audit --no-fund --silent; then
    rm -rf "$node"
    exit 1
  fi
fi

tests/conformance/fetch.sh
