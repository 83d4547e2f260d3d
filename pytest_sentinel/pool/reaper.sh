# Ends what a killed test process has left behind. It lives in a shell because it must cost
# nothing: one is started beside every process that owns browsers, in a session of its own.
#
# Its standard input is held open by that process alone. Lines: "+ PID STARTTIME DIRECTORY" adopts
# a process group and its profile directory, "- PID" gives it up. End of input means that the
# owner is gone, however it went. Whatever it still owned gets a moment to end by itself and is
# then killed: by identity (pid and start time), never by name.
owned=""
while read -r verb pid started directory; do
  case $verb in
    +) owned="$owned $pid:$started:$directory" ;;
    -) kept=""
       for entry in $owned; do
         case $entry in "$pid":*) ;; *) kept="$kept $entry" ;; esac
       done
       owned=$kept ;;
  esac
done

alive() { # PID STARTTIME: the same process, and not a zombie
  read -r line 2>/dev/null < "/proc/$1/stat" || return 1
  set -- "$2" ${line##*) }
  [ "$2" != Z ] && [ "${21}" = "$1" ]
}

split() { # ENTRY
  pid=${1%%:*}; rest=${1#*:}; started=${rest%%:*}; directory=${rest#*:}
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

wait_gone 15
for entry in $owned; do
  split "$entry"
  if alive "$pid" "$started"; then
    # In this spelling: dash takes "kill -9 -- -PID" for a bad number.
    kill -s KILL -- "-$pid" 2>/dev/null || kill -s KILL "$pid" 2>/dev/null
  elif [ ! -e "/proc/$pid" ]; then
    # The leader is gone: a pid is not given out again while a group bears its number.
    kill -9 -- "-$pid" 2>/dev/null
  fi
done

# Not before all are gone: one that lives may write into the directory of another.
wait_gone 10
for entry in $owned; do
  split "$entry"
  case $directory in
    */playwright_*|*/sentinel-pool-*) rm -rf -- "$directory" ;;
  esac
done
