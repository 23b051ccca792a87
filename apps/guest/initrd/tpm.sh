# Sends commands to the TPM through /dev/tpm0 and cuts its answers. The commands themselves are in tpm-commands.sh.
# Bytes are held as lower-case hexadecimal text; an answer has at most 4,096 bytes.

# The rest of the answer that has not been cut yet, and the piece that was cut last.
tpm_rest='' taken=''
# What a refusal of the next command would mean, where that can be said better than by its code.
tpm_refusal_means=''

TPM_DEVICE=/dev/tpm0
# QEMU's TPM as ACPI names it, and the file by which its driver is told to look for it.
TPM_ACPI_NAME=MSFT0101:00
TPM_DRIVER_BIND=/sys/bus/acpi/drivers/tpm_crb/bind

TPM_TRIES=30 # of one command: half a minute of a TPM that stands still, for most commands more
TPM_PAUSE_MICROSECONDS=100000

# Opens the TPM as descriptor 3. The kernel looks for it once, and takes one that is slower than 750 ms for none.
open_tpm() {
  local tries=0
  until [ -c "$TPM_DEVICE" ]; do
    [ "$tries" -lt "$TPM_TRIES" ] || fail 'the machine has no TPM, or one that does not answer'
    tries=$((tries + 1))
    usleep "$TPM_PAUSE_MICROSECONDS"
    # printf fails where the TPM is still too slow.
    printf '%s' "$TPM_ACPI_NAME" 2>/dev/null >"$TPM_DRIVER_BIND" || true
  done
  exec 3<>"$TPM_DEVICE"
}

# tpm_transact HEX: sends one command; fails where the TPM says anything but success (response code 0).
tpm_transact() {
  local tries=0
  # On a host that is overloaded the TPM answers late. The kernel gives up on TPM2_NV_Read after 2 s and on
  # TPM2_PCR_Extend, also its own, after 750 ms. What is sent while the TPM is still busy with that is lost, and the late
  # answer is taken for its answer. To read or to extend once more does no harm, and what was lost was never done.
  until tpm_exchange "$1" && is_answer_to "$1"; do
    tries=$((tries + 1))
    [ "$tries" -lt "$TPM_TRIES" ] || fail "the TPM does not answer command 0x${1:12:8}"
    usleep "$TPM_PAUSE_MICROSECONDS"
  done
  take_bytes 6
  take_bytes 4
  [ "$taken" = 00000000 ] || fail "${tpm_refusal_means:-the TPM refused command 0x${1:12:8} with code 0x$taken}"
  tpm_refusal_means=''
}

# One write is one command, and what it answers is read until the device has no more. By its path, xxd is a program of its
# own: as an applet it would inherit the shell's buffer, which is cut at each line feed once the shell has written to a
# terminal. It ends well where the TPM did not take the command; then there is nothing to read.
tpm_exchange() {
  /bin/xxd -r -p >&3 2>/dev/null <<EOT || return 1
$1
EOT
  tpm_rest=$(xxd -p -c 4096 <&3)
}

# is_answer_to HEX: whether $tpm_rest is whole and can be the answer to this command; not where the TPM asks to be asked
# again. TPM 2.0 Part 1, section 16: size, and a tag that is the command's where it succeeded. Part 2, section 6.6.3:
# TPM_RC_YIELDED, TPM_RC_CANCELED, TPM_RC_TESTING, TPM_RC_NV_RATE, TPM_RC_RETRY.
is_answer_to() {
  [ "${#tpm_rest}" -ge 20 ] && [ "$((0x${tpm_rest:4:8} * 2))" -eq "${#tpm_rest}" ] || return 1
  case ${tpm_rest:12:8} in
    00000000) [ "${tpm_rest:0:4}" = "${1:0:4}" ] ;;
    00000908 | 00000909 | 0000090a | 00000920 | 00000922) return 1 ;;
  esac
}

take_bytes() {
  [ "${#tpm_rest}" -ge "$(($1 * 2))" ] || fail "the TPM's answer is cut short"
  taken=${tpm_rest:0:$(($1 * 2))}
  tpm_rest=${tpm_rest:$(($1 * 2))}
}

# A TPM2B: two bytes of length, then as many bytes.
take_sized() {
  take_bytes 2
  take_bytes "$((0x$taken))"
}

take_rest() {
  taken=$tpm_rest
  tpm_rest=''
}
