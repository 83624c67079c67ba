#!/bin/bash
# coreutils, grep, sed, awk, find, tar, gzip, xz and bc in pipelines.
cd "$(mktemp -d)" || exit 1
seq 1 20000 > numbers
echo "checksums of $(wc -c < numbers) bytes:"
for program in cksum sum md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum; do echo "$program $($program < numbers)"; done
sort -r numbers | head -n 3 | paste -sd,
sort -n -k1,1 numbers | awk 'NR % 4000 == 0' | paste -sd' '
shuf --random-source=<(yes) numbers | md5sum
tac numbers | sed -n '1~5000p' | paste -sd' '
awk '{ s += $1; q += $1 * $1 } END { printf "%d %.6f %.10g\n", s, sqrt(q / NR - (s / NR) ^ 2), q / 3 }' numbers
awk 'BEGIN { for (x = 0; x < 3; x += 0.25) printf "%.8f %.8f %.8f %.8f\n", sin(x), cos(x), exp(x), atan2(x, 2); printf "%.12g %.12g\n", log(10), 2 ^ 0.5 }'
echo 'scale=60; 4*a(1); e(1); sqrt(2); 2^200; 10^50/7' | bc -l
echo 'define f(n) { if (n < 2) return 1; return n * f(n - 1); } f(60)' | BC_LINE_LENGTH=0 bc
factor 1 97 1000000007 600851475143 18446744073709551557 36893488147419103233 1361129467683753853853498429727072845821
numfmt --to=iec 1024 1500000 123456789012; numfmt --to=si --format=%.3f 1234567
expr 17 '*' 23; expr length abcdefgh; expr abcdef : 'abc\(.*\)'
printf '%s\n' banana apple cherry apple banana apple | sort | uniq -c | sort -k1,1nr -k2
paste -d: <(seq 1 5) <(seq 5 -1 1) | cut -d: -f2,1 | tr ':' '-'
join <(printf '1 a\n2 b\n3 c\n') <(printf '1 x\n3 y\n')
comm <(seq 1 5) <(seq 3 7)
head -c 48 numbers | od -A x -t x1z; head -c 16 numbers | od -t d4 -t f8; head -c 30 numbers | base64; head -c 30 numbers | base32
base64 numbers | base64 -d | cmp - numbers && echo 'base64 both ways'
fold -w 20 <<< 'The quick brown fox jumps over the lazy dog'; fmt -w 30 <<< 'one two three four five six seven eight nine ten'
nl -ba <<< $'first\nsecond'; expand -t 4 <<< $'a\tb'; pr -t -3 -w 40 <(seq 1 9); rev=$(echo abc | rev 2>/dev/null || echo none)
split -n 4 -d numbers part-; wc -lc part-*; cat part-* | cmp - numbers && echo 'split and joined'
csplit -s numbers '/^100$/' '/^200$/'; wc -l xx*
date -u -d @1234567890 '+%Y-%m-%d %H:%M:%S %a %j %U'; date -u -d '2024-02-28 +2 days' +%F; TZ=UTC date -d '1970-01-01 00:00:00.5' +%s.%N
mkdir -p tree/a/b tree/c; echo data > tree/a/b/file; ln -s ../a tree/c/link; chmod 640 tree/a/b/file; truncate -s 5M tree/sparse; touch -d @86400 tree/a/b/file
find tree -printf '%y %m %s %p\n' | grep -v '^d' | sort; stat -c '%A %s %Y %F' tree/a/b/file; readlink -f tree/c/link | sed 's/.*tree/tree/'
find . -type f -name 'part-*' -size +10k | sort; find tree -type f -exec basename {} \; | sort
dd if=numbers bs=1000 skip=3 count=5 status=none | sha256sum; dd if=/dev/zero bs=64k count=32 status=none | md5sum
tar --sort=name --owner=0 --group=0 --mtime=@0 -cf tree.tar numbers tree/a; sha256sum tree.tar | cut -c 1-32; tar -tf tree.tar
for level in 1 6 9; do echo "gzip -$level $(gzip -n -$level < numbers | sha256sum)"; done
gzip -n < numbers | gunzip | cmp - numbers && echo 'gzip both ways'
echo "xz $(xz -T1 -6 < numbers | sha256sum)"; xz -T1 < tree.tar | xz -d | cmp - tree.tar && echo 'xz both ways'
grep -c '7.*7' numbers; grep -E '^(1[0-9]{3}|2000)$' numbers | wc -l; grep -oE '[3-5]+9' numbers | sort -u | head -n 5 | paste -sd' '
grep -P '^(\d)\d*\1$' numbers | md5sum; grep -bon 19999 numbers
sed -E 's/([0-9])([0-9]*)/\2\1/; y/0123456789/abcdefghij/' numbers | sha1sum
sed -n '/^50$/,/^55$/{s/5/five/g;p}' numbers; sed '1!G;h;$!d' <(seq 1 5) | paste -sd,
awk '{ c[length($1)]++ } END { for (k = 1; k < 6; k++) print k, c[k] }' numbers
awk -F, '{ gsub(/[aeiou]/, "#"); print toupper(substr($2, 1, 4)) "/" $1 }' <<< $'alpha,omega\nbeta,psi'
tr -dc '0-4' < numbers | wc -c; tr 'a-z' 'n-za-m' <<< 'rotated'; tr -s 'l' <<< 'helllo'
seq -f '%.3e' 1 1000 5000; seq -w 8 11; seq 0.1 0.1 0.5; printf '%.20f\n' 0.1; printf '%a\n' 1.5 2>/dev/null
diff -u <(seq 1 20) <(seq 1 20 | sed 's/10/ten/;15d') | tail -n +3
timeout 5 sleep 0.01; echo "timeout $?"; env -i A=1 B=2 env | sort; nproc --all > /dev/null && echo nproc; test 10 -gt 9 -a -n x && echo test
tsort <<< $'a b\nb c\na d\nd c'; ptx -G <<< 'x y' | head -n 2; echo "$rev" > /dev/null
