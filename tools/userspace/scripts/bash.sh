#!/bin/bash
# The shell by itself: arithmetic of 64 bits, expansions, arrays, patterns, functions, redirections, jobs, signals.
echo "arithmetic: $((6 * 7)) $((-7 / 2)) $((-7 % 3)) $((1 << 62)) $((9223372036854775807 + 1)) $((0x7fffffff * 0x7fffffff))"
echo "bits: $((~0)) $((0xf0f0 ^ 0x0ff0)) $((-1 >> 1)) $((2 ** 40)) $((16#ff + 2#1011 + 8#17)) $((5 > 3 ? 10 : 20))"
declare -i sum=0
for ((i = 1; i <= 2000; i++)); do sum+=i*i%7; done
echo "sum: $sum"

fibonacci() { if (($1 < 2)); then echo "$1"; else echo $(($(fibonacci $(($1 - 1))) + $(fibonacci $(($1 - 2))))); fi; }
echo "fibonacci: $(fibonacci 9)"
factorial() { local n=$1; ((n <= 1)) && REPLY=1 && return; factorial $((n - 1)); REPLY=$((REPLY * n)); }
factorial 20; echo "factorial: $REPLY"

text='The quick brown fox jumps over the lazy dog'
echo "expansion: ${#text} ${text:4:5} ${text: -3} ${text/quick/slow} ${text//o/0} ${text^^} ${text,,} ${text%% *} ${text##* }"
echo "defaults: ${unset_variable:-default} ${text:+set} ${text@Q}"
path=/usr/local/lib/archive.tar.gz
echo "paths: ${path##*/} ${path%/*} ${path%.*} ${path%%.*} ${path#*.}"

words=($text)
echo "array: ${#words[@]} ${words[3]} ${words[*]:2:3} ${!words[*]}"
sorted=($(printf '%s\n' "${words[@]}" | sort))
echo "sorted: ${sorted[*]}"
declare -A count
for word in a b c a b a; do ((count[$word]++)); done
for word in a b c; do printf '%s=%d ' "$word" "${count[$word]}"; done; echo

[[ 2026-11-21T05:21 =~ ^([0-9]{4})-([0-9]{2})-([0-9]{2})T(.*)$ ]] && echo "regex: ${BASH_REMATCH[*]:1}"
shopt -s extglob
for name in image.png photo.jpeg notes.txt; do
  case $name in *.@(png|jp?(e)g)) echo "$name: picture" ;; *) echo "$name: other" ;; esac
done
printf 'format: [%5d] [%-8s] [%08.3f] [%x] [%o] [%e] [%c] [%q] [%b]\n' 42 left 3.14159 255 8 12345.678 z 'a b' 'tab\there'
printf 'brace: %s\n' {a..e}{1..2} | tr '\n' ' '; echo

while IFS=: read -r name _ id _; do echo "read: $name $id"; done <<'END'
root:x:0:0
nobody:x:65534:65534
END
exec 5> /tmp/bash.out; echo 'through a descriptor' >&5; exec 5>&-; cat /tmp/bash.out
diff <(seq 1 5) <(seq 2 6)
echo "pipeline: $(seq 1 1000 | grep 7 | wc -l) ${PIPESTATUS[*]}"
false | true; echo "status: ${PIPESTATUS[*]} $?"
trap 'echo "trap: USR1"' USR1; kill -USR1 $$
(exit 3) & wait $!; echo "job: $?"
(trap 'echo "trap: EXIT"' EXIT; exit 5); echo "subshell: $?"
{ bash -c 'kill -SEGV $$'; } 2> /dev/null; echo "killed: $?"
result=$(for n in {1..50}; do echo $((n * n * n)); done | tail -n 1); echo "cubes: $result"
mapfile -t lines < <(seq 10 -3 -10); echo "mapfile: ${lines[*]}"
is_prime() { local n=$1 d; for ((d = 2; d * d <= n; d++)); do ((n % d)) || return 1; done; ((n > 1)); }
echo "primes: $(for n in {1..200}; do is_prime "$n" && echo -n "$n "; done)"
