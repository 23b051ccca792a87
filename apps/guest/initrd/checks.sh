# Checks on text that came from outside. Each is a whole-string test by the shell's own patterns: no regular
# expressions, no programs, nothing that could take the text for a command or an option.

# is_hex DIGITS TEXT: exactly so many lower-case hexadecimal digits.
is_hex() {
  [ "${#2}" -eq "$1" ] || return 1
  case $2 in *[!0-9a-f]*) return 1 ;; esac
}

# is_number TEXT: a decimal number that the shell's arithmetic can hold, without leading zeros.
is_number() {
  case $1 in '' | 0?* | *[!0-9]* | ???????????????*) return 1 ;; esac
}

# is_label TEXT: at most 63 characters, letters, digits, dashes and underscores, beginning with a letter.
is_label() {
  [ "${#1}" -le 63 ] || return 1
  case $1 in '' | [!a-z]* | *[!a-z0-9_-]*) return 1 ;; esac
}

# is_printable TEXT: printable ASCII. A terminal takes none of it for a control sequence.
is_printable() {
  case $1 in *[!\ -~]*) return 1 ;; esac
}

# xor_hex A B: two texts of 64 hexadecimal digits; prints the third.
xor_hex() {
  is_hex 64 "$1" && is_hex 64 "$2" || fail 'half a key has the wrong length'
  local at=0
  while [ "$at" -lt 64 ]; do
    printf '%08x' "$((0x${1:at:8} ^ 0x${2:at:8}))"
    at=$((at + 8))
  done
}

# sha256_text FORMAT [TEXT...]: SHA-256 of what printf makes of them.
sha256_text() {
  local digest
  # shellcheck disable=SC2059 # the formats are this script's own
  digest=$(printf "$@" | sha256sum)
  printf '%s' "${digest%% *}"
}

# sha256_hex HEX: SHA-256 of the bytes that the digits stand for.
sha256_hex() {
  local digest
  digest=$(printf '%s' "$1" | xxd -r -p | sha256sum)
  printf '%s' "${digest%% *}"
}

uptime_seconds() {
  local up rest
  # shellcheck disable=SC2034
  read -r up rest </proc/uptime
  printf '%s' "${up%.*}"
}
