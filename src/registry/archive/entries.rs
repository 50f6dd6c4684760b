//! The entries of a tar file: where each file that a layout has begins, and how long it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::fault::ArchiveFault;
use super::header::{self, BLOCK_BYTES, Block, Kind};
use super::{BLOBS, INDEX, MARKER};
use crate::oci::{Digest, LAYERS_MAX, excerpt};

/// The most entries of a tar file: a manifest has at most a thousand layers, and a layout may
/// have several manifests.
pub(super) const ENTRIES_MAX: usize = 16_384;
/// The most bytes of a header that goes before another: a long name has at most 4 KB.
pub(super) const EXTENSION_BYTES_MAX: u64 = 64 << 10;

const _: () = assert!(ENTRIES_MAX > 2 * LAYERS_MAX, "the largest manifest fits");

/// How compressed files begin.
const COMPRESSED: [(&[u8], &str); 5] = [
    (&[0x1f, 0x8b], "gzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz"),
    (b"BZh", "bzip2"),
    (&[0x04, 0x22, 0x4d, 0x18], "lz4"),
];

/// Where the data of an entry are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// What the headers before an entry say of it.
#[derive(Default)]
struct Announced {
    name: Option<Vec<u8>>,
    bytes: Option<u64>,
}

/// Finds the files of a layout among the entries, by name; other files are passed over.
pub(super) fn walk(file: &File) -> Result<BTreeMap<String, Span>, ArchiveFault> {
    let metadata = file.metadata().map_err(ArchiveFault::Unreadable)?;
    if !metadata.is_file() {
        return Err(ArchiveFault::NotAFile);
    }
    let length = metadata.len();
    let mut found = BTreeMap::new();
    let mut announced = Announced::default();
    let mut at = 0;
    for _ in 0..ENTRIES_MAX {
        let block = block(file, at, length)?;
        if block.iter().all(|&byte| byte == 0) && at > 0 {
            return Ok(found);
        }
        let header = header::read(&block).map_err(|why| match at {
            0 => beginning(&block),
            at => ArchiveFault::Header { at, why },
        })?;
        let start = at + BLOCK_BYTES as u64;
        let before = match header.kind {
            Kind::Records { .. } | Kind::LongName { .. } => None,
            Kind::File | Kind::Directory | Kind::Foreign(_) => Some(std::mem::take(&mut announced)),
        };
        let (name, bytes) = before.map_or((None, None), |before| (before.name, before.bytes));
        let shown = name.unwrap_or(header.name);
        let bytes = match header.kind {
            Kind::Directory => 0,
            Kind::File | Kind::Records { .. } | Kind::LongName { .. } | Kind::Foreign(_) => {
                bytes.unwrap_or(header.bytes)
            }
        };
        let name = || excerpt(&String::from_utf8_lossy(&shown));
        let end = start.checked_add(bytes).filter(|end| *end <= length).ok_or_else(|| {
            ArchiveFault::Truncated {
                name: name(),
                end: start.saturating_add(bytes),
                found: length,
            }
        })?;
        let span = Span { offset: start, bytes };
        match header.kind {
            Kind::File => {
                let name = normal(&shown)?;
                if is_of_a_layout(&name) && found.insert(name.clone(), span).is_some() {
                    return Err(ArchiveFault::Twice { name });
                }
            }
            Kind::Directory => _ = normal(&shown)?,
            Kind::Foreign(kind) => return Err(ArchiveFault::Kind { name: name(), kind }),
            Kind::LongName { of_link } => {
                let long = extension(file, at, span)?;
                if !of_link {
                    announced.name = Some(header::text(&long).to_vec());
                }
            }
            Kind::Records { for_all } => {
                let broken = |why| ArchiveFault::Header { at, why };
                let records = extension(file, at, span)?;
                let records = records_of(&records).ok_or_else(|| broken("its records are none"))?;
                let told = read_records(&records).map_err(broken)?;
                if for_all && (told.name.is_some() || told.bytes.is_some()) {
                    return Err(broken("it gives one name or size to all entries"));
                }
                announced.name = told.name.or(announced.name);
                announced.bytes = told.bytes.or(announced.bytes);
            }
        }
        at = end.next_multiple_of(BLOCK_BYTES as u64);
    }
    Err(ArchiveFault::TooManyEntries)
}

