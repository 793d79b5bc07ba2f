# Ends the cluster that tests share. Arguments: `keep` or `end`, the link that leads to the cluster's directory, and for
# `keep` the file that users lock. That file is open as 0; 1 is open on the file that is locked by who starts or ends a
# cluster, and 2 on one that is locked as long as there is a keeper, so no other program may inherit it.
link=$2 users=$3

end() {
    pid=$(head -n 1 "$directory/data/postmaster.pid")
    looks=0
    # The number may be somebody else's by now.
    while [ -n "$pid" ] && grep -qaF "$directory/data" "/proc/$pid/cmdline"; do
        # What it has is about to be removed, so it need not tidy up.
        if [ "$looks" -lt 100 ]; then kill -QUIT "$pid"; else kill -KILL "$pid"; fi
        looks=$((looks + 1))
        sleep 0.1
    done
    if [ "$(readlink "$link")" = "$directory" ]; then rm -f "$link"; fi
    rm -rf "$directory"
}

directory=
remember() {
    # When the target directory was removed, somebody else's cluster may be behind the link.
    if [ "/proc/$$/fd/0" -ef "$users" ]; then directory=$(readlink "$link"); fi
}

if [ "$1" = keep ]; then
    looks_without_user=0
    while :; do
        sleep 1 </dev/null >/dev/null
        remember
        if ! flock -n 0; then
            looks_without_user=0
            continue
        fi
        flock -u 0
        looks_without_user=$((looks_without_user + 1))
        if [ "$looks_without_user" -lt 5 ]; then continue; fi
        # From here on nobody begins to use it.
        flock 1
        if flock -n 0; then break; fi
        flock -u 1
    done 2>/dev/null
    remember 2>/dev/null
    # Who comes next has to find that there is no keeper any more.
    exec 2>/dev/null
else
    directory=$(readlink "$link")
    exec 2>/dev/null
fi
[ -z "$directory" ] || end
