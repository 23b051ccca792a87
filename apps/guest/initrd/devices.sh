# The command line, the drivers, and the devices by the names that the host gave them.

PORT_NAME=org.ringwall.attest
DEVICE_TRIES=1000              # counted, for seconds also pass while a host holds its machines still
DEVICE_PAUSE_MICROSECONDS=30000

image='' verity_root='' hash_offset='' broker_key=''

# Takes the four ringwall. words, each exactly once.
read_command_line() {
  local word
  # shellcheck disable=SC2013 # words are what is wanted
  for word in $(cat /proc/cmdline); do
    case $word in
      ringwall.image=*) set_once image "$image" && image=${word#*=} ;;
      ringwall.verity=*) set_once verity "$verity_root" && verity_root=${word#*=} ;;
      ringwall.hashoffset=*) set_once hashoffset "$hash_offset" && hash_offset=${word#*=} ;;
      ringwall.broker=*) set_once broker "$broker_key" && broker_key=${word#*=} ;;
    esac
  done
  is_label "$image" || fail 'the command line names no image'
  is_hex 64 "$verity_root" || fail 'the command line has no root hash of the system image'
  is_number "$hash_offset" && [ "$((hash_offset % 4096))" -eq 0 ] || fail 'the command line has no hash offset'
  is_hex 128 "$broker_key" || fail 'the command line names no broker key'
}

set_once() {
  [ -z "$2" ] || fail "the command line has ringwall.$1 twice"
}

# Drivers come in lists, in the order in which they are needed.
load_all_drivers() {
  local list
  for list in port disk system network button; do
    load_drivers "$list"
    : >"/run/ringwall/initrd/drivers-$list"
  done
}

# A module that does not suit this CPU is left out; what is really missed is missed by the step that needs it.
load_drivers() {
  local module
  while read -r module; do
    insmod "/lib/modules/$module" 2>>/run/ringwall/initrd/drivers.log || true
  done <"/lib/ringwall/drivers-$1"
}

# wait_for_drivers LIST: until load_all_drivers is done with it.
wait_for_drivers() {
  wait_for list_loaded "$1" || fail "the drivers of the list $1 did not load"
}

list_loaded() {
  [ ! -e "/run/ringwall/initrd/drivers-$1" ] || printf 'yes'
}

# wait_for FUNCTION ARGUMENT: until it prints something, which is then in $found.
wait_for() {
  local tries=0
  while [ "$tries" -lt "$DEVICE_TRIES" ]; do
    found=$("$1" "$2")
    [ -z "$found" ] || return 0
    tries=$((tries + 1))
    usleep "$DEVICE_PAUSE_MICROSECONDS"
  done
  return 1
}

# The block device whose virtio serial is $1.
disk_by_serial() {
  local name
  for name in $(ls /sys/block); do
    case $name in vd?) ;; *) continue ;; esac
    [ "$(cat "/sys/block/$name/serial" 2>/dev/null)" != "$1" ] || printf '/dev/%s' "$name"
  done
}

# The device of the virtio-serial port whose name is $1.
port_by_name() {
  local name
  for name in $(ls /sys/class/virtio-ports 2>/dev/null); do
    [ "$(cat "/sys/class/virtio-ports/$name/name" 2>/dev/null)" != "$1" ] || printf '/dev/%s' "$name"
  done
}

# Opens the power button as descriptor 5; a press from then on is not lost. Fails where there is none.
open_power_button() {
  local name
  wait_for list_loaded button || return 1
  for name in $(ls /sys/class/input 2>/dev/null); do
    case $name in event*) ;; *) continue ;; esac
    [ "$(cat "/sys/class/input/$name/device/name")" = 'Power Button' ] || continue
    exec 5<"/dev/input/$name" && return 0
  done
  return 1
}

# One event has 24 bytes; the first is the press.
wait_for_power_button() {
  dd bs=24 count=1 <&5 >/dev/null 2>&1
}
