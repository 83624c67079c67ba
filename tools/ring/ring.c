/*
 * A guest without an operating system that drives a virtio-blk device (virtio 1.2, 2.7, 4.1 and 5.2): what the I/O path can do
 * when nothing else is in the way. Booted by multiboot on the runtime of the test kernels, with a disk of at least `mib`
 * MiB, whose contents it overwrites. It runs on any PC with a modern virtio-blk on PCI, QEMU's included.
 *
 * Command line: requests=N (per measurement, default 20000), depth=N (one depth instead of 1, 8 and 16), event_idx=0,
 * wait=poll|halt (one way of waiting instead of both), indirect=1, mib=N (1 to 64, default 64).
 *
 * Each line "ring key=value ..." on COM1 is a measurement; "ring done errors=0 blocks=N sum=X" is the last one, with a sum over
 * the disk's contents that can be checked outside (tools/ring/run.ts).
 */
#include "runtime.h"

/* The part of the disk that is used, in blocks of 4 KiB. */
#define BLOCK 4096u
#define BLOCKS_MAX 16384u
#define SECTORS_PER_BLOCK 8u
#define DEPTH_MAX 16u
/* Of a sequential request. */
#define STREAM_BLOCKS 16u
#define QUEUE_MAX 256u

/* ---- PCI configuration mechanism #1 (PCI 3.0, 3.2.2.3.2) ---- */

static inline void outd(u16 port, u32 value) {
  asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}
