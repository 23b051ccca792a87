# Opens the read-only system image by the root hash that was measured, and hands over to it.

# Nothing of the image is believed before it was checked: no superblock is read, all of dm-verity's parameters come from
# the command line or stand here.
open_system() {
  wait_for_drivers system
  wait_for disk_by_serial system || fail 'the machine has no disk with the serial "system"'
  /sbin/veritysetup open --no-superblock --hash=sha256 --salt=- --data-block-size=4096 --hash-block-size=4096 \
    --data-blocks="$((hash_offset / 4096))" --hash-offset="$hash_offset" "$found" system "$found" "$verity_root" \
    2>/run/ringwall/initrd/verity.log || fail 'the system image is not the one that the command line names'
  mount -t squashfs -o ro,nodev /dev/mapper/system /system 2>/dev/null ||
    fail 'the system image is not the one that the command line names'
}

start_system() {
  local root=/system
  trap - EXIT
  trap 'refuse "the system could not be started"' EXIT
  if [ -e /system/lib/ringwall/writable ]; then
    # Changes to the system lie on the encrypted disk.
    load_drivers overlay
    forget_another_machine /data/.system
    (umask 022; mkdir -p /data/.system/upper /data/.system/work /writable)
    mount -t overlay -o lowerdir=/system,upperdir=/data/.system/upper,workdir=/data/.system/work overlay /writable
    root=/writable
  fi
  describe_machine
  wait_for_drivers button
  exec 3>&- 4>&-
  rm -r /run/ringwall/initrd
  umask 022
  local mount
  for mount in data dev proc run sys; do mount --move "/$mount" "$root/$mount"; done
  exec env -i TERM=linux switch_root -c /dev/console "$root" /sbin/init
}

# forget_another_machine DIRECTORY: where the disk was copied from another machine's, what names that one in the system's own
# files goes; systemd then makes a machine id as at a first boot (machine-id(5)).
forget_another_machine() {
  local before=''
  [ ! -e "$1/machine" ] || before=$(cat "$1/machine")
  [ "$before" != "$machine" ] || return 0
  [ -z "$before" ] || rm -f "$1/upper/etc/machine-id" "$1/upper/var/lib/systemd/random-seed"
  (umask 077; mkdir -p "$1"; printf '%s\n' "$machine" >"$1/machine.new")
  mv "$1/machine.new" "$1/machine"
}

# For the system to show. The proven sentences are there already.
describe_machine() {
  printf '%s\n' "$machine" >/run/ringwall/machine
  printf '%s\n' "$boot" >/run/ringwall/boot
  printf '%s\n' "$machine_name" >/run/ringwall/name
  printf '%s\n' "$image" >/run/ringwall/image
  printf '%s\n' "$verity_root" >/run/ringwall/system-image
  chmod 0644 /run/ringwall/machine /run/ringwall/boot /run/ringwall/name /run/ringwall/image \
    /run/ringwall/system-image "$SENTENCES"
}
