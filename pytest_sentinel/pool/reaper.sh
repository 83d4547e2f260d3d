# Ends what a killed test process has left behind. It lives in a shell because it must cost
# nothing: one is started beside every process that owns browsers, in a session of its own.
#
# Argument: the pid of its owner. Lines of its standard input: "+ PID STARTTIME DIRECTORY" adopts a
# process, the group that it leads and a directory, "= PID STARTTIME DIRECTORY" one that leads none;
# "- PID" gives it up. Two signs say that the
# owner is gone: its input ends, and, where somebody else holds the other end of that (a child that
# was forked behind Python's back), the kernel's SIGUSR1 at the death of a parent. Whatever was
# still owned gets a moment to end by itself and is then killed: by identity (pid and start time),
# never by name.
set -f
owner=$1
owned=""

is_orphan() {
  read -r line 2>/dev/null < "/proc/$$/stat" || return 1
  set -- ${line##*) }
  [ "$2" != "$owner" ]
}

look_at() { # PID STARTTIME: set letter to the state of this very process; fail when it is another
  letter=""
  read -r line 2>/dev/null < "/proc/$1/stat" || return 1
  set -- "$2" ${line##*) }
  letter=$2
  [ "${21}" = "$1" ]
}

alive() { # PID STARTTIME: the same process, and not a zombie
  look_at "$1" "$2" && [ "$letter" != Z ] && [ "$letter" != X ]
}

split() { # ENTRY
  pid=${1%%:*}; rest=${1#*:}; started=${rest%%:*}; rest=${rest#*:}; verb=${rest%%:*}
  directory=${rest#*:}
}

wait_gone() { # TENTHS of a second, at most
  tries=$1
  while [ "$tries" -gt 0 ]; do
    left=""
    for entry in $owned; do
      split "$entry"
      if alive "$pid" "$started"; then left=1; fi
    done
    [ -n "$left" ] || return 0
    tries=$((tries - 1))
    sleep 0.1
  done
}

reap() {
  trap '' USR1
  # A driver sees the end of its input, too, and ends its browsers and their files in order.
  wait_gone 5
  # Where a child of the owner holds that input, it has to be asked.
  for entry in $owned; do
    split "$entry"
    if [ "$verb" = = ] && alive "$pid" "$started"; then kill -s TERM "$pid" 2>/dev/null; fi
  done
  wait_gone 10
  for entry in $owned; do
    split "$entry"
    if look_at "$pid" "$started"; then
      # In this spelling: dash takes "kill -9 -- -PID" for a bad number.
      if [ "$verb" = + ]; then kill -s KILL -- "-$pid" 2>/dev/null; fi
      kill -s KILL "$pid" 2>/dev/null
    elif [ -z "$letter" ] && [ "$verb" = + ]; then
      # The leader is gone: a pid is not given out again while a group bears its number.
      kill -9 -- "-$pid" 2>/dev/null
    fi
  done
  # Not before all are gone: one that lives may write into the directory of another. Others of a
  # killed group may end later than their leader, so what has come back is removed again.
  wait_gone 10
  tries=50
  while [ "$tries" -gt 0 ]; do
    left=""
    for entry in $owned; do
      split "$entry"
      case $directory in
        */playwright_*|*/sentinel-pool-*|*/org.chromium.*|*/.org.chromium.*|*/com.google.Chrome.*)
          rm -rf -- "$directory" 2>/dev/null
          if [ -e "$directory" ]; then left=1; fi ;;
      esac
    done
    [ -n "$left" ] || exit 0
    tries=$((tries - 1))
    sleep 0.1
  done
  exit 0
}

# Some shells go on to wait for a line after a signal, others end the wait: both come to the end.
trap 'signalled=1; if is_orphan; then reap; fi' USR1
if is_orphan; then reap; fi
while :; do
  signalled=""
  if read -r verb pid started directory; then
    case $verb in
      +|=) owned="$owned $pid:$started:$verb:$directory" ;;
      -) kept=""
         for entry in $owned; do
           case $entry in "$pid":*) ;; *) kept="$kept $entry" ;; esac
         done
         owned=$kept ;;
    esac
  elif [ -z "$signalled" ]; then
    reap
  fi
done