/// The block at a place, if the file has a whole one there.
fn block(file: &File, at: u64, length: u64) -> Result<Block, ArchiveFault> {
    let mut block = [0; BLOCK_BYTES];
    if at.checked_add(BLOCK_BYTES as u64).is_none_or(|end| end > length) {
        let mut few = [0; 8];
        let count = if at == 0 { file.read_at(&mut few, 0).unwrap_or(0) } else { 0 };
        block[..count].copy_from_slice(&few[..count]);
        return Err(if at == 0 { beginning(&block) } else { ArchiveFault::NoEnd });
    }
    file.read_exact_at(&mut block, at).map_err(ArchiveFault::Unreadable)?;
    Ok(block)
}

/// What a file is whose first block is no header.
fn beginning(block: &Block) -> ArchiveFault {
    match COMPRESSED.iter().find(|(begins, _)| block.starts_with(begins)) {
        Some((_, with)) => ArchiveFault::Compressed { with },
        None => ArchiveFault::NotATar,
    }
}

/// The data of a header that goes before another.
fn extension(file: &File, at: u64, span: Span) -> Result<Vec<u8>, ArchiveFault> {
    if span.bytes > EXTENSION_BYTES_MAX {
        return Err(ArchiveFault::LongHeader { at, bytes: span.bytes });
    }
    let mut bytes = vec![0; span.bytes as usize];
    file.read_exact_at(&mut bytes, span.offset).map_err(ArchiveFault::Unreadable)?;
    Ok(bytes)
}

/// Records of the form `LENGTH KEY=VALUE\n`, the length counting all of it.
fn records_of(mut rest: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let blank = rest.iter().position(|&byte| byte == b' ')?;
        let digits = std::str::from_utf8(&rest[..blank]).ok()?;
        let length: usize = digits.parse().ok().filter(|_| !digits.starts_with('+'))?;
        let record = rest.get(blank + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|&byte| byte == b'=')?;
        found.push((&record[..equals], &record[equals + 1..]));
        rest = &rest[length..];
    }
    Some(found)
}

fn read_records(records: &[(&[u8], &[u8])]) -> Result<Announced, &'static str> {
    let mut told = Announced::default();
    for (key, value) in records {
        match *key {
            b"path" => told.name = Some(value.to_vec()),
            b"size" => {
                let digits = std::str::from_utf8(value).ok().filter(|it| !it.starts_with('+'));
                let bytes = digits.and_then(|digits| digits.parse().ok());
                told.bytes = Some(bytes.ok_or("its size is no number")?);
            }
            key if key.starts_with(b"GNU.sparse.") => return Err("it is for a sparse file"),
            // Times, owners and comments change nothing here.
            _ => {}
        }
    }
    Ok(told)
}

/// The name without what does not count in it.
fn normal(name: &[u8]) -> Result<String, ArchiveFault> {
    let shown = excerpt(&String::from_utf8_lossy(name));
    let refuse = |why| ArchiveFault::Name { name: shown.clone(), why };
    let text = std::str::from_utf8(name).map_err(|_| refuse("is not UTF-8"))?;
    if text.starts_with('/') {
        return Err(refuse("begins at the root of the disk"));
    }
    if text.contains('\0') {
        return Err(refuse("has a zero in it"));
    }
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(refuse("leads out of its directory")),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

fn is_of_a_layout(name: &str) -> bool {
    let is_blob = |digits: &str| format!("sha256:{digits}").parse::<Digest>().is_ok();
    [MARKER, INDEX].contains(&name) || name.strip_prefix(BLOBS).is_some_and(is_blob)
}
