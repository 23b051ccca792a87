# Sends commands to the TPM through /dev/tpm0 and cuts its answers. The commands themselves are in tpm-commands.sh.
# Bytes are held as lower-case hexadecimal text; an answer has at most 4,096 bytes.

# The rest of the answer that has not been cut yet, and the piece that was cut last.
tpm_rest='' taken=''
# What a refusal of the next command would mean, where that can be said better than by its code.
tpm_refusal_means=''

# tpm_transact HEX: sends one command; fails where the TPM says anything but success (response code 0).
tpm_transact() {
  # One write is one command, and what it answers is read until the device has no more.
  xxd -r -p >&3 <<EOT
$1
EOT
  tpm_rest=$(xxd -p -c 4096 <&3)
  take_bytes 6
  take_bytes 4
  [ "$taken" = 00000000 ] || fail "${tpm_refusal_means:-the TPM refused command 0x${1:12:8} with code 0x$taken}"
  tpm_refusal_means=''
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
