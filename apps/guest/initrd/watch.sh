# The watcher: answers the broker's questions about what has run since the boot, for as long as the machine runs.
# The guest's side of docs/protocols/watching.md, version 1. It decides nothing and keeps nothing: root in this guest
# can end it or answer in its place, but the quote comes from the TPM, and silence is seen.

WATCH_TPM=/dev/tpmrm0
MEASUREMENTS=/ima/binary_runtime_measurements
PIECE=/piece
PIECE_LIMIT=131072   # bytes of the list in one answer
ANSWER_SECONDS=20    # for the broker to take an answer
QUIET_SECONDS=20     # without a word from the broker; then it is told again that somebody is here
CONNECT_SECONDS=600  # a write waits, without a load, while nobody is connected
NOTE_SECONDS=60      # between one note in the TPM and the next: each is a write to the host's disk
PAUSE_SECONDS=1      # between one try and the next, whatever went wrong

# observe NONCE MACHINE BOOT FROM
observe() {
  local quoted bytes more='' noted=''
  is_hex 64 "$1" && is_label "$2" && is_hex 32 "$3" && is_number "$4" || return 1
  ! note_state || noted=noted
  tpm_watch_quote "$ak" "$(sha256_text 'ringwall-watch 1\n%s\n%s\n%s\n%s\n' "$1" "$2" "$3" "$4")"
  quoted=$answer_quoted
  # After the quote, so that the list holds all that the quoted PCR 10 stands for.
  dd if="$MEASUREMENTS" of="$PIECE" bs="$((PIECE_LIMIT + 1))" count=1 skip="$4" iflag=skip_bytes,fullblock 2>/dev/null
  bytes=$(wc -c <"$PIECE")
  [ "$bytes" -le "$PIECE_LIMIT" ] || bytes=$PIECE_LIMIT more=more
  {
    printf '%s\n' "observed $(($4 + bytes))" "quote $quoted $(signature_of "$quoted")"
    head -c "$bytes" "$PIECE" | xxd -p -c 1024 | sed 's/^/ima-log /'
    printf '%s\n' $more $noted end
  } | send "$ANSWER_SECONDS"
}

# Has the TPM write its state down, so that a copy from before is behind by its clock whatever happens to this one. Fails
# where nothing was written: it is not time yet, or somebody has closed the owner's hierarchy.
note_state() {
  local now
  now=$(uptime_seconds)
  [ -z "$noted_at" ] || [ "$((now - noted_at))" -ge "$NOTE_SECONDS" ] || return 1
  # Each in a process of its own, which is what a refusal of the TPM ends. The index is there from the first time on.
  (tpm_note_state) || (tpm_define_note && tpm_note_state) || return 1
  noted_at=$now
}

noted_at=''

# A line that is no question is passed over; an answer that cannot be given ends this.
answer_questions() {
  while receive "$QUIET_SECONDS"; do
    # shellcheck disable=SC2086 # split into words; patterns are off
    set -- $line
    [ $# -eq 5 ] && [ "$line" = "observe $2 $3 $4 $5" ] || continue
    observe "$2" "$3" "$4" "$5" || return 1
  done
}

# The TPM's resource manager keeps the key for as long as descriptor 3 is open, whoever else uses the TPM. It is the
# attestation key of this boot: the same template in the same TPM gives the same key.
watch() {
  exec 3<>"$WATCH_TPM"
  tpm_create_ak
  ak=$answer_object_handle
  while printf 'watch 1\n' | send "$CONNECT_SECONDS"; do
    answer_questions
    sleep "$PAUSE_SECONDS"
  done
}

# Never returns.
keep_watching() {
  while :; do
    (watch) || :
    sleep "$PAUSE_SECONDS"
  done
}
