# Run beside the watcher, in its place, for as long as the machine runs: sees that this machine goes on from a saved state, and gives up
# what it would share with whatever else goes on from there: random numbers to come, and the time of then. The host says so by
# a new VM Generation ID and an event of ACPI, _E05 with QEMU. Debian's kernel for clouds has no driver for it, but counts events.

EVENTS=/sys/firmware/acpi/interrupts/gpe05
RTC_SECONDS=/sys/class/rtc/rtc0/since_epoch   # follows the host's clock, whatever happens to this machine
LOOK_SECONDS=1
# The driver of the host's random numbers has up to 64 bytes in store, the core up to 128: those are of the saved state.
FRESH_BYTES=512

# count_events: sets $events.
count_events() {
  read -r events _ <"$EVENTS"
}

leave_then_behind() {
  dd if=/dev/hwrng of=/dev/urandom bs="$FRESH_BYTES" count=1 iflag=fullblock &&
    reseed </dev/urandom &&
    date -u -s "@$(cat "$RTC_SECONDS")" || return 1
  echo '<5>ringwall: this machine goes on from a saved state: its random numbers are new, its clock is set' >/dev/kmsg
}

count_events
before=$events
while sleep "$LOOK_SECONDS"; do
  count_events
  [ "$events" != "$before" ] || continue
  # Where a step fails, all of it is done again.
  leave_then_behind || continue
  before=$events
done
