# Opens the encrypted disk. Whoever holds the host can write anything on it, so its header is untrusted: it is copied
# to memory once, must be what this script itself would have written, and the disk is opened by that copy. A header
# that asked for a null cipher would otherwise make the machine write in clear.

HEADER=/run/ringwall/initrd/header
DISK_STATE=/run/ringwall/initrd/disk-state
DISK_DEVICE=/run/ringwall/initrd/disk-device
LOG=/run/ringwall/initrd/disk.log
HEADER_BYTES=1048576 # the encrypted data begins behind it
CIPHER=aes-xts-plain64

# The LUKS2 metadata of the disks that format_disk makes and rotate_key changes, as blot leaves it. A disk has one keyslot,
# 0 or 1; two where a rotation broke off.
# expected_metadata encrypted|authenticated SLOT...: sets expected.
expected_metadata() {
  local key_size area_size area_places keyslots_size integrity='' slot slots='' names='' place
  case $1 in
    encrypted) key_size=64 area_size=258048 area_places='32768 290816' keyslots_size=524288 ;;
    # The key of the tags is behind the key of the cipher.
    authenticated)
      key_size=96 area_size=385024 area_places='32768 417792' keyslots_size=786432
      integrity=',"integrity":{"type":"hmac(sha256)","journal_encryption":"none","journal_integrity":"none"}'
      ;;
  esac
  shift
  for slot in "$@"; do
    case $slot in 0) place=${area_places% *} ;; 1) place=${area_places#* } ;; esac
    slots=$slots,'"'$slot'":{"type":"luks2","key_size":'$key_size',"af":{"type":"luks1","stripes":4000,"hash":"sha256"},'
    slots=$slots'"area":{"type":"raw","offset":"'$place'","size":"'$area_size'","encryption":"'$CIPHER'","key_size":64},'
    slots=$slots'"kdf":{"type":"pbkdf2","hash":"sha256","iterations":1000,"salt":"*"}}'
    names=$names,'"'$slot'"'
  done
  expected='{"keyslots":{'${slots#,}'},"tokens":{},"segments":{"0":{"type":"crypt","offset":"1048576","size":"dynamic",'
  expected=$expected'"iv_tweak":"0","encryption":"'$CIPHER'","sector_size":4096'$integrity'}},'
  expected=$expected'"digests":{"0":{"type":"pbkdf2","keyslots":['${names#,}'],"segments":["0"],'
  expected=$expected'"hash":"sha256","iterations":1000,"salt":"*","digest":"*"}},'
  expected=$expected'"config":{"json_size":"12288","keyslots_size":"'$keyslots_size'"}}'
}

# Copies the header and says what it is: blank, ours (of which kind, with which keyslots), or foreign and why.
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
  elif ! find_kind "$(blot "$metadata")"; then
    printf 'foreign: its LUKS2 header is not one that Ringwall writes' >"$DISK_STATE"
  else
    printf '%s' "$kind" >"$DISK_STATE"
  fi
}

# find_kind METADATA: sets kind, as in `encrypted 0`. A keyslot that was added is the last in the metadata.
find_kind() {
  for kind in 'encrypted 0' 'encrypted 1' 'encrypted 0 1' 'encrypted 1 0' \
    'authenticated 0' 'authenticated 1' 'authenticated 0 1' 'authenticated 1 0'; do
    # shellcheck disable=SC2086 # a kind and its slots
    expected_metadata $kind
    [ "$1" != "$expected" ] || return 0
  done
  return 1
}

# Without white space, and with every salt and digest replaced.
blot() {
  printf '%s' "$1" | tr -d ' \t\n' | sed 's/"\(salt\|digest\)":"[A-Za-z0-9+\/=]*"/"\1":"*"/g'
}

# unlock_disk MODE KEY [NEXT]: mounts the disk at /data; sets unlock_result. The mode comes with the key and is signed with
# it: whoever writes on the disk cannot make a disk without tags pass for one that has them.
unlock_disk() {
  local disk state wanted=encrypted
  wait_for_drivers disk
  case $1 in
    *-authenticated)
      wanted=authenticated
      load_drivers integrity
      ;;
  esac
  disk=$(cat "$DISK_DEVICE")
  state=$(cat "$DISK_STATE")
  case ${1%-authenticated}/$state in
    rotate/"$wanted "*)
      rotate_key "$disk" "$state" "$2" "$3"
      open_disk "$disk" "$3"
      unlock_result=rotated
      ;;
    */"$wanted "*)
      # A rotation broke off, or its header was put back: one key opens the disk.
      ! has_two_slots "$state" || keep_only_slot_of "$disk" "$2"
      open_disk "$disk" "$2"
      unlock_result=opened
      ;;
    format/blank)
      format_disk "$disk" "$2" "$wanted"
      open_disk "$disk" "$2"
      unlock_result=formatted
      ;;
    */blank) fail 'the disk is blank, but its key was used before: the disk was replaced or wiped' ;;
    */encrypted* | */authenticated*) fail "the disk is ${state%% *} and was made to be $wanted: its header was replaced" ;;
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

# format_disk DISK KEY encrypted|authenticated. The key has the full entropy of its 32 bytes, so the key derivation needs no
# strength of its own. The header is made in memory and written in one piece.
format_disk() {
  local keyslots=512k tags=''
  # The tags of an authenticated disk are made by what is written first: see fill_unread.
  [ "$3" = encrypted ] || keyslots=768k tags='--integrity hmac-sha256 --integrity-no-wipe'
  dd if=/dev/zero of="$HEADER" bs="$HEADER_BYTES" count=1 2>/dev/null
  # shellcheck disable=SC2086 # words
  printf '%s' "$2" | xxd -r -p |
    /sbin/cryptsetup luksFormat --batch-mode --type luks2 --header "$HEADER" --key-file=- --keyfile-size=32 $tags \
      --cipher "$CIPHER" --key-size 512 --hash sha256 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
      --luks2-metadata-size 16k --luks2-keyslots-size "$keyslots" --sector-size 4096 --offset "$((HEADER_BYTES / 512))" \
      "$1" >"$LOG" 2>&1 ||
    fail "the disk could not be formatted: $(last_words)"
  dd if="$HEADER" of="$1" bs="$HEADER_BYTES" conv=notrunc,fsync 2>/dev/null || fail 'the disk could not be written'
}

# mount_data MODE: a disk that was never reported as unlocked holds no data yet: where a first boot broke off, it begins anew.
mount_data() {
  local options='lazy_itable_init=1,lazy_journal_init=1'
  mount_ext4 && return 0
  case $1 in
    format) ;;
    format-authenticated)
      fill_unread
      # The kernel reads all of the journal after a power cut, also what was never written.
      options='lazy_itable_init=1,lazy_journal_init=0'
      ;;
    *) fail 'the disk opened, but holds no file system that can be mounted' ;;
  esac
  /sbin/mke2fs -q -t ext4 -b 4096 -L data -m 0 -E "nodiscard,$options" /dev/mapper/data >"$LOG" 2>&1 ||
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