static inline u32 ind(u16 port) {
  u32 value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

static u32 function_address;

static u32 config_read(u32 offset) {
  outd(0xcf8, function_address | (offset & 0xfc));
  return ind(0xcfc);
}

static void config_write(u32 offset, u32 value) {
  outd(0xcf8, function_address | (offset & 0xfc));
  outd(0xcfc, value);
}

static u8 config_byte(u32 offset) {
  return config_read(offset) >> (offset & 3) * 8;
}

/* Where the memory of a base address register starts, or 0. */
static word bar(u32 index) {
  const u32 low = config_read(0x10 + 4 * index);
  if (low & 1) return 0;
  const u32 high = (low & 6) == 4 ? config_read(0x14 + 4 * index) : 0;
  /* The page tables of the runtime end at 4 GiB. */
  return high == 0 ? low & ~15u : 0;
}

/* ---- The device's registers (virtio 1.2, 4.1.4.3) ---- */

struct common {
  u32 device_feature_select, device_feature, driver_feature_select, driver_feature;
  u16 config_msix_vector, num_queues;
  u8 device_status, config_generation;
  u16 queue_select, queue_size, queue_msix_vector, queue_enable, queue_notify_off;
  u32 queue_desc[2], queue_driver[2], queue_device[2];
};

static volatile struct common *common;
static volatile u32 *device_config;
static volatile u32 *msix_table;
static word notify_base;
static u32 notify_multiplier;

#define CAP_VENDOR 9
#define CAP_MSIX 0x11

/* The first virtio-blk function of bus 0, modern or transitional. */
static int find_device(void) {
  for (u32 device = 0; device < 32; device++) {
    function_address = 0x80000000u | device << 11;
    const u32 id = config_read(0);
    if (id == 0x10421af4 || id == 0x10011af4) return 1;
  }
  return 0;
}

/* Walks the capabilities (4.1.4); 0 if one that is needed is not there. */
static int find_registers(void) {
  word table = 0;
  for (u8 at = config_byte(0x34) & ~3; at != 0; at = config_byte(at + 1) & ~3) {
    const u8 kind = config_byte(at);
    if (kind == CAP_MSIX) {
      const u32 where = config_read(at + 4);
      table = bar(where & 7) + (where & ~7u);
      /* Enabled, function not masked. */
      config_write(at, (config_read(at) & ~0x40000000u) | 0x80000000u);
    }
    if (kind != CAP_VENDOR) continue;
    const word base = bar(config_byte(at + 4));
    if (base == 0) continue;
    const word address = base + config_read(at + 8);
    switch (config_byte(at + 3)) {
      case 1:
        common = (volatile struct common *)address;
        break;
      case 2:
        notify_base = address;
        notify_multiplier = config_read(at + 16);
        break;
      case 4:
        device_config = (volatile u32 *)address;
        break;
    }
  }
  msix_table = (volatile u32 *)table;
  return common != 0 && notify_base != 0 && device_config != 0 && msix_table != 0;
}

/* ---- The split virtqueue (2.7) ---- */

struct descriptor_entry {
  u64 address;
  u32 length;
  u16 flags, next;
};
#define DESC_NEXT 1
#define DESC_WRITE 2
#define DESC_INDIRECT 4

static struct descriptor_entry descriptors[QUEUE_MAX] __attribute__((aligned(4096)));
static volatile struct {
  u16 flags, index, ring[QUEUE_MAX], used_event;
} available __attribute__((aligned(4096)));
static volatile struct {
  u16 flags, index;
  struct {
    u32 id, length;
  } ring[QUEUE_MAX];
  u16 avail_event;
} used __attribute__((aligned(4096)));

struct header {
  u32 type, reserved;
  u64 sector;
};
#define BLK_IN 0
#define BLK_OUT 1
#define BLK_FLUSH 4

static struct slot {
  struct header header;
  volatile u8 status;
  u8 is_busy;
  u32 block;
} slots[DEPTH_MAX];
static struct descriptor_entry tables[DEPTH_MAX][3] __attribute__((aligned(16)));
static u32 buffers[DEPTH_MAX][STREAM_BLOCKS * BLOCK / 4] __attribute__((aligned(4096)));

/* How often a block was written: what it must contain follows from that and its number. */
static u8 generation[BLOCKS_MAX];
static u8 is_in_flight[BLOCKS_MAX];

static u32 blocks_used = BLOCKS_MAX;
static u32 queue_size, has_event_idx, has_indirect, uses_halt;
static volatile u16 *notify;
static u16 seen, kicked;
static u32 kicks, errors;
static volatile u32 interrupts;

#define barrier() asm volatile("" : : : "memory")
/* Our store of an index must be visible before we look at the device's wish (2.7.7.1, 2.7.13.4.1). */
#define fence() asm volatile("mfence" : : : "memory")

#define LAPIC 0xfee00000u
#define VECTOR 0x40

static void on_interrupt(struct frame *frame) {
  (void)frame;
  interrupts++;
  *(volatile u32 *)(word)(LAPIC + 0xb0) = 0;
}

static void set_address(volatile u32 *where, const volatile void *what) {
  where[0] = (u32)(word)what;
  where[1] = 0;
}

#define F_EVENT_IDX (1u << 29)
#define F_INDIRECT (1u << 28)
/* Without it, each write is on the medium before it is used (5.2.6.2). */
#define F_FLUSH (1u << 9)

/* The initialization of 3.1.1; 0 if the device refuses. */
static int start_device(int wants_event_idx, int wants_indirect) {
  /* Memory space, bus master. */
  config_write(4, config_read(4) | 6);
  common->device_status = 0;
  while (common->device_status != 0) barrier();
  common->device_status = 1;
  common->device_status = 3;
  common->device_feature_select = 0;
  const u32 offered = common->device_feature;
  has_event_idx = wants_event_idx && (offered & F_EVENT_IDX);
  has_indirect = wants_indirect && (offered & F_INDIRECT);
  common->driver_feature_select = 0;
  common->driver_feature = (has_event_idx ? F_EVENT_IDX : 0) | (has_indirect ? F_INDIRECT : 0) | (offered & F_FLUSH);
  common->driver_feature_select = 1;
  common->driver_feature = 1; /* VERSION_1 */
  common->device_status = 11;
  if (!(common->device_status & 8)) return 0;

  msix_table[0] = LAPIC;
  msix_table[1] = 0;
  msix_table[2] = VECTOR;
  msix_table[3] = 0;
  common->config_msix_vector = 0xffff;
  common->queue_select = 0;
  queue_size = common->queue_size < QUEUE_MAX ? common->queue_size : QUEUE_MAX;
  if (queue_size < 3 * DEPTH_MAX) return 0;
  common->queue_size = (u16)queue_size;
  common->queue_msix_vector = 0;
  set_address(common->queue_desc, descriptors);
  set_address(common->queue_driver, &available);
  set_address(common->queue_device, &used);
  notify = (volatile u16 *)(notify_base + (word)common->queue_notify_off * notify_multiplier);
  common->queue_enable = 1;
  common->device_status = 15;
  return 1;
}

/* The event fields stand behind the last element of a ring of queue_size, whatever the arrays' sizes are. */
static volatile u16 *used_event(void) {
  return &available.ring[queue_size];
}
static volatile u16 *avail_event(void) {
  return (volatile u16 *)&used.ring[queue_size];
}

/* Makes slot `index` a request and its head available; the driver's index follows in `publish`. */
static u16 pending;
static void submit(u32 index, u32 type, u32 block, u32 blocks) {
  struct slot *slot = &slots[index];
  struct descriptor_entry *chain = has_indirect ? tables[index] : &descriptors[index * 3];
  const u32 first = has_indirect ? 0 : index * 3;
  slot->header.type = type;
  slot->header.sector = (u64)block * SECTORS_PER_BLOCK;
  slot->status = 0xff;
  slot->block = block;
  slot->is_busy = 1;
  chain[0] = (struct descriptor_entry){(word)&slot->header, sizeof slot->header, DESC_NEXT, (u16)(first + 1)};
  if (blocks == 0) {
    chain[1] = (struct descriptor_entry){(word)&slot->status, 1, DESC_WRITE, 0};
  } else {
    const u16 direction = type == BLK_IN ? DESC_WRITE : 0;
    chain[1] = (struct descriptor_entry){(word)buffers[index], blocks * BLOCK, DESC_NEXT | direction, (u16)(first + 2)};
    chain[2] = (struct descriptor_entry){(word)&slot->status, 1, DESC_WRITE, 0};
  }
  if (has_indirect) {
    descriptors[index * 3] = (struct descriptor_entry){(word)chain, (blocks == 0 ? 2 : 3) * 16, DESC_INDIRECT, 0};
  }
  available.ring[(u16)(available.index + pending) % queue_size] = (u16)(index * 3);
  pending++;
}

/* Hands over what was submitted and kicks the device if it wants that. */
static void publish(void) {
  if (pending == 0) return;
  barrier();
  available.index = (u16)(available.index + pending);
  pending = 0;
  fence();
  const u16 now = available.index;
  const int wanted = has_event_idx ? (u16)(now - *avail_event() - 1) < (u16)(now - kicked) : !(used.flags & 1);
  kicked = now;
  if (!wanted) return;
  *notify = 0;
  kicks++;
}

/* Waits until the device has used something. */
static void wait(void) {
  if (!uses_halt) {
    while (used.index == seen) asm volatile("pause" : : : "memory");
    return;
  }
  if (has_event_idx) *used_event() = seen;
  available.flags = 0;
  fence();
  for (;;) {
    asm volatile("cli" : : : "memory");
    if (used.index != seen) break;
    asm volatile("sti\n\thlt" : : : "memory");
  }
  asm volatile("sti" : : : "memory");
}

/* The next used slot, or -1. */
static int take(void) {
  if (used.index == seen) return -1;
  barrier();
  const u32 index = used.ring[seen % queue_size].id / 3;
  seen++;
  slots[index].is_busy = 0;
  if (slots[index].status != 0) {
    if (errors++ == 0) print("ring error: status %u of block %u\n", slots[index].status, slots[index].block);
  }
  return (int)index;
}

/* ---- Contents ---- */

/* The same word stands at the start of each sector, and the complement of it at the sector's end. */
static u32 word_of(u32 block, u32 sector) {
  return (block * 0x9e3779b1u) ^ (generation[block] * 0x85ebca6bu) ^ (sector * 0x27d4eb2fu);
}

static void write_contents(u32 *buffer, u32 block) {
  for (u32 sector = 0; sector < SECTORS_PER_BLOCK; sector++) {
    buffer[sector * 128] = word_of(block, sector);
    buffer[sector * 128 + 127] = ~word_of(block, sector);
  }
}

static void check_contents(const u32 *buffer, u32 block) {
  for (u32 sector = 0; sector < SECTORS_PER_BLOCK; sector++) {
    if (buffer[sector * 128] == word_of(block, sector) && buffer[sector * 128 + 127] == ~word_of(block, sector)) continue;
    if (errors++ == 0) print("ring error: block %u sector %u has %x, not %x\n", block, sector, buffer[sector * 128], word_of(block, sector));
  }
}

/* ---- Time ---- */

static inline u64 read_tsc(void) {
  u32 low, high;
  asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high));
  return (u64)high << 32 | low;
}

