# Asks the broker for the disk key and proves to it what has booted: the guest's side of the attestation protocol,
# version 1. Lines of ASCII over a virtio-serial port that the host only relays. Whoever relays them can hold them
# back, but can neither read the key (it comes in two halves, each for this TPM alone) nor put another in its place
# (the release is signed, and the key to check it with was measured).

LINE_LIMIT=4096       # characters of a line from the broker
SENTENCES_LIMIT=64    # of reasons, and of what was proven
HELLO_SECONDS=2       # between one hello and the next
HELLOS_LIMIT=30       # that nobody answers: counted, for seconds also pass while a host holds its machines still
CHALLENGES_LIMIT=8    # that are answered in one session
LINE_SECONDS=10       # from the first character of a line to its end
REPORT_SECONDS=10     # for a broker that does not take the report
JUDGEMENT_SECONDS=10  # for the broker to judge the evidence; then it is asked anew
EVENT_LOG=/sys/kernel/security/tpm0/binary_bios_measurements
SENTENCES=/run/ringwall/proven

# TPM2_Quote and TPM2_Certify are signed by the attestation key, the same at each boot of this TPM. The boot key is
# made in the null hierarchy, which dies with this boot, and decrypts only while the PCRs are as they are now.
make_keys() {
  local policy session
  open_tpm
  tpm_refusal_means='the TPM has no EK certificate any more: it was cleared (TPM2_Clear), or its index was removed'
  tpm_nv_read_public
  tpm_nv_read "$answer_data_size"
  ek_certificate=$answer_data
  tpm_refusal_means="the TPM's endorsement hierarchy is closed: somebody changed its authorization"
  tpm_create_ak
  ak=$answer_object_handle ak_public=$answer_out_public
  tpm_start_trial
  session=$answer_session_handle
  tpm_policy_pcr "$session"
  tpm_policy_get_digest "$session"
  policy=$answer_policy_digest
  tpm_flush_context "$session"
  tpm_create_boot_key "$policy" "$(random_hex 32)" "$(random_hex 32)"
  boot_key=$answer_object_handle boot_public=$answer_out_public boot_name=$answer_name
}

random_hex() {
  dd if=/dev/urandom bs="$1" count=1 2>/dev/null | xxd -p -c "$1"
}

# Sets machine, boot and machine_name, and what open_release needs; or ends in a refusal.
attest() {
  local hellos=0
  wait_for_drivers port
  wait_for port_by_name "$PORT_NAME" || fail "the machine has no port $PORT_NAME to a broker"
  exec 4<>"$found"
  port_open=1
  while [ "$hellos" -lt "$HELLOS_LIMIT" ]; do
    hellos=$((hellos + 1))
    # A broker that was restarted knows nothing of this session: then it begins anew, with another nonce.
    if receive_challenge && send_evidence && receive_release; then return 0; fi
  done
  fail 'nobody answered'
}

port_open=''

# send SECONDS: standard input to the broker; fails where nobody takes it in this time.
send() {
  timeout "$1" cat >&4 2>/dev/null
}

# Set where a line began and did not end in its time: what comes next is the rest of it.
torn=''

# receive SECONDS: the next line in $line; fails where none begins in this time.
receive() {
  local first
  if [ -n "$torn" ]; then
    read_line "$LINE_SECONDS" "$((LINE_LIMIT + 1))" || return 1
    torn=''
  fi
  # The shell drops what it has read of a line when the time is over. So that time is for the first character alone.
  read_line "$1" 1 || return 1
  first=$line
  [ -n "$first" ] || return 0
  if ! read_line "$LINE_SECONDS" "$LINE_LIMIT"; then
    torn=1
    return 1
  fi
  line=$first$line
  [ "${#line}" -le "$LINE_LIMIT" ] || fail 'the broker sent a line that is too long'
  is_printable "$line" || fail 'the broker sent bytes that are not text'
}

# read_line SECONDS CHARACTERS: what comes before the next line feed, at most so many of them.
read_line() {
  IFS='' read -r -t "$1" -n "$2" line <&4 && return 0
  line=''
  return 1
}

receive_challenge() {
  local began
  began=$(uptime_seconds)
  if ! { printf 'hello 1\n' | send "$HELLO_SECONDS" && receive_past_stale_lines; }; then
    # Where nothing is connected on the other side, both fail at once.
    [ "$(uptime_seconds)" -gt "$began" ] || sleep "$HELLO_SECONDS"
    return 1
  fi
  [ "$line" != refused ] || refused_by_broker
  take_challenge
}

