# Opens the encrypted disk. Whoever holds the host can write anything on it, so its header is untrusted: it is copied
# to memory once, must be what this script itself would have written, and the disk is opened by that copy. A header
# that asked for a null cipher would otherwise make the machine write in clear.

HEADER=/run/ringwall/initrd/header
DISK_STATE=/run/ringwall/initrd/disk-state
DISK_DEVICE=/run/ringwall/initrd/disk-device
LOG=/run/ringwall/initrd/disk.log
HEADER_BYTES=1048576 # the encrypted data begins behind it
CIPHER=aes-xts-plain64

# The LUKS2 metadata of the disks that format_disk makes, with each salt and digest blotted out. White space is for
# the reader.
EXPECTED_METADATA='
{
  "keyslots": { "0": {
    "type": "luks2", "key_size": 64,
    "af": { "type": "luks1", "stripes": 4000, "hash": "sha256" },
    "area": { "type": "raw", "offset": "32768", "size": "258048", "encryption": "aes-xts-plain64", "key_size": 64 },
    "kdf": { "type": "pbkdf2", "hash": "sha256", "iterations": 1000, "salt": "*" }
  } },
  "tokens": {},
  "segments": { "0": {
    "type": "crypt", "offset": "1048576", "size": "dynamic", "iv_tweak": "0",
    "encryption": "aes-xts-plain64", "sector_size": 4096
  } },
  "digests": { "0": {
    "type": "pbkdf2", "keyslots": ["0"], "segments": ["0"],
    "hash": "sha256", "iterations": 1000, "salt": "*", "digest": "*"
  } },
  "config": { "json_size": "12288", "keyslots_size": "524288" }
}'

# Copies the header and says what it is: blank, ours, or foreign and why.
inspect_disk() {
  local metadata
  wait_for_drivers port
  wait_for disk_by_serial data || fail 'the machine has no disk with the serial "data"'
  printf '%s' "$found" >"$DISK_DEVICE"
  dd if="$found" of="$HEADER" bs="$HEADER_BYTES" count=1 2>/dev/null
  [ "$(wc -c <"$HEADER")" -eq "$HEADER_BYTES" ] || fail 'the disk is smaller than its own header'
  if cmp -s -n "$HEADER_BYTES" "$HEADER" /dev/zero; then
    printf 'blank' >"$DISK_STATE"
  elif ! metadata=$(/sbin/cryptsetup luksDump --dump-json-metadata "$HEADER" 2>/dev/null); then
    printf 'foreign: it holds something that is not LUKS2' >"$DISK_STATE"
  elif [ "$(blot "$metadata")" != "$(blot "$EXPECTED_METADATA")" ]; then
    printf 'foreign: its LUKS2 header is not one that Ringwall writes' >"$DISK_STATE"
  else
    printf 'ours' >"$DISK_STATE"
  fi
}

# Without white space, and with every salt and digest replaced.
blot() {
  printf '%s' "$1" | tr -d ' \t\n' | sed 's/"\(salt\|digest\)":"[A-Za-z0-9+\/=]*"/"\1":"*"/g'
}

# unlock_disk open|format KEY: mounts the disk at /data; sets unlock_result.
unlock_disk() {
  local disk state
  wait_for_drivers disk
  disk=$(cat "$DISK_DEVICE")
  state=$(cat "$DISK_STATE")
  case $1/$state in
    */ours)
      open_disk "$disk" "$2"
      unlock_result=opened
      ;;
    format/blank)
      format_disk "$disk" "$2"
      open_disk "$disk" "$2"
      unlock_result=formatted
      ;;
    open/blank) fail 'the disk is blank, but its key was used before: the disk was replaced or wiped' ;;
    *) fail "the disk is ${state}" ;;
  esac
  mount_data "$1"
  rm "$HEADER"
}

open_disk() {
  printf '%s' "$2" | xxd -r -p |
    /sbin/cryptsetup open --type luks2 --header "$HEADER" --key-file=- --keyfile-size=32 --disable-external-tokens \
      "$1" data >"$LOG" 2>&1 ||
    fail "the key does not open the disk: $(last_words)"
}

# The key has the full entropy of its 32 bytes, so the key derivation needs no strength of its own. The header is made
# in memory and written in one piece.
format_disk() {
  rm "$HEADER"
  printf '%s' "$2" | xxd -r -p |
    /sbin/cryptsetup luksFormat --batch-mode --type luks2 --header "$HEADER" --key-file=- --keyfile-size=32 \
      --cipher "$CIPHER" --key-size 512 --hash sha256 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
      --luks2-metadata-size 16k --luks2-keyslots-size 512k --sector-size 4096 --offset "$((HEADER_BYTES / 512))" \
      "$1" >"$LOG" 2>&1 ||
    fail "the disk could not be formatted: $(last_words)"
  dd if="$HEADER" of="$1" bs="$HEADER_BYTES" conv=notrunc,fsync 2>/dev/null || fail 'the disk could not be written'
}

# A disk that was never reported as unlocked holds no data yet: where a first boot broke off, it begins anew.
mount_data() {
  mount_ext4 && return 0
  [ "$1" = format ] || fail 'the disk opened, but holds no file system that can be mounted'
  /sbin/mke2fs -q -t ext4 -L data -m 0 -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 /dev/mapper/data >"$LOG" 2>&1 ||
    fail "the file system could not be made: $(last_words)"
  mount_ext4 || fail 'the file system that was just made cannot be mounted'
}

mount_ext4() {
  mount -t ext4 -o nosuid,nodev,noatime /dev/mapper/data /data 2>/dev/null
}

# The last line that a program said.
last_words() {
  tail -n 1 "$LOG" | tr -cd ' -~' | head -c 200
}

close_disk() {
  umount /data 2>/dev/null
  [ ! -e /dev/mapper/data ] || /sbin/cryptsetup close data
}