/* The ACPI PM timer of a PIIX4 at 600h: 3.579545 MHz, 24 bits. */
#define PM_TIMER 0x608
#define PM_HZ 3579545u

static u64 tsc_per_second;

static void calibrate(void) {
  const u32 from = ind(PM_TIMER);
  const u64 tsc = read_tsc();
  u32 ticks;
  do ticks = (ind(PM_TIMER) - from) & 0xffffff;
  while (ticks < PM_HZ / 10);
  tsc_per_second = (read_tsc() - tsc) * PM_HZ / ticks;
}

/* ---- Measurements ---- */

static u32 random_state = 2463534242u;

static u32 next_random(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state;
}

#define RANDOM 1
#define WRITES 2

static u32 next_block;
static u32 choose(u32 kind, u32 blocks) {
  u32 block;
  if (kind & RANDOM) {
    block = next_random() % blocks_used;
    while (is_in_flight[block]) block = (block + 1) % blocks_used;
  } else {
    block = next_block;
    next_block = (next_block + blocks) % blocks_used;
  }
  return block;
}

static void start_request(u32 index, u32 kind, u32 blocks) {
  const u32 block = choose(kind, blocks);
  is_in_flight[block] = 1;
  if (kind & WRITES) {
    for (u32 i = 0; i < blocks; i++) {
      generation[block + i]++;
      write_contents(buffers[index] + i * BLOCK / 4, block + i);
    }
  }
  submit(index, kind & WRITES ? BLK_OUT : BLK_IN, block, blocks);
}

