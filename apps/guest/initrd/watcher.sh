# The watcher's process, in the place that watch-place.sh made for it.

. /lib/ringwall/report.sh
. /lib/ringwall/checks.sh
. /lib/ringwall/tpm.sh
. /lib/ringwall/tpm-commands.sh
. /lib/ringwall/attest.sh
. /lib/ringwall/watch.sh

REASONS=/dev/null
# The last that the kernel ends for want of memory.
echo -1000 >/proc/self/oom_score_adj
keep_watching
