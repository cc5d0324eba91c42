// The two capture formats, in numbers.
//
// Classic: a header of 24 bytes, then records with a header of 16 bytes each. draft-ietf-opsawg-pcap.
// pcapng: blocks, each with its type and length in front and its length again behind; sections of them, each with its
// Section Header Block. draft-ietf-opsawg-pcapng.
//
// Numbers are in the byte order of whoever wrote the file or section, a magic number tells which; we write little-endian.

/** Unit of a record's fraction of a second. Everything reads microseconds, not everything nanoseconds. */
export type Precision = 'micro' | 'nano';

export const FILE_HEADER_LEN = 24;
export const RECORD_HEADER_LEN = 16;

export const Magic = { micro: 0xa1b2c3d4, nano: 0xa1b23c4d } as const;
/** Of files by Linux's patched libpcap of 1999: records have 8 bytes more in their header. */
export const MAGIC_KUZNETZOV = 0xa1b2cd34;
export const KUZNETZOV_HEADER_LEN = 24;
export const VERSION_MAJOR = 2;
export const VERSION_MINOR = 4;
/** LINKTYPE_ETHERNET, without FCS. */
export const LINK_TYPE_ETHERNET = 1;

/** Bits of the header's link type that are one; above them is what is known of the FCS. draft-ietf-opsawg-pcap 4. */
export const LINK_TYPE_MASK = 0x03ff_ffff;

/** The largest frame length that tcpdump and Wireshark take for Ethernet, and their default snap length. */
export const MAX_SNAP_LEN = 262_144;

/**
 * Bytes of an interface's name that are written and read. Ours have a dozen; one of 65535, which the format allows, would
 * stand in front of each of its frames in a list.
 */
export const MAX_NAME_LEN = 255;

/** Fractions in a second. */
export const UNITS = { micro: 1_000_000, nano: 1_000_000_000 } as const;

/** Types of pcapng blocks. draft-ietf-opsawg-pcapng 4, 10.1; a Packet Block is what Enhanced ones were before 2009. */
export const Block = { Section: 0x0a0d0d0a, Interface: 1, Packet: 2, Simple: 3, Enhanced: 6 } as const;

/** Of a Section Header Block, tells the section's byte order. */
export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
/** Type and length in front, length behind. */
export const MIN_BLOCK_LEN = 12;

/** Option codes, each of its kind of block but for the first two. draft-ietf-opsawg-pcapng 3.5, 4.2. */
export const Option = { End: 0, Comment: 1, IfName: 2, IfTsResol: 9, IfTsOffset: 14 } as const;
