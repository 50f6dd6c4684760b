//! One header of a tar file: 512 bytes with name, size and kind (POSIX.1-2017, pax, "ustar").

/// Headers and data are in blocks of so many bytes.
pub(super) const BLOCK_BYTES: usize = 512;

/// A block.
pub(super) type Block = [u8; BLOCK_BYTES];

/// What a header is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// Records in place of the next entry's own, or of all that follow.
    Records {
        for_all: bool,
    },
    /// GNU's long name of the next entry, or of its link's target.
    LongName {
        of_link: bool,
    },
    /// What no layout has, by what people call it.
    Foreign(&'static str),
}

/// A header as it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) bytes: u64,
    pub(super) kind: Kind,
}

/// Reads a header; the error is what is wrong with it.
pub(super) fn read(block: &Block) -> Result<Header, &'static str> {
    let field = |from: usize, length: usize| &block[from..from + length];
    // The sum counts its own field as blanks.
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum::<u64>()
        - field(148, 8).iter().map(|&byte| u64::from(byte)).sum::<u64>()
        + 8 * u64::from(b' ');
    if octal(field(148, 8)) != Some(sum) {
        return Err("its checksum is wrong");
    }
    let bytes = number(field(124, 12)).ok_or("its size is no number")?;
    let mut name = text(field(0, 100)).to_vec();
    let prefix = text(field(345, 155));
    if field(257, 6) == b"ustar\0" && !prefix.is_empty() {
        name = [prefix, b"/", &name].concat();
    }
    let kind = match block[156] {
        b'0' | 0 | b'7' if name.ends_with(b"/") => Kind::Directory,
        b'0' | 0 | b'7' => Kind::File,
        b'5' => Kind::Directory,
        b'x' => Kind::Records { for_all: false },
        b'g' => Kind::Records { for_all: true },
        b'L' => Kind::LongName { of_link: false },
        b'K' => Kind::LongName { of_link: true },
        b'1' => Kind::Foreign("a hard link"),
        b'2' => Kind::Foreign("a symbolic link"),
        b'3' | b'4' => Kind::Foreign("a device"),
        b'6' => Kind::Foreign("a pipe"),
        b'S' => Kind::Foreign("a sparse file"),
        _ => Kind::Foreign("of an unknown kind"),
    };
    Ok(Header { name, bytes, kind })
}

/// A text up to its first zero.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Octal digits, with blanks or zeros around them.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text(field)).ok()?.trim_matches(' ');
    // The parser takes a sign, which no header has.
    let is_octal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    if is_octal { u64::from_str_radix(digits, 8).ok() } else { None }
}

/// Octal digits, or where the first bit is set the number itself, as GNU writes large ones.
fn number(field: &[u8]) -> Option<u64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 == 0 {
        return octal(field);
    }
    let (high, low) = rest.split_at(rest.len() - 8);
    let fits = first == 0x80 && high.iter().all(|&byte| byte == 0);
    low.first_chunk::<8>().map(|low| u64::from_be_bytes(*low)).filter(|_| fits)
}

/// A header for a file or a directory that anyone may read, of no one and of no time, so that the
/// same content gives the same bytes.
pub(super) fn write(name: &str, bytes: u64, kind: Kind) -> Block {
    let mut block = [0; BLOCK_BYTES];
    let mut put =
        |from: usize, bytes: &[u8]| block[from..from + bytes.len()].copy_from_slice(bytes);
    assert!(name.len() <= 100, "our names are short: {name}");
    put(0, name.as_bytes());
    let (mode, flag) = match kind {
        Kind::Directory => (0o755, b'5'),
        Kind::File | Kind::Records { .. } | Kind::LongName { .. } | Kind::Foreign(_) => {
            (0o644, b'0')
        }
    };
    put(100, format!("{mode:07o}").as_bytes());
    for from in [108, 116] {
        put(from, b"0000000");
    }
    if bytes < 1 << 33 {
        put(124, format!("{bytes:011o}").as_bytes());
    } else {
        put(124, &[0x80]);
        put(128, &bytes.to_be_bytes());
    }
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[flag]);
    put(257, b"ustar\x0000");
    for from in [329, 337] {
        put(from, b"0000000");
    }
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::{Header, Kind, read, write};

    #[test]
    fn what_is_written_is_read_back_for_small_and_large_sizes() {
        for bytes in [0, 1, (1 << 33) - 1, 1 << 33, 64 << 30] {
            let header = read(&write("blobs/x", bytes, Kind::File)).unwrap();
            let expected = Header { name: b"blobs/x".to_vec(), bytes, kind: Kind::File };
            assert_eq!(header, expected);
        }
    }

    #[test]
    fn a_flipped_byte_breaks_the_sum() {
        let block = write("oci-layout", 30, Kind::File);
        // The last byte of the sum is behind the zero that ends it.
        for at in (0..block.len()).filter(|at| *at != 155) {
            let mut flipped = block;
            flipped[at] ^= 0x15;
            assert!(read(&flipped).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_size_that_is_no_number_is_refused() {
        for field in [&b"-0000000001\0"[..], b"+0000000001\0", b"00000000009\0", &[0xff; 12]] {
            let mut block = write("a", 0, Kind::File);
            block[124..136].copy_from_slice(field);
            block[148..156].copy_from_slice(b"        ");
            let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            assert_eq!(read(&block), Err("its size is no number"), "{field:?}");
        }
    }
}
