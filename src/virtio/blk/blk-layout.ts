/** The block device on the wire (virtio 1.2, 5.2). */

export const VIRTIO_ID_BLOCK = 2;

// --- 5.2.3, feature bits
export const VIRTIO_BLK_F_SEG_MAX = 2;
export const VIRTIO_BLK_F_GEOMETRY = 4;
export const VIRTIO_BLK_F_RO = 5;
export const VIRTIO_BLK_F_BLK_SIZE = 6;
export const VIRTIO_BLK_F_FLUSH = 9;
export const VIRTIO_BLK_F_TOPOLOGY = 10;
export const VIRTIO_BLK_F_CONFIG_WCE = 11;
export const VIRTIO_BLK_F_MQ = 12;
export const VIRTIO_BLK_F_DISCARD = 13;
export const VIRTIO_BLK_F_WRITE_ZEROES = 14;

// --- 5.2.4, struct virtio_blk_config
export const CONFIG_CAPACITY = 0;
export const CONFIG_SEG_MAX = 12;
export const CONFIG_CYLINDERS = 16;
export const CONFIG_HEADS = 18;
export const CONFIG_SECTORS = 19;
export const CONFIG_BLK_SIZE = 20;
export const CONFIG_PHYSICAL_BLOCK_EXP = 24;
export const CONFIG_MIN_IO_SIZE = 26;
export const CONFIG_OPT_IO_SIZE = 28;
export const CONFIG_WRITEBACK = 32;
export const CONFIG_NUM_QUEUES = 34;
export const CONFIG_MAX_DISCARD_SECTORS = 36;
export const CONFIG_MAX_DISCARD_SEG = 40;
export const CONFIG_DISCARD_SECTOR_ALIGNMENT = 44;
export const CONFIG_MAX_WRITE_ZEROES_SECTORS = 48;
export const CONFIG_MAX_WRITE_ZEROES_SEG = 52;
export const CONFIG_WRITE_ZEROES_MAY_UNMAP = 56;
export const CONFIG_BYTES = 60;

// --- 5.2.6, struct virtio_blk_req
export const HEADER_BYTES = 16;
export const HEADER_TYPE = 0;
export const HEADER_SECTOR = 8;
export const VIRTIO_BLK_T_IN = 0;
export const VIRTIO_BLK_T_OUT = 1;
export const VIRTIO_BLK_T_FLUSH = 4;
/** What the legacy interface has beside it, with the same meaning. */
export const VIRTIO_BLK_T_FLUSH_OUT = 5;
export const VIRTIO_BLK_T_GET_ID = 8;
export const VIRTIO_BLK_T_DISCARD = 11;
export const VIRTIO_BLK_T_WRITE_ZEROES = 13;
/** Legacy: a barrier before the request. It was never offered, and old drivers set it without asking. */
export const VIRTIO_BLK_T_BARRIER = 0x80000000;

export const VIRTIO_BLK_S_OK = 0;
export const VIRTIO_BLK_S_IOERR = 1;
export const VIRTIO_BLK_S_UNSUPP = 2;

export const ID_BYTES = 20;

// --- struct virtio_blk_discard_write_zeroes
export const RANGE_BYTES = 16;
export const RANGE_SECTOR = 0;
export const RANGE_NUM_SECTORS = 8;
export const RANGE_FLAGS = 12;
export const RANGE_FLAG_UNMAP = 1;
