#!/usr/bin/perl
# The interpreter, regular expressions, pack, numbers, and modules in C and in Perl.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(sha1_hex sha256_hex sha512_hex);
use List::Util qw(sum max min reduce first shuffle);
use MIME::Base64;
use Math::BigFloat;
use Math::BigInt;
use POSIX qw(floor ceil fmod strtol DBL_EPSILON);
use Storable qw(freeze thaw);
use Time::Local;

my $data = join ',', map { $_ * 17 % 1009 } 1 .. 5000;
print 'digests ', md5_hex($data), ' ', sha1_hex($data), ' ', sha256_hex($data), ' ', sha512_hex($data), "\n";
print 'base64 ', encode_base64(substr($data, 0, 45), ''), ' ', decode_base64('aGVsbG8='), "\n";
print 'integers ', 7 % -3, ' ', -7 % 3, ' ', 2**53 + 1, ' ', 0xffffffff * 3, ' ', int(-3.7), ' ', 1 <=> 2, ' ', 12345678901234567, "\n";
print 'bits ', 0xff ^ 0x0f, ' ', 1 << 20, ' ', 0xf0 >> 2, ' ', ~5 & 0xffff, ' ', oct('0x1f'), ' ', oct('0b101'), ' ', hex('dead'), "\n";
printf "floats %.17g %.17g %.17g %e %g %s %s\n", 0.1, 1 / 3, 1e23, 123456.789, 1e-5, 1e15 + 0.3, 9**9**9;
printf "math %.15g %.15g %.15g %.15g %.15g %.15g\n", sin(1), cos(2), exp(1), log(10), sqrt(2), atan2(1, 2);
printf "posix %d %d %.10g %s %.3e\n", floor(-2.5), ceil(2.1), fmod(10.5, 3), join('/', strtol('777xyz', 8)), DBL_EPSILON;
print 'bigint ', Math::BigInt->new(2)**300, ' ', Math::BigInt->new('123456789012345678901234567890')->bmod(97), ' ', Math::BigInt->bfac(30), "\n";
print 'bigfloat ', Math::BigFloat->new(2)->bsqrt(50), ' ', Math::BigFloat->bpi(40), "\n";
print 'pack ', unpack('H*', pack('c C s S l L n N v V f d a5 A5 w', -1, 255, -2, 65535, -3, 4294967295, 258, 16909060, 258, 16909060, 1.5, -2.25, 'ab', 'cd', 300)), "\n";
print 'unpack ', join(' ', unpack('n2 a3 H4', "\x01\x02\x03\x04xyz\xab\xcd")), ' ', unpack('%32C*', $data), "\n";

my $text = "The year 1984 and 2001: odyssey, 12.5% of 300 euros on 2026-11-21.\n" x 30;
my @years = $text =~ /\b([12]\d{3})\b/g;
(my $swapped = $text) =~ s/(\w+) of (\w+)/$2 of $1/g;
print 'regex ', scalar(@years), ' ', md5_hex($swapped), ' ', join('|', "2026-11-21" =~ /^(?<y>\d+)-(\d+)-(\d+)$/), " $+{y}\n";
print 'recursive ', "(a(b(c)d)e)" =~ /^(\((?:[^()]++|(?1))*\))$/ ? 'balanced' : 'not', ' ', join('|', split /\s*[,;]\s*/, 'a , b;c,d'), "\n";
(my $rot = 'Hello, World') =~ tr/A-Za-z/N-ZA-Mn-za-m/;
print "tr $rot ", ($text =~ tr/a-z//), ' ', scalar reverse('stressed'), ' ', ucfirst(lc 'WORD'), ' ', 'ab' x 3, ' ', join('', sort split //, 'sorting'), "\n";

my %count;
$count{length $_}++ for split /\W+/, $text;
print 'hash ', join(' ', map { "$_=$count{$_}" } sort { $a <=> $b } keys %count), "\n";
my @numbers = map { ($_ * 7919) % 10007 } 1 .. 3000;
print 'sort ', md5_hex(join ',', sort { $a <=> $b } @numbers), ' ', md5_hex(join ',', sort @numbers), "\n";
print 'list ', sum(@numbers), ' ', max(@numbers), ' ', min(@numbers), ' ', (reduce { $a * $b % 1000003 } @numbers), ' ', (first { $_ > 10000 } @numbers), "\n";
my $copy = thaw(freeze({ list => [1 .. 5], text => 'x', nested => { a => undef } }));
print 'storable ', join(',', @{ $copy->{list} }), ' ', exists $copy->{nested}{a} ? 'kept' : 'lost', "\n";
print 'time ', timegm(56, 34, 12, 21, 10, 2026), ' ', scalar(gmtime(1234567890)), "\n";

sub ackermann { my ($m, $n) = @_; no warnings 'recursion'; $m == 0 ? $n + 1 : $n == 0 ? ackermann($m - 1, 1) : ackermann($m - 1, ackermann($m, $n - 1)) }
print 'ackermann ', ackermann(2, 30), "\n";
my @counters = map { my $n = $_; sub { return $n++ } } 1 .. 3;
$counters[1]->() for 1 .. 4;
print 'closures ', join(' ', map { $_->() } @counters), "\n";
package Shape { sub new { my ($class, %a) = @_; bless {%a}, $class } sub area { 0 } sub name { ref shift } }
package Circle { our @ISA = ('Shape'); sub area { 3.14159265358979 * $_[0]{r}**2 } }
printf "objects %s %.6f %s\n", Circle->new(r => 2)->name, Circle->new(r => 2)->area, Circle->can('name') ? 'yes' : 'no';
eval { die { code => 42 } };
print "die $@->{code} ", (eval { my $zero = 0; 1 / $zero } // 'undef'), ' ', $@ =~ /division by zero/ ? 'caught' : 'lost', "\n";
pipe(my $reader, my $writer) or die;
my $child = fork // die;
if ($child == 0) { close $reader; print $writer "from the child: " . sum(1 .. 100); close $writer; POSIX::_exit(7) }
close $writer;
print 'fork ', <$reader>;
waitpid $child, 0;
print ' exit ', $? >> 8, "\n";
local $SIG{ALRM} = sub { print "signal ALRM\n" };
kill ALRM => $$;
my @grid = map { [map { ($_ * 3 + 1) % 11 } 1 .. 12] } 1 .. 12;
my $trace = 0;
for my $i (0 .. 11) { for my $j (0 .. 11) { $trace += $grid[$i][$_] * $grid[$_][$j] for 0 .. 11 } }
print "matrix $trace\n";
my ($x, $y, $steps) = (0, 0, 0);
for my $row (-12 .. 12) { my $line = ''; for my $column (-30 .. 10) { my ($a, $b, $n) = (0, 0, 0); ($a, $b) = ($a * $a - $b * $b + $column / 15, 2 * $a * $b + $row / 12), $n++ while $a * $a + $b * $b < 4 && $n < 60; $line .= substr(' .:-=+*#%@', $n % 10, 1) } print "$line\n" if $row % 4 == 0; $steps += ord for split //, $line }
print "mandelbrot $steps\n";