# A release that came too late for the challenge before is passed over.
receive_past_stale_lines() {
  local count=0
  while receive "$HELLO_SECONDS"; do
    case $line in 'release '* | 'name '* | 'proven '* | end) ;; *) return 0 ;; esac
    count=$((count + 1))
    [ "$count" -le "$SENTENCES_LIMIT" ] || fail 'the broker sent too many lines'
  done
  return 1
}

take_challenge() {
  challenge=$line
  # shellcheck disable=SC2086 # split into words; patterns are off
  set -- $line
  [ $# -eq 4 ] && [ "$line" = "challenge $2 $3 $4" ] && is_hex 64 "$2" && is_label "$3" && is_hex 32 "$4" ||
    fail 'the broker sent a challenge that is malformed'
  nonce=$2 machine=$3 boot=$4
}

# What quote and certificate are over: this nonce, this machine, this boot and this boot key.
send_evidence() {
  local certified certify_signature quoted quote_signature
  qualifying=$(sha256_text 'ringwall-attest 1\n%s\n%s\n%s\n%s\n' "$nonce" "$machine" "$boot" "$boot_name")
  tpm_certify "$boot_key" "$ak" "$qualifying"
  certified=$answer_certify_info
  certify_signature=$(signature_of "$certified")
  tpm_quote "$ak" "$qualifying"
  quoted=$answer_quoted
  quote_signature=$(signature_of "$quoted")
  {
    printf '%s\n' evidence "ek-certificate $ek_certificate" "ak-public $ak_public" "boot-public $boot_public" \
      "certify $certified $certify_signature" "quote $quoted $quote_signature"
    xxd -p -c 1024 "$EVENT_LOG" | sed 's/^/event-log /'
    printf 'end\n'
  } | send "$JUDGEMENT_SECONDS"
}

# The TPMT_SIGNATURE behind an attested structure: what is left of the parameters, before the authorizations.
signature_of() {
  local length
  length=$((0x$answer_parameter_size * 2 - ${#1} - 4))
  printf '%s' "${answer_signature_and_authorization:0:length}"
}

receive_release() {
  local answered=1 keys
  while receive "$JUDGEMENT_SECONDS"; do
    # Two hellos that were on their way together are answered with one challenge, sent twice; else the last one counts.
    case $line in
      "$challenge") continue ;;
      'challenge '*) ;;
      *) break ;;
    esac
    [ "$answered" -lt "$CHALLENGES_LIMIT" ] || fail 'the broker sent too many challenges'
    answered=$((answered + 1))
    take_challenge
    send_evidence || return 1
  done
  [ -n "$line" ] || return 1
  [ "$line" != refused ] || refused_by_broker
  # shellcheck disable=SC2086 # split into words; patterns are off
  set -- $line
  [ $# -eq 8 ] && [ "$line" = "release $2 $3 $4 $5 $6 $7 $8" ] || fail 'the broker sent an answer that is malformed'
  case $2 in
    open | format | open-authenticated | format-authenticated) keys=1 ;;
    rotate | rotate-authenticated) keys=2 ;;
    *) fail 'the broker sent a release of a mode that is unknown' ;;
  esac
  release_mode=$2 id_object=$3 encrypted_secret=$4 ephemeral=$5 masked=$6 sig_r=$7 sig_s=$8
  is_hex 136 "$id_object" && is_hex 136 "$encrypted_secret" && is_hex 128 "$ephemeral" && is_hex "$((keys * 64))" "$masked" &&
    is_hex 64 "$sig_r" && is_hex 64 "$sig_s" || fail 'the broker sent a release that is malformed'
  receive_sentences
}

# `name` and `proven` are for people to read. They are not signed: nothing is decided by them.
receive_sentences() {
  local count=0
  machine_name=$machine
  : >"$SENTENCES"
  while receive "$JUDGEMENT_SECONDS"; do
    case $line in
      end) return 0 ;;
      'name '*) is_label "${line#name }" && machine_name=${line#name } || fail 'the broker sent a name that is malformed' ;;
      'proven '*) printf '%s\n' "${line#proven }" >>"$SENTENCES" ;;
      *) fail 'the broker sent a line that is unknown' ;;
    esac
    count=$((count + 1))
    [ "$count" -le "$SENTENCES_LIMIT" ] || fail 'the broker sent too many lines'
  done
  return 1
}

refused_by_broker() {
  local count=0
  while receive "$JUDGEMENT_SECONDS"; do
    case $line in
      'reason '*) printf '%s\n' "${line#reason }" >>"$REASONS" ;;
      *) break ;;
    esac
    count=$((count + 1))
    [ "$count" -lt "$SENTENCES_LIMIT" ] || break
  done
  [ -s "$REASONS" ] || printf 'the broker refused and gave no reason\n' >>"$REASONS"
  broker_knows=1
  exit 1
}

