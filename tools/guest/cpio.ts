// Writes the "newc" archive that Linux unpacks as its first file system: a header of hexadecimal fields, the name and
// the bytes, each padded to four. Documentation/driver-api/early-userspace/buffer-format.rst

export interface Entry {
  /** Without a slash in front. Folders before what is in them. */
  readonly path: string;
  /** Type and permissions, as stat(2) has them. */
  readonly mode: number;
  /** A link's target, for a link. */
  readonly data: Buffer;
}

export function packCpio(entries: readonly Entry[]): Buffer {
  const parts: Buffer[] = [];
  const end = { path: 'TRAILER!!!', mode: 0, data: Buffer.alloc(0) };
  for (const [index, { path, mode, data }] of [...entries, end].entries()) {
    const name = Buffer.from(`${path}\0`);
    // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check.
    const fields = [index + 1, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length, 0];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
    parts.push(padded(Buffer.concat([Buffer.from(header), name])), padded(data));
  }
  return Buffer.concat(parts);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
