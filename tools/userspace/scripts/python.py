#!/usr/bin/python3
"""The interpreter, its C extensions and floating point; every line of the output is the same on any right machine."""
import array, base64, binascii, bisect, bz2, cmath, collections, csv, datetime, decimal, difflib, fractions, functools
import hashlib, heapq, hmac, io, itertools, json, lzma, math, operator, pickle, random, re, sqlite3, statistics, string
import struct, subprocess, sys, textwrap, threading, unicodedata, zlib

data = bytes(itertools.islice(itertools.cycle(range(251)), 100_003))
for name in ('md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'sha3_256', 'sha3_512', 'blake2b', 'blake2s'):
    print(name, hashlib.new(name, data).hexdigest())
print('shake', hashlib.shake_128(data).hexdigest(16), hmac.new(b'key', data, 'sha256').hexdigest())
print('pbkdf2', hashlib.pbkdf2_hmac('sha256', b'password', b'salt', 200).hex())
print('scrypt', hashlib.scrypt(b'password', salt=b'salt', n=64, r=4, p=1, dklen=16).hex())
print('crc', zlib.crc32(data), zlib.adler32(data), binascii.crc_hqx(data, 0))
for module in (zlib, bz2, lzma):
    packed = module.compress(data)
    print(module.__name__, hashlib.md5(packed).hexdigest(), module.decompress(packed) == data)

print('ints', 2**521 - 1, 3**200 % 10**30, math.factorial(50), pow(7, 10**18, 10**9 + 7), math.isqrt(10**40))
print('divide', -7 // 2, -7 % 3, divmod(10**30, 7**20), int('z' * 12, 36), hash(2**61 + 5), (2**64 - 1) * (2**64 - 1))
print('digits', hashlib.sha256(str(7**4000).encode()).hexdigest(), math.gcd(2**80 * 3**9, 6**30), math.comb(60, 30))

print('floats', 0.1 + 0.2, 1e308 * 10, -1e308 * 10, 5e-324, 2.2250738585072014e-308 / 3, 1 / 3, 1e16 + 1, 9007199254740993.0)
print('repr', repr(math.pi), (0.1).hex(), float.fromhex('0x1.921fb54442d18p+1'), round(2.675, 2), round(0.5), round(1.5))
print('special', math.inf - math.inf, math.nan == math.nan, math.copysign(0, -1), math.fmod(-7, 3), math.remainder(7, 4))
for name in ('sin', 'cos', 'tan', 'asin', 'acos', 'atan', 'sinh', 'cosh', 'tanh', 'exp', 'expm1', 'log', 'log1p', 'log2',
             'log10', 'sqrt', 'gamma', 'lgamma', 'erf', 'erfc', 'cbrt', 'floor', 'ceil', 'trunc'):
    function = getattr(math, name)
    values = []
    for x in (0.1, 0.25, 0.7, 0.99):
        values.append(function(x).hex() if isinstance(function(x), float) else function(x))
    print(name, *values)
print('big angles', *(math.sin(x).hex() for x in (1e5, 1e10, 1e22, 2**60)))
print('pow', *(math.pow(x, y).hex() for x, y in ((2, 0.5), (10, -3), (1.0001, 10000), (7.5, 2.25), (0.3, 33))))
print('exact', math.fsum([0.1] * 10), math.dist((1, 2, 3), (4, 6, 8)), math.hypot(3e200, 4e200), math.frexp(123.456))
print('parts', math.modf(-3.75), math.ldexp(0.7, 40), math.ulp(1.0), math.nextafter(1, 2), int(1e19), int(-2.9), 7.0 // -2)
print('complex', cmath.sqrt(-2), cmath.exp(1j * math.pi), (1 + 2j) ** (0.5 + 1j), cmath.phase(-1 - 1j), abs(3 + 4j))
print('sums', sum(1 / n for n in range(1, 20001)), math.prod(1 + 1 / n**2 for n in range(1, 2000)))
print('statistics', statistics.mean(range(97)), statistics.stdev([1.5, 2.5, 4, 8]), statistics.median([3, 1, 2]))
x = 0.4
for _ in range(10_000):
    x = 3.9 * x * (1 - x)
print('logistic', x.hex())

decimal.getcontext().prec = 60
print('decimal', decimal.Decimal(1) / 7, decimal.Decimal(2).sqrt(), decimal.Decimal(1).exp(), decimal.Decimal('1.10') + 3)
print('decimal', decimal.Decimal('0.1') * 3, decimal.Decimal(10).ln(), decimal.Decimal('123.456').quantize(decimal.Decimal('0.1')))
print('fractions', sum((fractions.Fraction(1, n) for n in range(1, 40)), fractions.Fraction(0)), fractions.Fraction(0.1))

generator = random.Random(12345)
print('random', generator.random().hex(), generator.getrandbits(80), generator.gauss(0, 1).hex(), generator.sample(range(1000), 5))
numbers = [generator.randrange(10**6) for _ in range(20_000)]
print('sorted', hashlib.md5(str(sorted(numbers)).encode()).hexdigest(), heapq.nsmallest(3, numbers), bisect.bisect(sorted(numbers), 500_000))

print('struct', struct.pack('<bBhHiIqQfd', -1, 255, -2, 65535, -3, 2**32 - 1, -4, 2**64 - 1, 1.1, 1.1).hex(), struct.unpack('>e', b'\x3c\x01'))
print('array', array.array('d', [1.5, 2.25]).tobytes().hex(), array.array('h', [-1, 300]).tobytes().hex())
print('base64', base64.b64encode(data[:40]).decode(), base64.b85encode(data[:20]).decode(), binascii.hexlify(data[-8:]))
print('pickle', hashlib.md5(pickle.dumps({'a': [1, 2.5, 'x'], 'b': (None, True)}, 4)).hexdigest())

document = {'text': 'Grüße ✓ \U0001f600', 'numbers': [1, -2.5, 1e100, 1e-7], 'nested': {'null': None, 'true': True}, 'list': list(range(5))}
print('json', json.dumps(document, sort_keys=True), json.loads(json.dumps(document)) == document)
print('json', json.dumps(document, indent=1, ensure_ascii=True)[:60].replace('\n', '|'), json.loads('[1.0e5, 12345678901234567890]'))
print('unicode', unicodedata.normalize('NFD', 'é').encode(), unicodedata.name('ß'), 'Straße'.casefold(), 'ΑΣ'.lower().encode('utf-16').hex())
text = 'It was the best of times, it was the worst of times, it was the age of wisdom. ' * 40
print('re', re.findall(r'\b(w\w+)\s+(\w{3,})', text)[:3], re.sub(r'(\w+) of (\w+)', r'\2 of \1', text)[:40], len(re.split(r'[,.]\s*', text)))
print('re', re.match(r'(?P<year>\d{4})-(?:0[1-9]|1[0-2])(?=-)', '2026-11-21').groupdict(), re.fullmatch(r'(a+)+b', 'a' * 18 + 'b') is not None)
print('counter', collections.Counter(text.split()).most_common(4), textwrap.fill(text[:90], 30).replace('\n', '|'))
print('difflib', list(difflib.unified_diff('abcd', 'abxd', lineterm='', n=0)), difflib.SequenceMatcher(None, text[:80], text[40:120]).ratio())
print('datetime', datetime.datetime(2026, 11, 21, 5, 21) + datetime.timedelta(days=100.5), datetime.date(2024, 2, 29).isocalendar())
print('itertools', list(itertools.permutations('abc', 2))[:4], functools.reduce(operator.xor, range(1000)), f'{12345.678:>15,.2f}|{255:#010b}|{1e-10:g}')

class Node:
    __slots__ = ('left', 'right', 'value')
    def __init__(self, value):
        self.left = self.right = None
        self.value = value

def insert(node, value):
    if node is None:
        return Node(value)
    if value < node.value:
        node.left = insert(node.left, value)
    else:
        node.right = insert(node.right, value)
    return node

def walk(node):
    if node is not None:
        yield from walk(node.left)
        yield node.value
        yield from walk(node.right)

root = None
for value in numbers[:800]:
    root = insert(root, value)
print('tree', list(walk(root)) == sorted(numbers[:800]))
def depth(n):
    return 1 + depth(n + 1)
try:
    depth(0)
except RecursionError as error:
    print('recursion', type(error).__name__)
try:
    {}['missing']
except KeyError as error:
    print('exception', error.args)
sieve = bytearray([1]) * 30_000
for n in range(2, 174):
    if sieve[n]:
        sieve[n * n::n] = bytes(len(range(n * n, 30_000, n)))
print('primes', sum(sieve) - 2, max(n for n in range(30_000) if sieve[n]))

database = sqlite3.connect(':memory:')
database.execute('create table t (id integer primary key, word text, value real)')
database.executemany('insert into t (word, value) values (?, ?)', [(word, len(word) / 3) for word in text.split()[:200]])
print('sqlite', database.execute('select word, count(*), sum(value), avg(value) from t group by word order by 2 desc, 1 limit 3').fetchall())
print('sqlite', database.execute("select printf('%.10f', sum(value * value)), max(length(word)), hex(zeroblob(3)) from t where word like 'w%'").fetchone())
rows = list(csv.reader(io.StringIO('a,"b, c",d\r\n1,"say ""hi""",3\r\n')))
print('csv', rows, string.Template('$a and ${b}').substitute(a=1, b=2))

total = [0]
lock = threading.Lock()
def add():
    for _ in range(500):
        with lock:
            total[0] += 1
threads = [threading.Thread(target=add) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print('threads', total[0], subprocess.run(['sh', '-c', 'cat; exit 3'], input=b'piped', capture_output=True).returncode)
print('done', sys.version_info[:2] >= (3, 9), sys.byteorder)
