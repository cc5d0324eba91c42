// The classic capture file: a header of 24 bytes, then records with a header of 16 bytes each. Numbers are in the byte
// order of whoever wrote it, the magic number tells which; we write little-endian. draft-ietf-opsawg-pcap.

/** Unit of a record's fraction of a second. Everything reads microseconds, not everything nanoseconds. */
export type Precision = 'micro' | 'nano';

export const FILE_HEADER_LEN = 24;
export const RECORD_HEADER_LEN = 16;

export const Magic = { micro: 0xa1b2c3d4, nano: 0xa1b23c4d } as const;
export const VERSION_MAJOR = 2;
export const VERSION_MINOR = 4;
/** LINKTYPE_ETHERNET, without FCS. */
export const LINK_TYPE_ETHERNET = 1;

/** The largest frame length that tcpdump and Wireshark take for Ethernet, and their default snap length. */
export const MAX_SNAP_LEN = 262_144;

/** Fractions in a second. */
export const UNITS = { micro: 1_000_000, nano: 1_000_000_000 } as const;