broker_knows=''

# Sets disk_key, and next_key where the mode is to rotate. Checks the broker's signature, then puts the two halves of the key together: one that only this TPM can
# open because it holds both endorsement and attestation key, one that only the boot key can, in this PCR state and in
# this boot.
open_release() {
  local broker_handle first session shared mask
  tpm_load_broker_key "${broker_key:0:64}" "${broker_key:64:64}"
  broker_handle=$answer_object_handle
  tpm_refusal_means='the release is not signed with the broker key that the command line names'
  tpm_verify_release "$broker_handle" "$(sha256_text 'ringwall-release 1\n%s\n%s\n%s\n%s\n%s\n%s\n' \
    "$qualifying" "$release_mode" "$id_object" "$encrypted_secret" "$ephemeral" "$masked")" "$sig_r" "$sig_s"
  tpm_flush_context "$broker_handle"

  tpm_start_policy
  session=$answer_session_handle
  tpm_policy_secret "$session"
  tpm_refusal_means='the release is not for this TPM, or its EK was removed'
  tpm_activate_credential "$ak" "$session" "$id_object" "$encrypted_secret"
  first=$answer_cert_info
  # That the credential was opened is what proves that the attestation key lives in this TPM.
  activation=$(sha256_text 'ringwall-activated 1\n%s\n%s\n' "$qualifying" "$first")

  tpm_start_policy
  session=$answer_session_handle
  tpm_policy_pcr "$session"
  tpm_refusal_means='the boot key does not work in this state'
  tpm_ecdh_zgen "$boot_key" "$session" "${ephemeral:0:64}" "${ephemeral:64:64}"
  # KDFe of TPM 2.0 Part 1, section 11.4.10.3: counter, shared x, "RINGWALL" with its NUL, both parties' x.
  shared=$answer_x
  is_hex 64 "$shared" || fail 'the shared secret has the wrong length'
  mask=$(sha256_hex "00000001${shared}52494e4757414c4c00${ephemeral:0:64}$(boot_key_x)")
  disk_key=$(xor_hex "$first" "$(xor_hex "${masked:0:64}" "$mask")")
  next_key=''
  if [ "${#masked}" -eq 128 ]; then
    mask=$(sha256_hex "00000002${shared}52494e4757414c4c00${ephemeral:0:64}$(boot_key_x)")
    next_key=$(xor_hex "$(sha256_text 'ringwall-next-key 1\n%s\n' "$first")" "$(xor_hex "${masked:64:64}" "$mask")")
  fi
  answer_x='' answer_y='' answer_cert_info=''
}

# In TPMT_PUBLIC: type, nameAlg, attributes, a policy of 32 bytes, symmetric, scheme, curve, kdf; then x by its length.
boot_key_x() {
  [ "${boot_public:100:4}" = 0020 ] || fail 'the boot key has a coordinate of another length'
  printf '%s' "${boot_public:104:64}"
}

# Extends PCR 15, so that the boot key's policy can never hold again in this boot, and drops the keys.
forbid_another_release() {
  tpm_extend_unlocked "$(sha256_text 'ringwall unlocked %s\n' "$boot")"
  tpm_flush_context "$boot_key"
  tpm_flush_context "$ak"
}

# Waits for the broker's word that it has written down that this disk is in use, but not for long: a broker that was
# killed just now must not keep the machine from starting. One that is back in time takes the report too.
report_unlocked() {
  local deadline
  mark unlocked
  deadline=$(($(uptime_seconds) + REPORT_SECONDS))
  while [ "$(uptime_seconds)" -lt "$deadline" ]; do
    if printf 'unlocked %s %s\n' "$unlock_result" "$activation" | send "$HELLO_SECONDS" && receive "$HELLO_SECONDS"; then
      case $line in
        'done') return 0 ;;
        refused) refused_by_broker ;;
        *) fail 'the broker sent a line that is unknown' ;;
      esac
    fi
    sleep 1
  done
}

# tell_broker_failed SENTENCE: as far as there is somebody to tell who did not say it himself.
tell_broker_failed() {
  if [ -n "$broker_knows" ]; then
    return 0
  elif [ -n "$port_open" ]; then
    printf 'failed %s\n' "$1" | send "$HELLO_SECONDS"
  elif wait_for list_loaded port && wait_for port_by_name "$PORT_NAME"; then
    # It went wrong before there was anything to say: a machine that only its console hears would seem to be dead.
    printf 'failed %s\n' "$1" | timeout "$HELLO_SECONDS" cat >"$found"
  fi
}
