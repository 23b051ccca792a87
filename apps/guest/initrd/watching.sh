# Has the kernel measure what runs, and leaves behind the watcher that tells the broker of it.

IMA_POLICY=/sys/kernel/security/ima/policy

# Everything that is executed, mapped to be executed or loaded into the kernel, on whatever file system, by whomever.
# This kernel takes one policy in its life: what is not measured from here on nobody can decide any more.
measure_what_runs() {
  cat /lib/ringwall/ima-policy 2>/dev/null >"$IMA_POLICY"
}

# The watcher lives in a mount namespace of its own, on a copy of busybox: nothing of the system that is started now can
# replace the files it runs from by accident, and it holds no disk that the system wants to let go of at its end.
leave_watcher() {
  unshare -m /bin/sh -eu /lib/ringwall/watch-place.sh || fail 'the watcher could not be started'
}
