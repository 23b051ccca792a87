# Gives the disk another key without writing its data anew: the volume key is wrapped with the new key in the free one of two
# keyslots, and the old keyslot is destroyed. Both happen in the copy of the header in memory, which is ours, never on the
# disk itself, whose bytes can change between two reads.
#
# At every moment the disk is opened by the old key, by both, or by the new one; the broker keeps both until this guest says
# that the old one is gone.

NEXT_KEY=/run/ringwall/initrd/next-key
# LUKS2 On-Disk Format Specification 1.1.1, section 2.1: two copies of the metadata, each with a checksum and a number that
# counts up; behind them the keyslots.
METADATA_BYTES=16384

# rotate_key DISK STATE KEY NEXT: afterwards the header has one keyslot, that of NEXT. Each try of a key costs some tenths of a
# second under emulation, so none is tried that is not needed.
rotate_key() {
  if ! has_two_slots "$2"; then
    if ! add_key "$3" "$4"; then
      # The start before this one came to the end, and could not say so.
      key_opens "$4" && return 0
      fail 'neither the key nor the next one opens the disk'
    fi
    write_header "$1"
  fi
  keep_only_slot_of "$1" "$4"
}

has_two_slots() {
  case $1 in *' 0 1' | *' 1 0') ;; *) return 1 ;; esac
}

add_key() {
  local added=''
  printf '%s' "$2" | xxd -r -p >"$NEXT_KEY"
  printf '%s' "$1" | xxd -r -p |
    /sbin/cryptsetup luksAddKey --batch-mode --key-file=- --keyfile-size=32 --new-keyfile-size=32 \
      --hash sha256 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$HEADER" "$NEXT_KEY" >"$LOG" 2>&1 && added=1
  rm "$NEXT_KEY"
  [ -n "$added" ]
}

# key_opens KEY [SLOT]
key_opens() {
  printf '%s' "$1" | xxd -r -p |
    /sbin/cryptsetup open --test-passphrase --key-file=- --keyfile-size=32 --disable-external-tokens \
      ${2:+"--key-slot=$2"} "$HEADER" >"$LOG" 2>&1
}

# keep_only_slot_of DISK KEY: of two keyslots. cryptsetup takes one away only where KEY opens the other.
keep_only_slot_of() {
  local old=0
  ! key_opens "$2" 0 || old=1
  printf '%s' "$2" | xxd -r -p |
    /sbin/cryptsetup luksKillSlot --batch-mode --key-file=- --keyfile-size=32 "$HEADER" "$old" >"$LOG" 2>&1 ||
    fail "the other keyslot could not be destroyed: $(last_words)"
  write_header "$1"
}

# write_header DISK: the keyslots first, so that no metadata speaks of one that is not there yet, and none is left behind that
# no metadata speaks of; then one copy of the metadata, then the other.
write_header() {
  write_part "$1" 2 62
  write_part "$1" 1 1
  write_part "$1" 0 1
}

# write_part DISK FROM COUNT: in units of METADATA_BYTES.
write_part() {
  dd if="$HEADER" of="$1" bs="$METADATA_BYTES" skip="$2" seek="$2" count="$3" conv=notrunc,fsync 2>/dev/null ||
    fail 'the disk could not be written'
}
