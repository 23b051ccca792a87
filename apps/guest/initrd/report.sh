# What the guest says on its console. The lines that begin with `ringwall: ` are for programs that watch: attested,
# unlocked, refused, ready.

#
# All of it goes through cat. The shell catches SIGCHLD, and what it writes to a terminal itself fails where one of its children
# ends in that moment.

REASONS=/run/ringwall/initrd/reasons

mark() {
  printf 'ringwall: %s\n' "$1" | cat
}

# Ends this process, or the subshell that it is called in, with a reason that the refusal will show.
fail() {
  printf '%s\n' "$1" >>"$REASONS"
  exit 1
}

# Never returns. $1 is what to say where no reason was given.
refuse() {
  local button=''
  trap '' EXIT
  set +e
  disk_key='' next_key=''
  [ -s "$REASONS" ] || printf '%s\n' "$1" >>"$REASONS"
  close_disk
  [ -z "$port_open" ] || tell_broker_failed "$(head -n 1 "$REASONS")"
  open_power_button && button=1
  mark "refused: $(head -n 1 "$REASONS")"
  {
    printf '\n  This machine has no disk key and stays locked:\n\n'
    sed 's/^/    - /' "$REASONS"
    printf '\n  There is no shell here. Its power button stops it.\n\n'
  } | cat
  [ -n "$port_open" ] || tell_broker_failed "$(head -n 1 "$REASONS")"
  [ -z "$button" ] || wait_for_power_button && poweroff -f
  while :; do sleep 3600; done
}
