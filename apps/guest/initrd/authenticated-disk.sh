# Disks whose sectors carry tags (dm-crypt over dm-integrity). A sector that was never written has no tag, and cannot be read:
# what is read before the file system has written it is written here, and nothing else. To give every sector its tag would
# write the whole disk.

# Around the file system, where whoever looks for other signatures reads: 1 MiB at its start, 4 MiB at its end.
FIRST_BLOCKS=256
LAST_BLOCKS=1024
# Of ext4, of 4 KiB: a copy of the superblock begins groups 1 and the powers of 3, 5 and 7, and mke2fs writes less than the
# whole of its block.
GROUP_BLOCKS=32768

fill_unread() {
  local blocks base group
  blocks=$(($(mapped_sectors data) / 8))
  [ "$blocks" -gt "$((FIRST_BLOCKS + LAST_BLOCKS))" ] || fail 'the disk is too small for a file system'
  write_zeros 0 "$FIRST_BLOCKS"
  write_zeros "$((blocks - LAST_BLOCKS))" "$LAST_BLOCKS"
  for base in 3 5 7; do
    group=1
    while [ "$((group * GROUP_BLOCKS))" -lt "$blocks" ]; do
      write_zeros "$((group * GROUP_BLOCKS))" 1
      group=$((group * base))
    done
  done
}

write_zeros() {
  dd if=/dev/zero of=/dev/mapper/data bs=4096 seek="$1" count="$2" conv=notrunc,fsync 2>/dev/null ||
    fail 'the disk could not be written'
}

# mapped_sectors NAME: the size of a mapped device, in sectors of 512 bytes.
mapped_sectors() {
  local device
  for device in $(ls /sys/block); do
    [ "$(cat "/sys/block/$device/dm/name" 2>/dev/null)" != "$1" ] || cat "/sys/block/$device/size"
  done
}