static void run_requests(u32 kind, u32 blocks, u32 depth, u32 requests) {
  u32 started = 0, done = 0;
  next_block = 0;
  for (; started < depth && started < requests; started++) start_request(started, kind, blocks);
  publish();
  while (done < requests) {
    wait();
    for (int index = take(); index >= 0; index = take()) {
      const u32 block = slots[index].block;
      is_in_flight[block] = 0;
      if (!(kind & WRITES)) {
        for (u32 i = 0; i < blocks; i++) check_contents(buffers[index] + i * BLOCK / 4, block + i);
      }
      done++;
      if (started < requests) {
        started++;
        start_request((u32)index, kind, blocks);
      }
    }
    publish();
  }
}

static void measure(const char *name, u32 kind, u32 blocks, u32 depth, u32 requests) {
  kicks = 0;
  interrupts = 0;
  available.flags = uses_halt ? 0 : 1;
  /* Without EVENT_IDX the flag is all there is; with it, an event that is far away. */
  if (has_event_idx) *used_event() = (u16)(seen - 1);
  const u64 from = read_tsc();
  run_requests(kind, blocks, depth, requests);
  const u64 ticks = read_tsc() - from;
  const u64 microseconds = ticks * 1000 / (tsc_per_second / 1000);
  print("ring op=%s depth=%u wait=%s bytes=%u requests=%u us=%u rps=%u kicks=%u interrupts=%u errors=%u\n", name, depth,
        uses_halt ? "halt" : "poll", blocks * BLOCK, requests, (u32)microseconds,
        (u32)((u64)requests * 1000000 / (microseconds | 1)), kicks, interrupts, errors);
}

