# Run in a mount namespace of its own: makes the place that the watcher lives in, and starts it there, with what notices that the
# machine goes on from a saved state. Descriptor 4 is the port to the broker.

PLACE=/watch

umount -l /data
umount -l /system
mount -t tmpfs -o nosuid,nodev,mode=0700,size=16m watch "$PLACE"
mkdir -p "$PLACE/bin" "$PLACE/dev" "$PLACE/proc" "$PLACE/sys" "$PLACE/ima" "$PLACE/lib/ringwall"
cp /bin/busybox /bin/reseed "$PLACE/bin/"
cp -P /bin/sh /bin/xxd "$PLACE/bin/"
for part in report checks tpm tpm-commands attest watch watcher rewound; do cp "/lib/ringwall/$part.sh" "$PLACE/lib/ringwall/"; done
mount --bind /dev "$PLACE/dev"
mount --bind /proc "$PLACE/proc"
mount --bind /sys "$PLACE/sys"
mount --bind /sys/kernel/security/ima "$PLACE/ima"
cd "$PLACE" || exit
# As switch_root does it: this place is the root of the namespace from here on.
mount --move . /
chroot . /bin/sh -euf /lib/ringwall/watcher.sh >/dev/null 2>&1 3<&- 5<&- &
chroot . /bin/sh -euf /lib/ringwall/rewound.sh >/dev/null 2>&1 3<&- 4<&- 5<&- &
