//! A chart's archive: a tar file in gzip whose bytes follow from the files in it and from nothing else.

use flate2::{Compression, GzBuilder};
use std::io;
use tar::{Builder, EntryType, Header};

/// When every file was last changed, in seconds of Unix time: 1980-01-01, the first date that every
/// archiver knows. GNU tar warns of 1970.
const CHANGED: u64 = 315_532_800;

/// What a gzip head says of the system that wrote it: that it is not known (RFC 1952, 2.3.1).
const SYSTEM_UNKNOWN: u8 = 255;

/// Packs files below one directory, in the order of their names.
///
/// # Errors
/// When a name is too long for a tar file.
pub(super) fn pack(directory: &str, files: &[(&str, String)]) -> io::Result<Vec<u8>> {
    let mut sorted: Vec<&(&str, String)> = files.iter().collect();
    // Helm and people look for what the chart is first.
    sorted.sort_by_key(|(name, _)| (*name != "Chart.yaml", *name));
    let gzip = GzBuilder::new().mtime(0).operating_system(SYSTEM_UNKNOWN);
    let mut archive = Builder::new(gzip.write(Vec::new(), Compression::best()));
    for (name, text) in sorted {
        let mut header = Header::new_ustar();
        header.set_path(format!("{directory}/{name}"))?;
        header.set_size(text.len() as u64);
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(CHANGED);
        header.set_cksum();
        archive.append(&header, text.as_bytes())?;
    }
    archive.into_inner()?.finish()
}

#[cfg(test)]
mod tests {
    use super::pack;
    use std::io::Read;

    fn files() -> Vec<(&'static str, String)> {
        vec![("values.yaml", "a: 1\n".to_owned()), ("Chart.yaml", "name: x\n".to_owned())]
    }

    #[test]
    fn the_order_of_the_files_does_not_matter_to_the_bytes() {
        let mut turned = files();
        turned.reverse();
        assert_eq!(pack("x", &files()).unwrap(), pack("x", &turned).unwrap());
    }

    #[test]
    fn neither_head_knows_a_time_a_user_or_a_system() {
        let packed = pack("x", &files()).unwrap();
        // Flags, time, extra flags ("best"), system.
        assert_eq!(packed[3..10], [0, 0, 0, 0, 0, 2, 255]);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            assert_eq!(header.mtime().unwrap(), super::CHANGED);
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            assert_eq!(header.username().unwrap(), Some(""));
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.push((header.path().unwrap().display().to_string(), text));
        }
        let wanted = [("x/Chart.yaml", "name: x\n"), ("x/values.yaml", "a: 1\n")];
        assert_eq!(found, wanted.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn a_name_that_no_tar_file_takes_is_refused() {
        assert!(pack(&"x".repeat(300), &files()).is_err());
    }
}