/* ---- The command line (Multiboot 3.3) ---- */

static const char *command_line = "";

static const char *option(const char *name) {
  for (const char *at = command_line; *at != 0; at++) {
    const char *a = at, *b = name;
    while (*b != 0 && *a == *b) a++, b++;
    if (*b == 0 && *a == '=') return a + 1;
  }
  return 0;
}

static u32 number(const char *name, u32 otherwise) {
  const char *text = option(name);
  if (text == 0) return otherwise;
  u32 value = 0;
  for (; *text >= '0' && *text <= '9'; text++) value = value * 10 + (u32)(*text - '0');
  return value;
}

static u32 sum_of(const u32 *data, u32 block) {
  u32 sum = 0;
  for (u32 i = 0; i < BLOCK / 4; i++) sum = (sum << 5 | sum >> 27) + data[i];
  return sum * (2 * block + 1);
}

void kernel_main(unsigned magic, unsigned info) {
  (void)magic;
  const u32 *boot = (const u32 *)(word)info;
  if (boot[0] & 4) command_line = (const char *)(word)boot[4];
  if (!find_device()) {
    print("ring error: no virtio-blk device on bus 0\n");
    return;
  }
  if (!find_registers() || !start_device((int)number("event_idx", 1), (int)number("indirect", 0))) {
    print("ring error: the device cannot be started\n");
    return;
  }
  /* Both interrupt controllers of old are silent; the local APIC takes messages. */
  outb(0x21, 0xff);
  outb(0xa1, 0xff);
  handlers[VECTOR] = on_interrupt;
  *(volatile u32 *)(word)(LAPIC + 0xf0) = 0x1ff;
  calibrate();
  const u32 mebibytes = number("mib", 64);
  if (mebibytes >= 1 && mebibytes <= BLOCKS_MAX / 256) blocks_used = mebibytes * 256;
  if ((device_config[0] | (u64)device_config[1] << 32) < (u64)blocks_used * SECTORS_PER_BLOCK) {
    print("ring error: the disk is smaller than %u MiB\n", blocks_used / 256);
    return;
  }
  print("ring start tsc_mhz=%u queue=%u event_idx=%u indirect=%u\n", (u32)(tsc_per_second / 1000000), queue_size, has_event_idx, has_indirect);

  const u32 requests = number("requests", 20000), asked = number("depth", 0);
  const u32 only = asked > DEPTH_MAX ? DEPTH_MAX : asked;
  const char *way = option("wait");
  static const u8 depths[] = {1, 8, 16};
  for (uses_halt = 0; uses_halt < 2; uses_halt++) {
    if (way != 0 && (*way == 'h') != uses_halt) continue;
    asm volatile("sti");
    measure("write", WRITES, STREAM_BLOCKS, DEPTH_MAX, blocks_used / STREAM_BLOCKS);
    for (u32 i = 0; i < 3; i++) {
      const u32 depth = only == 0 ? depths[i] : only;
      measure("randread", RANDOM, 1, depth, requests);
      measure("randwrite", RANDOM | WRITES, 1, depth, requests);
      measure("seqread", 0, STREAM_BLOCKS, depth, blocks_used / STREAM_BLOCKS);
      if (only != 0) break;
    }
  }

  /* The whole of it once more, and nothing in memory is taken for granted. */
  uses_halt = 0;
  submit(0, BLK_FLUSH, 0, 0);
  publish();
  wait();
  take();
  u32 sum = 0;
  for (u32 block = 0; block < blocks_used; block++) {
    fill(buffers[0], 0xee, BLOCK);
    submit(0, BLK_IN, block, 1);
    publish();
    wait();
    take();
    check_contents(buffers[0], block);
    sum += sum_of(buffers[0], block);
  }
  print("ring done errors=%u blocks=%u sum=%x\n", errors, blocks_used, sum);
  leave(errors == 0 ? 0x10 : 0x11);
}
